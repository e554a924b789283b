"""``emotion-ros report``: summarizes a recorded session."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("source", type=Path, help="emotions.jsonl, lines of detect --json, or a bag with emotions")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder for timeline.png and people.csv")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.io import session_report

    rows = session_report.table(session_report.report(parsed.source, parsed.out))
    if parsed.json:
        print(json.dumps(rows, indent=2))
        return 0
    columns = [*rows[0]]
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for row in rows:
        print("| " + " | ".join(str(row[column]) for column in columns) + " |")
    print(f"written: {parsed.out / 'timeline.png'}, {parsed.out / 'people.csv'}")
    return 0
