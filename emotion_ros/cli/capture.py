"""``emotion-ros capture``: takes labelled pictures."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--label", required=True, help="class of the pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set; gets a folder per class")
    parser.add_argument("--source", default="0", help="camera index or device, video, picture or folder (default: 0)")
    parser.add_argument("--count", type=int, default=30, help="number of pictures (default: 30)")
    parser.add_argument("--every", type=float, default=0.3, help="seconds between two pictures (default: 0.3)")
    parser.add_argument("--require", default="", help="reject pictures that are not: sharp,face,hand")


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.cli.capture_session import capture
    from emotion_ros.io.dataset_writer import CaptureRequest

    require = tuple(part for part in parsed.require.split(",") if part)
    request = CaptureRequest(parsed.label, parsed.out, parsed.count, parsed.every)
    return int(capture(request, parsed.source, require) == 0)
