"""What a robot installs: keys of package.xml, requirements, CMake's tests."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from catkin_pkg.changelog import Changelog, populate_changelog_from_rst

from emotion_ros.config.serving_config import INSTALL_SERVING, describe_import_error

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = {"humble": "jammy", "jazzy": "noble", "kilted": "noble", "lyrical": "resolute"}
PACKAGE = """<package format="3"><name>robot</name><version>0.1.0</version><description>-</description>
<maintainer email="a@example.org">a</maintainer><license>MIT</license><depend>std_msgs</depend>
<depend>python3-numpy</depend>{more}</package>"""


@pytest.fixture
def check(tmp_path):
    """A function that checks a package.xml with more dependencies against small lists; returns exit code and output."""
    lists = tmp_path / "lists"
    rules = {
        "python3-numpy": {"ubuntu": ["python3-numpy"]},
        "old": {"ubuntu": {"jammy": ["old"], "*": None}},
        "wheel-pip": {"ubuntu": {"pip": {"packages": ["wheel"]}}},
    }
    for name, content in {"base": {}, "python": rules}.items():
        write(lists / "rosdep" / f"{name}.yaml", content)
    for distribution, ubuntu in DISTRIBUTIONS.items():
        repositories = {"common": {"release": {"packages": ["std_msgs", "other_msgs"], "version": "1.0.0-1"}}}
        repositories["hri_msgs"] = {"release": {"version": "2.0.0-1"}} if distribution != "kilted" else {"source": {}}
        content = {"release_platforms": {"ubuntu": [ubuntu]}, "repositories": repositories}
        write(lists / distribution / "distribution.yaml", content)

    def run(more, url=None):
        (tmp_path / "package.xml").write_text(PACKAGE.format(more=more))
        (tmp_path / "scripts").mkdir(exist_ok=True)
        script = shutil.copy(ROOT / "scripts" / "check_rosdep_keys.py", tmp_path / "scripts")
        done = subprocess.run(
            [sys.executable, script, url or lists.as_uri()], capture_output=True, text=True, check=False
        )
        assert not done.stderr
        return done.returncode, done.stdout.strip()

    return run


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("more", "code", "output"),
    [
        ("<depend>other_msgs</depend>", 0, "rosdep keys: all are available in ROS humble, jazzy, kilted, lyrical"),
        ("<depend>hri_msgs</depend>", 1, "hri_msgs: not available in ROS kilted on Ubuntu noble"),
        ('<depend condition="$ROS_DISTRO != kilted">hri_msgs</depend>', 0, "rosdep keys: all are available in ROS "),
        ('<depend condition="$ROS_DISTRO == humble">old</depend>', 0, "rosdep keys: all are available in ROS "),
        ('<depend condition="$ROS_DISTRO == jazzy">old</depend>', 1, "old: not available in ROS jazzy on Ubuntu noble"),
        ('<depend condition="$ROS_DISTRO == jazzy">wheel-pip</depend>', 1, "wheel-pip: not available in ROS jazzy"),
    ],
)
def test_keys_that_a_distribution_lacks_are_named(check, more, code, output):
    returned, printed = check(more)
    assert returned == code
    assert printed.startswith(output)


def test_check_of_keys_without_lists_says_that_it_is_skipped(check, tmp_path):
    code, output = check("", (tmp_path / "nowhere").as_uri())
    assert code == 0
    assert output.startswith("rosdep keys: skipped: cannot download")


def test_every_list_of_the_libraries_for_serving_is_the_same():
    libraries = INSTALL_SERVING.removeprefix("pip install ").split()
    extras = (ROOT / "requirements" / "robot-extras.txt").read_text()
    assert [line.partition("==")[0] for line in extras.splitlines()][-len(libraries) :] == libraries
    assert f'"serve": {libraries}'.replace("'", '"') in (ROOT / "setup.py").read_text()


def test_library_that_is_too_old_is_one_line_and_a_defect_of_this_package_is_raised():
    line = describe_import_error(ImportError("cannot import name 'ConfigDict'", name="pydantic"))
    assert line.startswith("pydantic cannot be used (cannot import name 'ConfigDict'): pip install fastapi ")
    with pytest.raises(ImportError, match="missing"):
        describe_import_error(ImportError("missing", name="emotion_ros.serving.app"))


@pytest.mark.parametrize("folder", ["README.md", "docs", "docker", ".github", "emotion_ros"])
def test_nothing_is_installed_over_the_packages_of_the_distribution(folder):
    path = ROOT / folder
    for file in [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]:
        text = file.read_bytes().decode(errors="ignore").lower()
        assert "break-system-packages" not in text.replace("_", "-"), file


def test_changelog_for_bloom_has_the_features_of_every_version():
    printed = subprocess.run([sys.executable, ROOT / "scripts" / "changelog_rst.py"], capture_output=True, text=True)
    assert (ROOT / "CHANGELOG.rst").read_text() == printed.stdout, "regenerate it: scripts/changelog_rst.py"
    # catkin_prepare_release replaces the heading before bloom reads the file.
    text = printed.stdout.replace("Forthcoming\n-----------", "0.1.0 (2026-01-31)\n------------------")
    ((version, _, (content,)),) = populate_changelog_from_rst(Changelog("emotion_ros"), text).foreach_version()
    features = (ROOT / "CHANGELOG.md").read_text().partition("### Features")[2].partition("###")[0]
    assert version == "0.1.0"
    assert len(content.bullets) == features.count("\n- ") + 1  # and the note
