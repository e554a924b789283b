"""``emotion-ros``: one file per command. Heavy imports are made by the command that needs them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from emotion_ros import __version__
from emotion_ros.cli import (
    benchmark,
    capture,
    compare,
    detect,
    draw,
    evaluate,
    export,
    measure_crop,
    models,
    quantize,
    report,
    run,
    serve,
    split,
    train,
    train_detector,
)
from emotion_ros.errors import ConfigError, EmotionRosError

COMMANDS = {
    "run": (run, "bring up the ROS graph: image source, detector, recorder"),
    "detect": (detect, "perceive pictures, videos, bags or a camera, without ROS"),
    "report": (report, "summarize a recorded session: a timeline and a table of people"),
    "serve": (serve, "answer over HTTP"),
    "models": (models, "list, show, fetch or verify models"),
    "capture": (capture, "take labelled pictures for training"),
    "split": (split, "divide pictures into train, val and test"),
    "draw": (draw, "draw a small data set out of a large one"),
    "train": (train, "train a classifier"),
    "train-detector": (train_detector, "train a face detector"),
    "export": (export, "write a checkpoint as a model file with metadata"),
    "quantize": (quantize, "write an int8 copy of an ONNX model, if it stays accurate"),
    "evaluate": (evaluate, "measure a model on labelled pictures"),
    "compare": (compare, "measure several models on the same pictures, as a table"),
    "measure-crop": (measure_crop, "find the crop margin and shift that suit a model best"),
    "benchmark": (benchmark, "measure the pipeline and the ROS graph on this machine"),
}
"""Name to the module that has ``add_arguments`` and ``run``, and what it does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0; 1 if something failed; 2 for wrong use; 130 after Ctrl-C.
    """
    parsed = build_parser().parse_args(arguments)
    try:
        return int(parsed.command(parsed))
    except ConfigError as error:
        print(f"emotion-ros: {error}", file=sys.stderr)
        return 2
    except EmotionRosError as error:
        print(f"emotion-ros: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="emotion-ros", description="Perceive how the people in front of a robot seem to feel."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (module, description) in COMMANDS.items():
        command = commands.add_parser(name, help=description, description=description)
        module.add_arguments(command)
        command.set_defaults(command=module.run)
    return parser
