"""``emotion-ros compare``: measures several models on the same pictures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from emotion_ros.cli.arguments import add_crop_argument
from emotion_ros.cli.extras import requires_training
from emotion_ros.inference.catalog import find_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("data", type=Path, metavar="DATA", help="pictures in a folder per class")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="ONNX or TFLite files, or catalog names")
    parser.add_argument("--split", default="val", choices=("train", "val", "test"), help="(default: val)")
    parser.add_argument(
        "--corruptions",
        action="store_true",
        help="measure on blurred, dark, noisy, low-resolution, compressed and tilted copies",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_crop_argument(parser)


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.training.evaluation.classifier_evaluation import evaluate
    from emotion_ros.training.evaluation.evaluation_report import comparison

    if parsed.corruptions:
        from emotion_ros.training.evaluation.robustness import robustness, table

        accuracies = robustness([find_model(model) for model in parsed.models], parsed.data, parsed.split, parsed.crop)
        print(json.dumps(accuracies) if parsed.json else table(accuracies))
        return 0
    rows = [evaluate(find_model(model), parsed.data, parsed.split, crop=parsed.crop) for model in parsed.models]
    print(json.dumps(rows) if parsed.json else comparison(rows))
    return 0
