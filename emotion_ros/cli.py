"""``emotion-ros``: thin, calls the rooms of this package. Heavy imports only where a command needs them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from emotion_ros import __version__
from emotion_ros.config import PipelineConfig, RecorderConfig, SourceConfig, TrainConfig, build, options
from emotion_ros.errors import ConfigError, EmotionRosError

C = TypeVar("C")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0; 1 where something failed; 2 for wrong use; 130 after Ctrl-C.
    """
    parsed = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="emotion-ros", description="Perceive how the people in front of a robot feel."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "bring up the ROS graph: source, detector, recorder")
    for config in (SourceConfig, PipelineConfig, RecorderConfig):
        _add_options(run, config)

    detect = _command(commands, "detect", _detect, "perceive pictures, videos or a camera, without ROS")
    detect.add_argument("sources", nargs="+", metavar="SOURCE")
    detect.add_argument("--out", type=Path, help="folder for annotated copies")
    form = detect.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per frame on standard output")
    form.add_argument("--csv", action="store_true", help="one line per person on standard output")
    _add_options(detect, PipelineConfig)

    capture = _command(commands, "capture", _capture, "take labelled pictures for training")
    capture.add_argument("--label", required=True, help="the class")
    capture.add_argument("--out", type=Path, required=True, help="folder of the data set; gets a folder per class")
    capture.add_argument("--source", default="0", help="camera index or device, video, picture or folder (default: 0)")
    capture.add_argument("--count", type=int, default=30, help="how many pictures (default: 30)")
    capture.add_argument("--every", type=float, default=0.3, help="seconds between them (default: 0.3)")
    capture.add_argument("--require", default="", help="refuse pictures that are not: sharp,face,hand")

    split = _command(commands, "split", _split, "divide pictures into train, val and test")
    split.add_argument("source", type=Path, help="a folder of pictures per class")
    split.add_argument("--out", type=Path, help="where the split goes (default: SOURCE-split)")
    split.add_argument("--ratios", default="80/10/10", help="percent, or pictures in all, of train/val/test")
    split.add_argument("--seed", type=int, default=1, help="the same seed gives the same split")

    train = _command(commands, "train", _train, "train a classifier")
    train.add_argument("data", type=Path, metavar="DATA")
    train.add_argument("--model-dir", type=Path, required=True, help="folder for checkpoints and metrics")
    train.add_argument("--resume", action="store_true", help="go on from last.ckpt")
    _add_options(train, TrainConfig)

    export = _command(commands, "export", _export, "turn a checkpoint into an ONNX model with its contract")
    export.add_argument("checkpoint", type=Path)
    export.add_argument("output", type=Path)
    export.add_argument("--calibrate", type=Path, metavar="DATA", help="set the temperature on this data's val split")
    export.add_argument("--margin", type=float, default=0.0, help="of the crop, as measure-crop finds it")
    export.add_argument("--shift", type=float, default=0.0, help="of the crop, as measure-crop finds it")
    export.add_argument("--data", default="", help="what the model was trained on, for its metadata")
    export.add_argument("--licence", default="", help="of the model, for its metadata")

    evaluate = _command(commands, "evaluate", _evaluate, "how right a model is on labelled pictures")
    evaluate.add_argument("model", type=Path)
    evaluate.add_argument("data", type=Path)
    evaluate.add_argument("--split", default="val", choices=("train", "val", "test"))
    evaluate.add_argument("--json", action="store_true", help="machine-readable")

    crop = _command(commands, "measure-crop", _measure_crop, "which crop margin and shift suit a model best")
    crop.add_argument("model", type=Path)
    crop.add_argument("data", type=Path)
    crop.add_argument("--split", default="val", choices=("train", "val", "test"))
    crop.add_argument("--detectors", default="mediapipe,mediapipe_full", help="a name, or name=model, with commas")
    crop.add_argument("--pictures", type=int, default=1200, help="how many of the split")
    crop.add_argument("--json", action="store_true", help="machine-readable")

    models = _command(commands, "models", _models, "show a model's contract, list or fetch models")
    models.add_argument("action", choices=("show", "list", "fetch"))
    models.add_argument("name", nargs="?", help="a model file (show) or a name of the catalog (fetch)")

    benchmark = _command(commands, "benchmark", _benchmark, "measure the pipeline and the ROS graph on this machine")
    benchmark.add_argument("--source", default="sample", help="what is played, seen at 640×480")
    benchmark.add_argument("--out", type=Path, help="JSON file for the figures")
    return parser


def _command(commands: Any, name: str, function: Any, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=description, description=description)
    parser.set_defaults(command=function)
    return parser


def _add_options(parser: argparse.ArgumentParser, config: type[Any]) -> None:
    taken = {action.dest for action in parser._actions}
    for each in options(config):
        if each.name in taken:
            continue
        flag = f"--{each.name.replace('_', '-')}"
        about = f"{each.description} (default: {each.default})".replace("%", "%%")
        if each.type is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=each.default, help=about)
        else:
            choices = each.choices or None
            parser.add_argument(flag, type=each.type, default=each.default, choices=choices, help=about)


def _build(config: type[C], parsed: argparse.Namespace) -> C:
    return build(config, vars(parsed))


