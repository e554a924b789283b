"""``emotion-ros evaluate``: measures a model on labelled pictures."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion_ros.cli.arguments import add_crop_argument
from emotion_ros.cli.extras import requires_training
from emotion_ros.errors import ConfigError
from emotion_ros.inference.catalog import find_model
from emotion_ros.io.atomic_file import replacing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "model",
        help="ONNX or TFLite file, or a catalog name; or face detectors, such as emotion_faces,mediapipe,yunet=FILE; "
        "or hand detectors, such as emotion_hands,mediapipe or emotion_hands=DETECTOR+LANDMARKS",
    )
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        metavar="DATA",
        help="pictures in a folder per class; for face detectors folders with photos.zip and CSV, or YOLO labels",
    )
    parser.add_argument(
        "--folder",
        default="",
        help="folder in photos.zip whose photos alone are measured, all of them (hand detectors)",
    )
    parser.add_argument("--backgrounds", default="", help="pictures without people, for scenes (face detectors)")
    parser.add_argument(
        "--confidence", type=float, default=0.5, help="minimum confidence of a face (face detectors; 0.5)"
    )
    parser.add_argument("--split", default="val", choices=("train", "val", "test"), help="(default: val)")
    parser.add_argument(
        "--groups", type=Path, help="CSV with a column file and a column per kind of group, such as age"
    )
    parser.add_argument("--labels", type=Path, help="labels.txt of a model without metadata")
    parser.add_argument("--out", type=Path, help="folder for the report: Markdown, JSON, pictures")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_crop_argument(parser)


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.perception.detection import FACE_DETECTORS, HAND_DETECTORS

    names = {name.partition("=")[0] for name in parsed.model.split(",")}
    if names <= set(HAND_DETECTORS) and not names <= set(FACE_DETECTORS):
        return _evaluate_hands(parsed)
    if parsed.model.split(",")[0].partition("=")[0] in FACE_DETECTORS:
        return _evaluate_faces(parsed)
    from emotion_ros.training.evaluation.classifier_evaluation import evaluate
    from emotion_ros.training.evaluation.evaluation_report import markdown, write_report

    if len(parsed.data) > 1:
        raise ConfigError(f"evaluate: expected one folder for a classifier, got {len(parsed.data)}")
    (data,) = parsed.data
    figures = evaluate(find_model(parsed.model), data, parsed.split, parsed.groups, parsed.crop, parsed.labels)
    if parsed.out:
        write_report(figures, parsed.out)
    print(json.dumps(figures) if parsed.json else markdown(figures, pictures=parsed.out is not None))
    return 0


def _evaluate_faces(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.detector.detector_comparison import compare, table

    figures = compare(parsed.model.split(","), parsed.data, parsed.backgrounds, parsed.confidence)
    _report(parsed, "faces.json", figures, table(figures))
    return 0


def _evaluate_hands(parsed: argparse.Namespace) -> int:
    from emotion_ros.config import PipelineConfig
    from emotion_ros.config.options import build
    from emotion_ros.perception.loaded_models import create_hand_detector
    from emotion_ros.training.hands.hand_evaluation import measure_hands, table

    figures = {}
    for name in parsed.model.split(","):
        detector_name, _, files = name.partition("=")
        hand_model, _, landmark_model = files.partition("+")
        settings = {"hand_model": hand_model, "hand_landmark_model": landmark_model}
        detector = create_hand_detector(build(PipelineConfig, {"hand_detector": detector_name, **settings}))
        figures[name] = measure_hands(detector, parsed.data, parsed.folder).summary()
        detector.close()
    _report(parsed, "hands.json", figures, table(figures))
    return 0


def _report(parsed: argparse.Namespace, name: str, figures: Any, table: str) -> None:
    """Write the figures into a file of the folder, if there is one, and print them."""
    if parsed.out:
        parsed.out.mkdir(parents=True, exist_ok=True)
        with replacing(parsed.out / name) as partial:
            partial.write_text(json.dumps(_without_nan(figures), indent=2))
    print(json.dumps(_without_nan(figures)) if parsed.json else table)


def _without_nan(value: Any) -> Any:
    """Return figures with None in place of NaN, which JSON does not know."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
