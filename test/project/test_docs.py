"""The documentation: it builds, its links resolve, its commands run, and its names exist."""

import argparse
import itertools
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import yaml
from graph_of_node import graph_of_node
from serve_process import answering

from emotion_ros.cli import build_parser
from emotion_ros.config import NODES, CaptureConfig
from emotion_ros.config.options import options

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
README, CHANGELOG = ROOT / "README.md", ROOT / "CHANGELOG.md"
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "QUALITY_DECLARATION.md",
    CHANGELOG,
    *sorted((ROOT / "docs").glob("*.md")),
]
USER_TEXTS = [
    *(page for page in PAGES if page != CHANGELOG),
    *(file for name in ("config", "msg", "srv") for file in sorted((ROOT / name).iterdir())),
]
"""What users read beside the changelog, which names what was renamed."""

NOT_EXECUTED = {
    r"make (run|test)\b": "sets up and runs this very test",
    r"(rosdep|colcon|pip|python3 -m venv|sudo apt|\. install|export FASTDDS)\b": "needs ROS from apt",
    r"ros2 ": "needs the ros2 command",
    r"emotion-ros (capture|split|train|export|evaluate)\b": "needs pictures of the reader; test_training.py runs them",
    r"(\.venv/bin/)?emotion-ros run --web --source 0": "needs a camera; test_web.py runs it on a sample",
}
"""Commands that are not executed, and why."""

EXECUTED_COMMANDS = {"README.md": 3, "index.md": 1, "files.md": 3, "serving.md": 3}
"""Page to the minimum number of commands that are executed."""

DIALECT = ("of late", "whoever", "anew", "heed", "told of", "tell of", "comes of it", "goodbye")
"""Phrases that are no plain technical English."""


def blocks(page):
    """Return the shell blocks of a page: fenced as bash, or, in the README, indented."""
    text = page.read_text()
    if page == README:
        return [re.sub(r"^    ", "", block, flags=re.M) for block in re.findall(r"\n\n((?:    .*\n)+)", text)]
    return re.findall(r"```bash\n(.*?)```", text, re.S)