def _run(parsed: argparse.Namespace) -> int:
    from emotion_ros.nodes import graph

    source, detector = _build(SourceConfig, parsed), _build(PipelineConfig, parsed)
    if detector != PipelineConfig():
        from emotion_ros.pipeline import Pipeline

        Pipeline(detector).close()  # what cannot be used is one clear error here, not a graph that waits
    configs = (source, detector, _build(RecorderConfig, parsed))
    return graph.run(*(dataclasses.asdict(config) for config in configs))


def _detect(parsed: argparse.Namespace) -> int:
    from emotion_ros.batch import detect

    form = "json" if parsed.json else "csv" if parsed.csv else "text"
    return detect(parsed.sources, _build(PipelineConfig, parsed), parsed.out, form)


def _capture(parsed: argparse.Namespace) -> int:
    from emotion_ros.capture import Request, capture

    require = tuple(part for part in parsed.require.split(",") if part)
    taken = capture(Request(parsed.label, parsed.out, parsed.count, parsed.every, require), parsed.source)
    return int(taken == 0)


def _split(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.split import split

    out = parsed.out or parsed.source.with_name(f"{parsed.source.name}-split")
    done = split(parsed.source, out, parsed.ratios, parsed.seed)
    for name, counts in done.counts.items():
        classes = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
        print(f"{name:6} {counts.total():6}  {classes}")
    print(f"{done.together} pictures stay together with others of their burst or that look nearly the same")
    for one, other in done.doubtful:
        print(f"look nearly the same, but have two labels: {one} and {other}")
    print(f"written: {out}")
    return 0


def _train(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.train import train

    result = train(parsed.data, parsed.model_dir, _build(TrainConfig, parsed), parsed.resume)
    if result.interrupted:
        print(
            f"emotion-ros: stopped after {result.epochs} epochs; go on with the same command and --resume",
            file=sys.stderr,
        )
        return 130
    print(f"best validation accuracy {result.val_accuracy:.4f}")
    print(f"next: emotion-ros export {parsed.model_dir}/best.ckpt MODEL.onnx --calibrate {parsed.data}")
    return 0


def _export(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.export import export

    about = {"margin": parsed.margin, "shift": parsed.shift, "data": parsed.data, "licence": parsed.licence}
    contract = export(parsed.checkpoint, parsed.output, about, parsed.calibrate)
    print(f"{parsed.output}: {', '.join(contract.labels)}; temperature {contract.temperature}")
    return 0


def _evaluate(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.evaluate import evaluate

    figures = evaluate(parsed.model, parsed.data, parsed.split)
    if parsed.json:
        print(json.dumps(figures))
        return 0
    print(f"{figures['model']} on {figures['pictures']} pictures of {figures['split']}: {figures['accuracy']:.4f}")
    for label, recall in figures["recall"].items():
        print(f"  {label:10} {recall:.4f}")
    return 0


def _measure_crop(parsed: argparse.Namespace) -> int:
    from emotion_ros.training.crop import measure_crop

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


def _models(parsed: argparse.Namespace) -> int:
    from emotion_ros import catalog

    if parsed.action == "list":
        for entry in catalog.catalog().values():
            print(f"{entry.name}: {entry.file} ({entry.licence})")
        return 0
    if parsed.action == "show":
        from emotion_ros.classification.classifier import EmotionClassifier

        classifier = EmotionClassifier(Path(parsed.name) if parsed.name else catalog.default_model(), "cpu")
        print(json.dumps({"name": classifier.name, **dataclasses.asdict(classifier.contract)}, indent=2))
        return 0
    entries = catalog.catalog()
    if parsed.name not in entries:
        raise ConfigError(f"models fetch: expected one of {', '.join(entries)}, got {parsed.name}")
    print(catalog.fetch(entries[parsed.name], catalog.download_folder()))
    return 0


def _benchmark(parsed: argparse.Namespace) -> int:
    from emotion_ros import benchmark
    from emotion_ros.nodes import benchmark as ros
    from emotion_ros.sources import frames

    picture = next(frame.image for frame in frames("sample") if frame.image is not None)
    parts: dict[str, Callable[[], dict[str, float]]] = {
        "decode 640×480": lambda: ros.decode(picture),
        f"pipeline on {parsed.source} at 640×480": lambda: benchmark.stages(parsed.source),
        **{f"{count} faces at 640×480": partial(benchmark.crowd, count) for count in benchmark.CROWDS},
        **{f"graph on {parsed.source}, {rate} Hz": partial(ros.graph, parsed.source, rate) for rate in (30, 60)},
        **{
            f"images of {width}×{height} at 30 Hz, {name}": partial(ros.transport, (width, height), cured)
            for width, height in ros.SIZES
            for name, cured in (("Fast DDS as it comes", False), ("config/fastdds.xml", True))
        },
    }
    figures = {}
    for name, measure in parts.items():
        figures[name] = {key: round(value, 2) for key, value in measure().items()}
        print(f"{name}: " + ", ".join(f"{key} {value:g}" for key, value in figures[name].items()), flush=True)
    if parsed.out:
        parsed.out.parent.mkdir(parents=True, exist_ok=True)
        parsed.out.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
        print(f"written: {parsed.out}")
    return 0
