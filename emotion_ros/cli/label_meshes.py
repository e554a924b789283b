"""``emotion-ros label-meshes``: labels the faces in photos with MediaPipe Face Mesh."""

from __future__ import annotations

import argparse
from pathlib import Path

from emotion_ros.cli.extras import requires_training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with photos.zip")
    parser.add_argument("--out", type=Path, help="the file (default: face_meshes.npz in DATA)")


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.config import PipelineConfig
    from emotion_ros.perception.loaded_models import create_face_detector
    from emotion_ros.training.faces.mesh_labels import LABELS, label_photos

    output = parsed.out or parsed.data / LABELS
    photos, faces = label_photos(parsed.data, output, create_face_detector(PipelineConfig()))
    print(f"{output}: {faces} faces in {photos} photos")
    return 0
