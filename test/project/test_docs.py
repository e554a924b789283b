"""The documentation: it builds, its links lead somewhere, and its commands do what it says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import yaml
from serve_process import answering

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_HERE = {
    r"make (run|test)\b": "is how this very test is set up and run",
    r"(rosdep|colcon|pip|\. install|export FASTDDS)\b": "needs ROS from apt",
    r"ros2 ": "needs the ros2 command",
    r"emotion-ros (capture|split|train|export|evaluate)\b": "needs pictures of your own; test_training.py runs them",
    r"\.venv/bin/emotion-ros run --web --source 0": "needs a camera; test_web.py runs it on a sample",
}
"""Commands that are not executed, and why."""


def blocks(page):
    """Shell blocks of a page: fenced as bash or sh, or, in the README, indented."""
    text = page.read_text()
    if page.name == "README.md":
        return [re.sub(r"^    ", "", block, flags=re.M) for block in re.findall(r"\n\n((?:    .*\n)+)", text)]
    return re.findall(r"```(?:bash|sh)\n(.*?)```", text, re.S)


def executable(block):
    """The lines that can run here, without their comments; continued lines are one."""
    lines = [re.sub(r"\s+#.*$", "", line) for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    return [line for line in lines if not any(re.match(pattern, line) for pattern in NOT_HERE)]


@pytest.fixture
def folder(tmp_path, portrait):
    """Where a reader may be: the package's folder, with pictures of theirs in it."""
    for name in (".venv", "docs", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    if not (ROOT / ".venv").is_dir():
        pytest.skip("there is no .venv in the package's folder")
    (tmp_path / "folder").mkdir()
    for name in ("photo.jpg", "one.jpg", "two.jpg", "folder/a.jpg"):
        cv2.imwrite(str(tmp_path / name), portrait)
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (640, 480))
    for _ in range(5):
        writer.write(portrait)
    writer.release()
    return tmp_path


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "index.md"], ids=lambda page: page.name)
def test_shell_blocks_do_what_they_say(page, folder):
    ran = 0
    for block in blocks(page):
        servers = []
        try:
            for line in executable(block):
                if "session.mcap" in line or "emotions.jsonl" in line:
                    continue  # made by commands that are not executed; test_bags.py and test_systems.py run these
                if line.rstrip().endswith("&"):
                    servers.append(subprocess.Popen(line.rstrip("& \n").split(), cwd=folder, stderr=subprocess.DEVNULL))
                    answering("http://127.0.0.1:8000")
                    continue
                done = subprocess.run(["bash", "-ec", line], cwd=folder, capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{line}: {done.stderr}"
                ran += 1
        finally:
            for each in servers:
                each.terminate()
                each.wait(20)
    assert ran >= {"README.md": 4, "index.md": 1}[page.name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page):
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not link.startswith("http"):
            target = (page.parent / link).resolve()
            generated = (
                link.startswith(("reference/", "models/", "../reference/", "../models/")) and page.parent != ROOT
            )
            assert target.exists() or generated, link


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built documentation; a link that leads nowhere is a warning, and a warning an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_site_is_built_without_warnings_and_loads_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loaded = re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=\"?(https?:[^\"\s>]+)", page.read_text())
        assert not [each for each in loaded if "emotion" not in each], page


def test_reference_is_that_of_the_code(site):
    commands = (site / "reference/command_line/index.html").read_text()
    assert "hands-require-face" in commands
    assert "train-detector" in commands
    parameters = (site / "reference/parameters/index.html").read_text()
    assert "face_detector" in parameters
    assert "token_file" in parameters
    assert "gesture_confidence" in (site / "reference/messages/index.html").read_text()
    assert "/v1/classify" in (site / "reference/http/index.html").read_text()


def test_topics_of_the_readme_are_those_of_the_detector(start, listener):
    start("detector", hands=False)
    text = re.search(r"\n## Topics\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.S)[1]
    names = {name for row in re.findall(r"^\| (`.*?) \|", text, re.M) for name in re.findall(r"`([^`]+)`", row)}
    internal = ("parameter_events", "rosout", "transition_event")

    def published():
        there = {name for name, _ in listener.node.get_publisher_names_and_types_by_node("detector", "/")}
        return {name for name in there if not name.endswith(internal)}

    assert listener.until(lambda: "/emotions" in seen(published))
    told = {name if name.startswith("/") else f"/{name}" for name in names}
    missing = {name for name in published() if name not in told and not name.startswith("/humans/")}
    assert missing == set()


def seen(published):
    try:
        return published()
    except Exception:  # rclpy raises its own where the node is not there yet
        return ()


@pytest.mark.parametrize("file", sorted((ROOT / "docker").glob("Dockerfile*")), ids=lambda file: file.name)
def test_container_files_are_clean(file):
    hadolint = shutil.which("hadolint", path=BIN)
    done = subprocess.run([hadolint, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_compose_file_and_workflow_name_what_is_there():
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    assert set(compose["services"]) == {"camera", "detector", "rviz"}
    build = compose["x-node"]["build"]
    assert (ROOT / "docker" / build["context"] / build["dockerfile"]).is_file()
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text())
    assert set(workflow["jobs"]["ros"]["strategy"]["matrix"]["distro"]) == {"humble", "jazzy", "kilted"}
    named = re.findall(r"test/\w+/\w+\.py", str(workflow))
    assert named
    assert all((ROOT / each).is_file() for each in named)
