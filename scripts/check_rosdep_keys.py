"""Checks that rosdep resolves every key of package.xml: check_rosdep_keys.py [URL of a copy of ros/rosdistro]

For each distribution of ROS, a key must be a package that is released there, or have a rule for its version of Ubuntu.
The lists are downloaded. If they cannot be reached, the check says so and is skipped.
"""

import sys
import urllib.request
from pathlib import Path

import yaml
from catkin_pkg.package import parse_package

LISTS = "https://raw.githubusercontent.com/ros/rosdistro/master"
DISTRIBUTIONS = ("humble", "jazzy", "kilted", "lyrical")
PACKAGE = Path(__file__).resolve().parents[1] / "package.xml"
DOWNLOAD_TIMEOUT_S = 20
KINDS = ("build", "buildtool", "build_export", "buildtool_export", "exec", "test", "doc")


def main():
    lists = sys.argv[1] if len(sys.argv) > 1 else LISTS
    try:
        rules = {**load(f"{lists}/rosdep/base.yaml"), **load(f"{lists}/rosdep/python.yaml")}
        distributions = {name: load(f"{lists}/{name}/distribution.yaml") for name in DISTRIBUTIONS}
    except OSError as error:
        print(f"rosdep keys: skipped: cannot download the lists of {lists}: {error}")
        return 0
    missing = [
        f"{key}: not available in ROS {name} on Ubuntu {ubuntu}"
        for name, distribution in distributions.items()
        for ubuntu in distribution["release_platforms"]["ubuntu"]
        for key in sorted(keys_of(PACKAGE, name) - released(distribution))
        if not has_apt_rule(rules.get(key, {}), ubuntu)
    ]
    print("\n".join(missing) or f"rosdep keys: all are available in ROS {', '.join(DISTRIBUTIONS)}")
    return int(bool(missing))


def load(url):
    with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_S) as file:
        return yaml.load(file.read(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def keys_of(path, distribution):
    """Return the keys that rosdep looks up for a distribution of ROS, without those of other conditions."""
    package = parse_package(str(path))
    package.evaluate_conditions({"ROS_DISTRO": distribution, "ROS_VERSION": "2", "ROS_PYTHON_VERSION": "3"})
    dependencies = [each for kind in KINDS for each in getattr(package, f"{kind}_depends")]
    return {each.name for each in dependencies if each.evaluated_condition}


def released(distribution):
    """Return the names of the packages that have a version in a distribution of ROS."""
    releases = {name: each.get("release", {}) for name, each in distribution["repositories"].items()}
    return {
        package
        for name, release in releases.items()
        if release.get("version")
        for package in release.get("packages", [name])
    }


def has_apt_rule(rule, ubuntu):
    """Return whether a rule names packages of a version of Ubuntu. Packages from pip do not count: see package.xml."""
    packages = rule.get("ubuntu")
    if isinstance(packages, dict) and "pip" not in packages:
        packages = packages.get(ubuntu, packages.get("*"))
    if isinstance(packages, dict):
        packages = packages.get("apt", {}).get("packages")
    return bool(packages)


if __name__ == "__main__":
    sys.exit(main())
