"""``emotion-ros train-eyes``: trains the eye network."""

from __future__ import annotations

import argparse
from pathlib import Path

from emotion_ros.cli.arguments import add_options
from emotion_ros.cli.extras import requires_training
from emotion_ros.cli.train import add_training_arguments, report_result
from emotion_ros.config import EyeTrainConfig
from emotion_ros.config.options import build


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "data", type=Path, nargs="+", metavar="DATA", help="folders with photos.zip and face_meshes.npz of label-meshes"
    )
    add_training_arguments(parser)
    add_options(parser, EyeTrainConfig)


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    config = build(EyeTrainConfig, vars(parsed))  # wrong values are refused before the import, which takes seconds
    from emotion_ros.training.eyes.eye_training import train_eyes

    result = train_eyes(parsed.data, parsed.model_dir, config, parsed.resume)
    return report_result(
        result,
        "correlation of the upper lids with the labels, held-out photos",
        f"{parsed.model_dir}/best.ckpt MODEL.onnx",
    )
