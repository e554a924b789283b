"""``emotion-ros label-hands``: labels the hands in photos with another hand detector."""

from __future__ import annotations

import argparse
from pathlib import Path

from emotion_ros.cli.extras import requires_training

MAX_HANDS = 8
"""Hands per photo or part of a photo that are labelled."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with photos.zip")
    parser.add_argument("--out", type=Path, help="CSV file (default: hands.csv in DATA)")
    parser.add_argument("--teacher", default="mediapipe", help="hand detector (default: mediapipe)")


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.config import PipelineConfig
    from emotion_ros.config.options import build
    from emotion_ros.perception.loaded_models import create_hand_detector
    from emotion_ros.training.hands.hand_labels import label_photos
    from emotion_ros.training.hands.hand_photos import LABELS

    teacher = create_hand_detector(build(PipelineConfig, {"hand_detector": parsed.teacher, "max_hands": MAX_HANDS}))
    output = parsed.out or parsed.data / LABELS
    photos, reliable = label_photos(parsed.data, output, teacher)
    print(f"{output}: {reliable} reliable hands in {photos} photos")
    return 0
