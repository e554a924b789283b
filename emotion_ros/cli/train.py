"""``emotion-ros train``: trains a classifier."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_ros.cli.arguments import add_options
from emotion_ros.cli.extras import requires_training
from emotion_ros.config import TrainConfig
from emotion_ros.config.options import build

if TYPE_CHECKING:
    from emotion_ros.training.training_loop import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "data", type=Path, nargs="+", metavar="DATA", help="data sets: pictures in train and val, a folder per class"
    )
    add_training_arguments(parser)
    add_options(parser, TrainConfig)


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    config = build(TrainConfig, vars(parsed))  # wrong values are refused before the import, which takes seconds
    from emotion_ros.training.classifier.classifier_training import train

    result = train(parsed.data, parsed.model_dir, config, parsed.resume)
    export = shlex.join([f"{parsed.model_dir}/best.ckpt", "MODEL.onnx", "--calibrate", *map(str, parsed.data)])
    return report_result(result, "mean recall on val", export)


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that all trainings share."""
    parser.add_argument("--model-dir", type=Path, required=True, help="folder for checkpoints and metrics")
    parser.add_argument("--resume", action="store_true", help="continue from last.ckpt")


def report_result(result: Result, metric: str, export: str) -> int:
    """Print the score and the arguments of the next command, and return the exit code."""
    if result.interrupted:
        advice = "add --resume to the command to continue" if result.epochs else "nothing is stored, start again"
        epochs = "1 epoch" if result.epochs == 1 else f"{result.epochs} epochs"
        print(f"emotion-ros: stopped after {epochs}; {advice}", file=sys.stderr)
        return 130
    print(f"best {metric} {result.score:.4f}")
    print(f"next: emotion-ros export {export}")
    return 0
