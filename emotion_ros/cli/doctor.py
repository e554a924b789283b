"""``emotion-ros doctor``: checks the installation and the running ROS graph, and says what to do."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator

from emotion_ros.cli.findings import ERROR, OK, Finding
from emotion_ros.cli.installation_checks import installation_findings
from emotion_ros.cli.ros_installation import require_ros
from emotion_ros.errors import ConfigError

MAX_SECONDS = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="time in which arriving images are counted (default: 3)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code: 1 if something does not work."""
    if not 0 < parsed.seconds <= MAX_SECONDS:
        raise ConfigError(f"doctor: expected --seconds above 0 and at most {MAX_SECONDS:g}, got {parsed.seconds:g}")
    findings = []
    for finding in _findings(parsed.seconds):
        findings.append(finding)
        if not parsed.json:
            print(_line(finding), flush=True)  # each as soon as it is known
    if parsed.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings]))
    return int(any(finding.level == ERROR for finding in findings))


def _findings(seconds: float) -> Iterator[Finding]:
    yield from installation_findings()
    try:
        require_ros("doctor")
    except ConfigError as error:
        problem, _, remedy = str(error).partition("; ")
        yield Finding(ERROR, "ROS 2", problem, remedy)
        return
    from emotion_ros.cli.graph_checks import graph_findings
    from emotion_ros.nodes.graph_survey import survey

    yield from graph_findings(survey(seconds))


def _line(finding: Finding) -> str:
    remedy = f"\n{'':9}{'-> ' + finding.remedy}" if finding.remedy and finding.level != OK else ""
    note = f" ({finding.remedy})" if finding.remedy and finding.level == OK else ""
    return f"{finding.level:8} {finding.subject}: {finding.text}{note}{remedy}"
