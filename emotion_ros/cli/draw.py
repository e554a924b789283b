"""``emotion-ros draw``: draws a small data set out of a large one."""

from __future__ import annotations

import argparse
from pathlib import Path

from emotion_ros.cli.extras import requires_training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("data", type=Path, metavar="DATA", help="data set with splits, or FER2013's CSV")
    parser.add_argument("--out", type=Path, required=True, help="a new folder; gets a folder per class")
    parser.add_argument(
        "--split", default="train", choices=("train", "val", "test"), help="source split (default: train)"
    )
    parser.add_argument(
        "--classes", required=True, help="new=old names, such as happiness=happy,sadness=sad,peace=neutral"
    )
    parser.add_argument("--count", type=int, default=90, help="number of pictures of all classes (default: 90)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the choice; the same seed draws the same pictures")


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.training.data.subset import draw, parse_classes

    counts = draw(parsed.data, parsed.split, parse_classes(parsed.classes), parsed.count, parsed.out, parsed.seed)
    print(f"{parsed.out}: " + ", ".join(f"{label} {count}" for label, count in sorted(counts.items())))
    return 0
