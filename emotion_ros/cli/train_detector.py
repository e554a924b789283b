"""``emotion-ros train-detector``: trains a face detector."""

from __future__ import annotations

import argparse
from pathlib import Path

from emotion_ros.cli.arguments import add_options
from emotion_ros.cli.extras import requires_training
from emotion_ros.cli.train import add_training_arguments, report_result
from emotion_ros.config import FaceTrainConfig
from emotion_ros.config.options import build


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with photos.zip and a CSV file of its faces")
    add_training_arguments(parser)
    add_options(parser, FaceTrainConfig)


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.training.detector.detector_training import train_detector

    result = train_detector(parsed.data, parsed.model_dir, build(FaceTrainConfig, vars(parsed)), parsed.resume)
    return report_result(result, "average precision on held-out photos", f"{parsed.model_dir}/best.ckpt MODEL.onnx")
