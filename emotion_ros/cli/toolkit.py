"""The commands that make models: capture, split, train, export, quantize, evaluate, measure-crop."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotion_ros.catalog import find_model
from emotion_ros.cli.options import add_command, add_options
from emotion_ros.config import FaceTrainConfig, TrainConfig
from emotion_ros.errors import ConfigError
from emotion_ros.options import build

if TYPE_CHECKING:
    from emotion_ros.training.trainer import Result

NAMED = 10
"""Doubtful pairs that split prints; the rest it counts."""


def add_commands(commands: Any) -> None:
    """Add the toolkit's commands to a parser's subcommands."""
    _add_data_commands(commands)
    _add_model_commands(commands)


def _add_data_commands(commands: Any) -> None:
    capture = add_command(commands, "capture", _capture, "take labelled pictures for training")
    capture.add_argument("--label", required=True, help="the class")
    capture.add_argument("--out", type=Path, required=True, help="folder of the data set; gets a folder per class")
    capture.add_argument("--source", default="0", help="camera index or device, video, picture or folder (default: 0)")
    capture.add_argument("--count", type=int, default=30, help="how many pictures (default: 30)")
    capture.add_argument("--every", type=float, default=0.3, help="seconds between them (default: 0.3)")
    capture.add_argument("--require", default="", help="refuse pictures that are not: sharp,face,hand")

    draw = add_command(commands, "draw", _draw, "draw a small data set out of a large one")
    draw.add_argument("data", type=Path, metavar="DATA")
    draw.add_argument("--out", type=Path, required=True, help="a new folder; gets a folder per class")
    draw.add_argument("--split", default="train", choices=("train", "val", "test"), help="where from (default: train)")
    draw.add_argument("--classes", required=True, help="such as happiness=happy,sadness=sad,peace=neutral")
    draw.add_argument("--count", type=int, default=90, help="pictures of all classes together (default: 90)")
    draw.add_argument("--seed", type=int, default=1, help="the same seed draws the same pictures")

    split = add_command(commands, "split", _split, "divide pictures into train, val and test")
    split.add_argument("source", type=Path, help="a folder of pictures per class")
    split.add_argument("--out", type=Path, help="where the split goes (default: SOURCE-split)")
    split.add_argument("--ratios", default="80/10/10", help="percent, or pictures in all, of train/val/test")
    split.add_argument("--seed", type=int, default=1, help="the same seed gives the same split")
    split.add_argument(
        "--naive", action="store_true", help="as if no two pictures were alike: to see how much that flatters a model"
    )


def _add_model_commands(commands: Any) -> None:
    train = add_command(commands, "train", _train, "train a classifier")
    train.add_argument("data", type=Path, metavar="DATA")
    train.add_argument("--model-dir", type=Path, required=True, help="folder for checkpoints and metrics")
    train.add_argument("--resume", action="store_true", help="go on from last.ckpt")
    add_options(train, TrainConfig)

    faces = add_command(commands, "train-detector", _train_detector, "train a face detector")
    faces.add_argument("data", type=Path, metavar="DATA", help="folder with photos.zip and a CSV file of its faces")
    faces.add_argument("--model-dir", type=Path, required=True, help="folder for checkpoints and metrics")
    faces.add_argument("--resume", action="store_true", help="go on from last.ckpt")
    add_options(faces, FaceTrainConfig)

    export = add_command(commands, "export", _export, "turn a checkpoint into a model with its contract")
    export.add_argument("checkpoint", type=Path)
    export.add_argument("output", type=Path)
    export.add_argument(
        "--format", default="onnx", choices=("onnx", "tflite", "c", "edge-impulse"), help="(default: onnx)"
    )
    export.add_argument(
        "--calibrate", type=Path, metavar="DATA", help="what it was trained on: sets temperature and int8 ranges"
    )
    export.add_argument("--margin", type=float, help="of the crop, as measure-crop finds it")
    export.add_argument("--shift", type=float, help="of the crop, as measure-crop finds it")
    export.add_argument("--data", help="what the model was trained on, for its metadata")
    export.add_argument("--licence", help="of the model, for its metadata")

    quantize = add_command(commands, "quantize", _quantize, "write an int8 copy of an ONNX model, if it stays right")
    quantize.add_argument("model", type=Path)
    quantize.add_argument("data", type=Path, metavar="DATA", help="what it was trained on")
    quantize.add_argument("output", type=Path)
    quantize.add_argument("--kind", default="static", choices=("static", "dynamic"), help="(default: static)")
    quantize.add_argument("--max-drop", type=float, default=1.0, help="points of val accuracy it may lose (default: 1)")
    _add_crop(quantize)

    evaluate = add_command(commands, "evaluate", _evaluate, "how right a model is on labelled pictures")
    evaluate.add_argument(
        "model",
        help="ONNX or TFLite file, or a name of the catalog; or face detectors, as emotion_faces,mediapipe,yunet=FILE",
    )
    evaluate.add_argument(
        "data", type=Path, metavar="DATA", help="for face detectors photos.zip and CSV, or YOLO labels"
    )
    evaluate.add_argument("--backgrounds", default="", help="pictures without people, for scenes (face detectors)")
    evaluate.add_argument("--confidence", type=float, default=0.5, help="of faces that count (face detectors; 0.5)")
    evaluate.add_argument("--split", default="val", choices=("train", "val", "test"))
    evaluate.add_argument("--groups", type=Path, help="CSV with a column file and one per kind of group")
    evaluate.add_argument("--labels", type=Path, help="labels.txt of a model without a contract")
    evaluate.add_argument("--out", type=Path, help="folder for the report: Markdown, JSON, pictures")
    evaluate.add_argument("--json", action="store_true", help="machine-readable")
    _add_crop(evaluate)

    compare = add_command(commands, "compare", _compare, "models side by side on the same pictures, as a table")
    compare.add_argument("data", type=Path, metavar="DATA")
    compare.add_argument("models", nargs="+", metavar="MODEL", help="ONNX or TFLite files, or names of the catalog")
    compare.add_argument("--split", default="val", choices=("train", "val", "test"))
    compare.add_argument(
        "--corruptions", action="store_true", help="on pictures that are dark, far away, in motion …, more and more"
    )
    compare.add_argument("--json", action="store_true", help="machine-readable")
    _add_crop(compare)

    crop = add_command(commands, "measure-crop", _measure_crop, "which crop margin and shift suit a model best")
    crop.add_argument("model", type=Path)
    crop.add_argument("data", type=Path, metavar="DATA")
    crop.add_argument("--split", default="val", choices=("train", "val", "test"))
    crop.add_argument("--detectors", default="mediapipe,mediapipe_full", help="a name, or name=model, with commas")
    crop.add_argument("--tilts", help="degrees, with commas: measure what aligning the crop brings on faces turned so")
    crop.add_argument("--pictures", type=int, default=1200, help="how many of the split")
    crop.add_argument("--json", action="store_true", help="machine-readable")


def _add_crop(parser: argparse.ArgumentParser) -> None:
    about = "find the region in each picture; auto: in those of more than 128 pixels"
    parser.add_argument("--crop", default="auto", choices=("auto", "yes", "no"), help=about)


def _capture(parsed: argparse.Namespace) -> int:
    from emotion_ros.capture import Request, capture

    require = tuple(part for part in parsed.require.split(",") if part)
    taken = capture(Request(parsed.label, parsed.out, parsed.count, parsed.every, require), parsed.source)
    return int(taken == 0)


def _draw(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.draw import draw, parse_classes

    counts = draw(parsed.data, parsed.split, parse_classes(parsed.classes), parsed.count, parsed.out, parsed.seed)
    print(f"{parsed.out}: " + ", ".join(f"{label} {count}" for label, count in sorted(counts.items())))
    return 0


def _split(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.split import split

    out = parsed.out or parsed.source.with_name(f"{parsed.source.name}-split")
    done = split(parsed.source, out, parsed.ratios, parsed.seed, parsed.naive)
    for name, counts in done.counts.items():
        classes = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
        print(f"{name:6} {counts.total():6}  {classes}")
    print(f"{done.together} pictures stay together with others of their burst or that look nearly the same")
    for one, other in done.doubtful[:NAMED]:
        print(f"look nearly the same, but have two labels: {one} and {other}")
    if len(done.doubtful) > NAMED:
        print(f"and {len(done.doubtful) - NAMED} more such pairs")
    print(f"written: {out}")
    return 0


def _train(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.train import train

    result = train(parsed.data, parsed.model_dir, build(TrainConfig, vars(parsed)), parsed.resume)
    then = f"{parsed.model_dir}/best.ckpt MODEL.onnx --calibrate {parsed.data}"
    return _trained(result, "validation accuracy", then)


def _train_detector(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.faces.train import train_detector

    result = train_detector(parsed.data, parsed.model_dir, build(FaceTrainConfig, vars(parsed)), parsed.resume)
    return _trained(result, "average precision on held-out photos", f"{parsed.model_dir}/best.ckpt MODEL.onnx")


def _trained(result: Result, figure: str, then: str) -> int:
    if result.interrupted:
        again = "go on with the same command and --resume"
        print(f"emotion-ros: stopped after {result.epochs} epochs; {again}", file=sys.stderr)
        return 130
    print(f"best {figure} {result.score:.4f}")
    print(f"next: emotion-ros export {then}")
    return 0


def _export(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.faces.export import export_detector, is_detector
    from emotion_ros.training.formats import export_as

    given = {name: getattr(parsed, name) for name in ("margin", "shift", "data", "licence")}
    about = {name: value for name, value in given.items() if value is not None}
    if is_detector(parsed.checkpoint):
        if parsed.format != "onnx":
            raise ConfigError(f"export: a face detector becomes onnx, not {parsed.format}")
        print(json.dumps(export_detector(parsed.checkpoint, parsed.output, about, parsed.calibrate)))
        return 0
    print(export_as(parsed.format, parsed.checkpoint, parsed.output, about, parsed.calibrate))
    return 0


def _quantize(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.quantize import quantize

    change = quantize(parsed.model, parsed.data, parsed.output, parsed.kind, parsed.max_drop, parsed.crop)
    print("                   before      after")
    print(f"size, MB       {change.size[0] / 1e6:10.2f} {change.size[1] / 1e6:10.2f}")
    print(f"val accuracy   {change.accuracy[0]:10.4f} {change.accuracy[1]:10.4f}")
    print(f"ms a picture   {change.milliseconds[0]:10.2f} {change.milliseconds[1]:10.2f}")
    print(f"written: {parsed.output}")
    return 0


def _evaluate_faces(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.faces.compare import compare, table

    figures = compare(parsed.model.split(","), parsed.data, parsed.backgrounds, parsed.confidence)
    if parsed.out:
        parsed.out.mkdir(parents=True, exist_ok=True)
        (parsed.out / "faces.json").write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures) if parsed.json else table(figures))
    return 0


def _evaluate(parsed: argparse.Namespace) -> int:
    from emotion_ros.detection import FACE_DETECTORS

    if parsed.model.split(",")[0].partition("=")[0] in FACE_DETECTORS:
        return _evaluate_faces(parsed)
    from emotion_ros.training.evaluate import evaluate
    from emotion_ros.training.report import markdown, write_report

    figures = evaluate(find_model(parsed.model), parsed.data, parsed.split, parsed.groups, parsed.crop, parsed.labels)
    if parsed.out:
        write_report(figures, parsed.out)
    print(json.dumps(figures) if parsed.json else markdown(figures, pictures=parsed.out is not None))
    return 0


def _compare(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.evaluate import evaluate
    from emotion_ros.training.report import comparison

    if parsed.corruptions:
        from emotion_ros.training.robustness import robustness, table

        found = robustness([find_model(model) for model in parsed.models], parsed.data, parsed.split, parsed.crop)
        print(json.dumps(found) if parsed.json else table(found))
        return 0
    rows = [evaluate(find_model(model), parsed.data, parsed.split, crop=parsed.crop) for model in parsed.models]
    print(json.dumps(rows) if parsed.json else comparison(rows))
    return 0


def _measure_crop(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.crop import measure_alignment, measure_crop

    if parsed.tilts:
        tilts, detectors = [float(each) for each in parsed.tilts.split(",")], parsed.detectors.split(",")
        rows = measure_alignment(parsed.model, parsed.data, parsed.split, detectors, parsed.pictures, tilts)
        print(json.dumps(rows) if parsed.json else "\n".join(str(row) for row in rows))
        return 0
    figures = measure_crop(parsed.model, parsed.data, parsed.split, parsed.detectors.split(","), parsed.pictures)
    if parsed.json:
        print(json.dumps(figures))
        return 0
    for name, rows in figures["accuracy"].items():
        print(f"{name}: {figures['faces'][name]} faces; accuracy by margin (down) and shift (across)")
        print("       " + "".join(f"{shift:8.2f}" for shift in figures["shifts"]))
        for margin, row in zip(figures["margins"], rows, strict=True):
            print(f"{margin:7.2f}" + "".join(f"{value:8.4f}" for value in row))
    print(f"the pictures as they are: {figures['whole']:.4f}")
    print(f"best over all: --margin {figures['margin']} --shift {figures['shift']}")
    return 0
