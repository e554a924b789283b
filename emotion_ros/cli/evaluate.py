"""``emotion-ros evaluate``: measures a model on labelled pictures."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion_ros.cli.arguments import add_crop_argument, named_data
from emotion_ros.cli.extras import requires_training
from emotion_ros.errors import ConfigError
from emotion_ros.inference.catalog import find_model
from emotion_ros.io.atomic_file import replacing
from emotion_ros.perception.emotion.label_map import read_prior


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "model",
        help="ONNX or TFLite file, or a catalog name; or face detectors, such as emotion_faces,mediapipe,yunet=FILE; "
        "or hand detectors, such as emotion_hands,mediapipe or emotion_hands=DETECTOR+LANDMARKS; or "
        "emotion_face_landmarks or emotion_eyes, or emotion_face_landmarks=FILE",
    )
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        metavar="DATA",
        help="pictures in a folder per class, or NAME=PATH; or photos.zip and groups.csv of people in groups; for face "
        "detectors folders with photos.zip and CSV, or YOLO labels; for eyes folders with photos.zip, or videos",
    )
    parser.add_argument(
        "--folder",
        default="",
        help="folder in photos.zip whose photos alone are measured, all of them, and what was recognized of each "
        "gesture that sources.csv names in its column hint (hand detectors)",
    )
    parser.add_argument("--backgrounds", default="", help="pictures without people, for scenes (face detectors)")
    parser.add_argument(
        "--confidence", type=float, default=0.5, help="minimum confidence of a face (face detectors; 0.5)"
    )
    parser.add_argument("--split", default="val", choices=("train", "val", "test"), help="(default: val)")
    parser.add_argument(
        "--groups", type=Path, help="CSV with a column file and a column per kind of group, such as age"
    )
    parser.add_argument(
        "--prior",
        help="relative frequencies of the classes, in YAML: {neutral: 3}; in place of the model's",
    )
    parser.add_argument("--labels", type=Path, help="labels.txt of a model without metadata")
    parser.add_argument("--out", type=Path, help="folder for the report: Markdown, JSON, pictures")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_crop_argument(parser)


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.perception.detection import FACE_DETECTORS, HAND_DETECTORS

    if parsed.model.partition("=")[0] == "emotion_face_landmarks":
        return _evaluate_poses(parsed)
    if parsed.model.partition("=")[0] == "emotion_eyes":
        return _evaluate_eyes(parsed)
    names = {name.partition("=")[0] for name in parsed.model.split(",")}
    if names <= set(HAND_DETECTORS) and not names <= set(FACE_DETECTORS):
        return _evaluate_hands(parsed)
    if parsed.model.split(",")[0].partition("=")[0] in FACE_DETECTORS:
        return _evaluate_faces(parsed)
    return _evaluate_classifier(parsed)


def _evaluate_classifier(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.evaluation.classifier_evaluation import evaluate, mean_recall
    from emotion_ros.training.evaluation.evaluation_report import markdown, overview, write_report
    from emotion_ros.training.evaluation.prediction_shares import has_groups

    prior = None if parsed.prior is None else read_prior(parsed.prior)
    model, sets = find_model(parsed.model), named_data(parsed.data)
    if any(map(has_groups, sets.values())):
        return _evaluate_groups(parsed, model, prior)
    if parsed.groups and len(sets) > 1:
        raise ConfigError("evaluate: --groups describes the pictures of one data set, got several")
    options = (parsed.split, parsed.groups, parsed.crop, parsed.labels, prior)
    figures = {name: evaluate(model, data, *options) for name, data in sets.items()}
    for name, each in figures.items():
        if parsed.out:
            write_report(each, parsed.out if len(sets) == 1 else parsed.out / name)
    mean = mean_recall(figures.values())
    if parsed.json:
        print(json.dumps({"mean_recall": mean, "data": figures} if len(sets) > 1 else next(iter(figures.values()))))
        return 0
    texts = [markdown(each, parsed.out is not None, name if len(sets) > 1 else "") for name, each in figures.items()]
    print("\n".join([overview(figures, mean), *texts] if len(sets) > 1 else texts))
    return 0


def _evaluate_groups(parsed: argparse.Namespace, model: Path, prior: Mapping[str, float] | None) -> int:
    from emotion_ros.training.evaluation.prediction_shares import prediction_shares, table

    if len(parsed.data) > 1:
        raise ConfigError("evaluate: expected one folder of people in groups at a time")
    figures = prediction_shares(model, parsed.data[0], prior)
    _report(parsed, "groups.json", figures, table(figures))
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


def _evaluate_poses(parsed: argparse.Namespace) -> int:
    from emotion_ros.config import PipelineConfig
    from emotion_ros.perception.loaded_models import create_face_detector
    from emotion_ros.training.faces.face_evaluation import measure_poses, table

    network = find_model(parsed.model.partition("=")[2] or "emotion_face_landmarks")
    measured = measure_poses(network, create_face_detector(PipelineConfig()), parsed.data)
    figures = {name: each.summary() for name, each in measured.items()}
    _report(parsed, "poses.json", figures, table(figures))
    return 0


def _evaluate_eyes(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.eyes.eye_evaluation import measure_eyes, table

    figures = measure_eyes(find_model(parsed.model.partition("=")[2] or "emotion_eyes"), parsed.data)
    _report(parsed, "eyes.json", figures, table(figures))
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
