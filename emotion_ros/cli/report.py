"""``emotion-ros report``: summarizes a recorded session."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="emotions.jsonl of run, the output of detect --json, a bag with emotions, or the folder around one",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("report"),
        metavar="FOLDER",
        help="folder for timeline.png, people.csv, events.csv and group.csv (default: report)",
    )
    parser.add_argument("--json", action="store_true", help="print the table as JSON instead of Markdown")


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.cli.markdown import markdown_table
    from emotion_ros.io import session_report

    rows = session_report.table(session_report.report(parsed.source, parsed.out))
    if parsed.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(markdown_table([*rows[0]], [[*row.values()] for row in rows]))
    names = "timeline.png", "people.csv", "events.csv", "group.csv"
    print("written: " + ", ".join(str(parsed.out / name) for name in names))
    return 0