def executable(block):
    """Return the lines that can run here, without comments; continued lines are joined."""
    lines = [re.sub(r"\s+#.*$", "", line) for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    return [line for line in lines if not any(re.match(pattern, line) for pattern in NOT_EXECUTED)]


@pytest.fixture
def folder(tmp_path, portrait, monkeypatch):
    """A reader's folder: the package's, with pictures of the reader."""
    if not (ROOT / ".venv").is_dir():
        pytest.skip("there is no .venv in the package's folder")
    for name in (".venv", "docs", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.setenv("PATH", str(BIN), prepend=":")
    (tmp_path / "folder").mkdir()
    for name in ("photo.jpg", "one.jpg", "two.jpg", "folder/a.jpg"):
        cv2.imwrite(str(tmp_path / name), portrait)
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (640, 480))
    for _ in range(5):
        writer.write(portrait)
    writer.release()
    return tmp_path


@pytest.mark.parametrize("name", EXECUTED_COMMANDS)
def test_shell_blocks_do_what_they_say(name, folder):
    page = README if name == README.name else ROOT / "docs" / name
    executed, servers = 0, []
    try:
        for line in (line for block in blocks(page) for line in executable(block)):
            if line.rstrip().endswith("&"):
                servers.append(subprocess.Popen(line.rstrip("& \n").split(), cwd=folder, stderr=subprocess.DEVNULL))
                answering("http://127.0.0.1:8000")
                continue
            done = subprocess.run(["bash", "-ec", line], cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            executed += 1
    finally:
        for server in servers:
            server.terminate()
            server.wait(20)
    assert executed >= EXECUTED_COMMANDS[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page):
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).resolve().exists(), link


def tables(text, heading):
    """Return the first cells of the table rows below a heading, without backticks."""
    section = re.search(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", text, re.M | re.S)[1]
    return re.findall(r"^\| `([^`]+)` \|", section, re.M)


def retired_parameters():
    text = CHANGELOG.read_text()
    return {*tables(text, "Renamed parameters"), *tables(text, "Removed parameters")}


def parameters():
    """Return the names of all parameters of all nodes."""
    configs = [config for configs in NODES.values() for config in configs]
    return {option.name for config in [*configs, CaptureConfig] for option in options(config)}


def test_the_changelog_names_retired_parameters_only():
    assert len(retired_parameters()) == 14
    assert not retired_parameters() & parameters()


@pytest.mark.parametrize("file", USER_TEXTS, ids=lambda file: file.name)
def test_no_text_uses_a_retired_parameter(file):
    used = set(re.findall(r"\w+", re.sub(r"Emotion\.face_confidence|float32 face_confidence", "", file.read_text())))
    assert not used & retired_parameters()


@pytest.mark.parametrize("file", [*USER_TEXTS, CHANGELOG], ids=lambda file: file.name)
def test_texts_are_plain_technical_english(file):
    text = " ".join(file.read_text().split()).lower()
    assert not [phrase for phrase in DIALECT if re.search(rf"\b{phrase}\b", text)]


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name)
def test_tables_of_parameters_name_parameters_that_exist(page):
    for table in re.findall(r"^\| parameter .*\n\| ---.*\n((?:\|.*\n)+)", page.read_text(), re.M):
        names = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
        assert names
        assert names <= parameters()


def test_ros2_param_takes_all_defaults_and_the_values_that_pages_name():
    rclpy_parameter = pytest.importorskip("rclpy.parameter")
    from rclpy.serialization import serialize_message

    commands = [re.findall(r"ros2 param set \S+ \w+ .+?(?=`|$)", page.read_text(), re.M) for page in PAGES]
    values = [shlex.split(command)[5] for command in itertools.chain(*commands)]
    assert len(values) >= 3
    nodes = yaml.safe_load((ROOT / "config" / "detect.yaml").read_text()).values()
    values += [str(value) for node in nodes for value in node["ros__parameters"].values()]  # as of `ros2 param dump`
    for value in values:
        serialize_message(rclpy_parameter.get_parameter_value(value))  # fails on a value that ROS has no type for


def command_options():
    """Return the options of each command of emotion-ros."""
    (commands,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return {name: set(parser._option_string_actions) for name, parser in commands.choices.items()}


@pytest.mark.parametrize("page", [page for page in PAGES if page != CHANGELOG], ids=lambda page: page.name)
def test_commands_of_the_pages_have_these_options(page):
    known = command_options()
    for command, rest in re.findall(r"emotion-ros ([a-z-]+)((?:\\\n|[^\n`])*)", page.read_text()):
        if command in known:
            used = re.findall(r"(?<!\S)(--[a-z-]+)", rest.partition(" #")[0])
            assert set(used) <= known[command], command


def test_tests_that_reliability_names_exist():
    rows = re.findall(r"`(test_\w+\.py)(?: -k (?:\"([^\"]+)\"|(\w+)))?`", (ROOT / "docs/reliability.md").read_text())
    assert len(rows) > 10
    for file, several, one in rows:
        (path,) = ROOT.glob(f"test/*/{file}")
        tests = re.findall(r"^def (test_\w+)", path.read_text(), re.M)
        for word in (several or one).split(" or "):
            assert any(word in test for test in tests), f"{file} -k {word}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built documentation; links that do not resolve are warnings, and warnings are errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_site_is_built_without_warnings_and_loads_nothing_from_other_servers(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loaded = re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=\"?(https?:[^\"\s>]+)", page.read_text())
        assert not [url for url in loaded if "emotion" not in url], page


def test_reference_contains_every_parameter_and_command(site):
    reference = (site / "reference/parameters/index.html").read_text()
    assert all(f"<code>{name}</code>" in reference for name in parameters())
    commands = (site / "reference/command_line/index.html").read_text()
    assert all(f"<code>{option}</code>" in commands for each in command_options().values() for option in each)
    assert "gesture_confidence" in (site / "reference/messages/index.html").read_text()
    assert "/v1/classify" in (site / "reference/http/index.html").read_text()


def test_topics_page_lists_the_topics_of_the_detector(start):
    start("detector", hands=False)
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs/topics.md").read_text(), re.M)
    listed = {name if name.startswith("/") else f"/{name}" for row in rows for name in re.findall(r"`([^`]+)`", row)}
    internal = ("parameter_events", "rosout", "transition_event")
    names = graph_of_node("detector", "/emotions").get("topics publish", ())
    published = {name for name in names if not name.endswith(internal)}
    assert "/emotions" in published
    assert {name for name in published if not name.startswith("/humans/")} <= listed


@pytest.mark.parametrize("file", sorted((ROOT / "docker").glob("Dockerfile*")), ids=lambda file: file.name)
def test_container_files_are_clean(file):
    hadolint = shutil.which("hadolint", path=BIN)
    done = subprocess.run([hadolint, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_make_check_names_tests_that_exist():
    tests = re.search(r"^UNIT_TESTS := (.*(?:\\\n.*)*)", (ROOT / "Makefile").read_text(), re.M)[1]
    for path in re.findall(r"test/[\w/.]+", tests):
        assert (ROOT / path).exists(), path
    for path, name in re.findall(r"(test/\S+\.py)::(\w+)", tests):
        assert f"def {name}(" in (ROOT / path).read_text()


def test_compose_file_and_workflow_name_what_exists():
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    assert set(compose["services"]) == {"camera", "detector", "rviz"}
    build = compose["x-node"]["build"]
    assert (ROOT / "docker" / build["context"] / build["dockerfile"]).is_file()
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text())
    for job in ("ros", "docker"):
        assert workflow["jobs"][job]["strategy"]["matrix"]["distro"] == ["humble", "jazzy", "kilted", "lyrical"]
