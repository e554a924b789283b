"""``emotion-ros label-faces``: labels the faces in photos with another detector."""

from __future__ import annotations

import argparse
from pathlib import Path

from emotion_ros.cli.extras import requires_training
from emotion_ros.config import PipelineConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with photos.zip")
    parser.add_argument("--out", type=Path, help="CSV file for train-detector (default: faces.csv in DATA)")
    parser.add_argument(
        "--teacher", default="yunet", choices=("yunet", "emotion_faces"), help="face detector (default: yunet)"
    )
    parser.add_argument("--model", default="", help="its ONNX file or catalog name; yunet needs one: yunet_2026may")


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.config.options import build
    from emotion_ros.perception.loaded_models import create_face_detector
    from emotion_ros.training.detector.face_labels import MAX_SIDE_PX, label_photos

    settings = {"face_detector": parsed.teacher, "face_model": parsed.model, "face_input_size": MAX_SIDE_PX}
    teacher = create_face_detector(build(PipelineConfig, {**settings, "threads": 1}))
    output = parsed.out or parsed.data / "faces.csv"
    photos, faces = label_photos(parsed.data, output, teacher)
    print(f"{output}: {faces} faces in {photos} photos")
    return 0
