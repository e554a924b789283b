"""``emotion-ros split``: divides pictures into train, val and test."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from emotion_ros.cli.extras import requires_training

MAX_PRINTED_PAIRS = 10
"""Maximum number of printed pairs of similar pictures with different labels."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("source", type=Path, help="a folder of pictures per class")
    parser.add_argument("--out", type=Path, help="folder of the split (default: SOURCE-split)")
    parser.add_argument("--ratios", default="80/10/10", help="percent, or numbers of pictures, of train/val/test")
    parser.add_argument("--seed", type=int, default=1, help="seed of the split; the same seed gives the same split")
    parser.add_argument(
        "--naive", action="store_true", help="ignore bursts and similar pictures: measures how they flatter a model"
    )


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.training.data.dataset_split import split

    named = Path(os.path.abspath(parsed.source)) if parsed.source.name in ("", "..") else parsed.source
    out = parsed.out or named.with_name(f"{named.name}-split")
    result = split(parsed.source, out, parsed.ratios, parsed.seed, parsed.naive)
    for name, counts in result.counts.items():
        classes = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
        print(f"{name:6} {counts.total():6}  {classes}")
    print(f"{result.together} pictures stay together with others of their burst or that look nearly the same")
    for first, second in result.doubtful[:MAX_PRINTED_PAIRS]:
        print(f"look nearly the same, but have two labels: {first} and {second}")
    if len(result.doubtful) > MAX_PRINTED_PAIRS:
        print(f"and {len(result.doubtful) - MAX_PRINTED_PAIRS} more such pairs")
    print(f"written: {out}")
    return 0
