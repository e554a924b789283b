"""``emotion-ros export``: writes a checkpoint as a model file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from emotion_ros.cli.arguments import named_data
from emotion_ros.cli.extras import requires_training
from emotion_ros.errors import ConfigError
from emotion_ros.perception.emotion.label_map import read_prior

SUFFIXES = {"onnx": (".onnx",), "tflite": (".tflite",), "c": (".c", ".cc", ".cpp")}
"""Format to the suffixes of its file; the others are folders."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("checkpoint", type=Path, help="best.ckpt or last.ckpt of a training")
    parser.add_argument("output", type=Path, help="the new file; for edge-impulse a folder")
    parser.add_argument(
        "--format", default="onnx", choices=("onnx", "tflite", "c", "edge-impulse"), help="(default: onnx)"
    )
    parser.add_argument(
        "--calibrate",
        type=Path,
        nargs="+",
        default=(),
        metavar="DATA",
        help="the training data, PATH or NAME=PATH: sets temperature, int8 ranges, confidence",
    )
    parser.add_argument("--margin", type=float, help="crop margin, as found by measure-crop")
    parser.add_argument("--shift", type=float, help="crop shift, as found by measure-crop")
    parser.add_argument("--prior", help="relative frequencies of the classes at run time, in YAML: {neutral: 3}")
    parser.add_argument("--data", help="description of the training data, for the metadata")
    parser.add_argument("--licence", help="licence of the model, for the metadata")


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.training.detector.detector_export import export_detector, is_detector
    from emotion_ros.training.export.formats import export_as
    from emotion_ros.training.eyes.eye_export import export_eyes, is_eyes
    from emotion_ros.training.faces.face_export import export_face_landmarks, is_face_landmarks
    from emotion_ros.training.hands.landmark_export import export_landmarks, is_landmarks

    _check_suffix(parsed.format, parsed.output)
    data = named_data(parsed.calibrate)
    options = {name: getattr(parsed, name) for name in ("margin", "shift", "prior", "data", "licence")}
    fields = {name: value for name, value in options.items() if value is not None}
    if parsed.prior is not None:
        fields["prior"] = read_prior(parsed.prior)
    if is_detector(parsed.checkpoint):
        _refuse(parsed, "a detector", "margin", "shift", "prior")
        print(json.dumps(export_detector(parsed.checkpoint, parsed.output, fields, [*data.values()])))
        return 0
    if is_face_landmarks(parsed.checkpoint):
        _refuse(parsed, "a face landmark network", "margin", "shift", "prior", "calibrate")
        print(json.dumps(export_face_landmarks(parsed.checkpoint, parsed.output, fields)))
        return 0
    if is_eyes(parsed.checkpoint):
        _refuse(parsed, "an eye network", "margin", "shift", "prior", "calibrate")
        print(json.dumps(export_eyes(parsed.checkpoint, parsed.output, fields)))
        return 0
    if is_landmarks(parsed.checkpoint):
        _refuse(parsed, "a hand landmark network", "margin", "shift", "prior", "calibrate")
        print(json.dumps(export_landmarks(parsed.checkpoint, parsed.output, fields)))
        return 0
    print(export_as(parsed.format, parsed.checkpoint, parsed.output, fields, data))
    return 0


def _check_suffix(format_name: str, output: Path) -> None:
    """Raise ConfigError if the file's name is that of another format, or of the checkpoint."""
    suffixes = SUFFIXES.get(format_name)
    if suffixes and output.suffix.lower() not in suffixes:
        raise ConfigError(
            f"export: expected a file that ends in {' or '.join(suffixes)} for --format {format_name}, got {output}"
        )


def _refuse(parsed: argparse.Namespace, model: str, *options: str) -> None:
    """Raise ConfigError if the format is not ONNX, or an option is given that has no effect on the model."""
    if parsed.format != "onnx":
        raise ConfigError(f"export: expected --format onnx for {model}, got {parsed.format}")
    given = [f"--{name}" for name in options if getattr(parsed, name) not in (None, ())]
    if given:
        raise ConfigError(f"export: {', '.join(given)} has no effect on {model}; leave it out")
