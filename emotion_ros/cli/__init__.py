"""``emotion-ros``: thin, calls the rooms of this package. Heavy imports only where a command needs them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from emotion_ros import __version__
from emotion_ros.cli import toolkit
from emotion_ros.cli.options import add_command, add_options
from emotion_ros.config import PipelineConfig, RecorderConfig, ServeConfig, SourceConfig, WebConfig
from emotion_ros.errors import ConfigError, EmotionRosError
from emotion_ros.options import build


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

    run = add_command(commands, "run", _run, "bring up the ROS graph: source, detector, recorder")
    for config in (SourceConfig, PipelineConfig, RecorderConfig):
        add_options(run, config)
    run.add_argument("--web", action="store_true", help="also show the live page")
    add_options(run, WebConfig)

    detect = add_command(commands, "detect", _detect, "perceive pictures, videos, bags or a camera, without ROS")
    detect.add_argument("sources", nargs="+", metavar="SOURCE")
    detect.add_argument(
        "--out", type=Path, help="folder for annotated copies and for bags with emotions, or a file for one copy"
    )
    form = detect.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per frame on standard output")
    form.add_argument("--csv", action="store_true", help="one line per person on standard output")
    detect.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: pictures, videos and bags side by side, resumable",
    )
    detect.add_argument(
        "--ray", default="", help="address of a running Ray cluster; empty: one is started on this machine"
    )
    add_options(detect, PipelineConfig)

    report = add_command(commands, "report", _report, "what a recorded session shows: a timeline and a table of people")
    report.add_argument("source", type=Path, help="emotions.jsonl, lines of detect --json, or a bag with emotions")
    report.add_argument("--out", type=Path, default=Path("report"), help="folder for timeline.png and people.csv")
    report.add_argument("--json", action="store_true", help="the table as JSON on standard output")

    toolkit.add_commands(commands)

    serve = add_command(commands, "serve", _serve, "answer over HTTP what is in pictures")
    add_options(serve, ServeConfig)
    add_options(serve, PipelineConfig)

    models = add_command(commands, "models", _models, "list, show, fetch or verify models")
    models.add_argument("action", choices=("list", "show", "fetch", "verify"))
    models.add_argument("name", nargs="?", help="of the catalog; for show also a file")
    models.add_argument("--labels", type=Path, help="labels.txt of a model without a contract (show)")

    benchmark = add_command(commands, "benchmark", _benchmark, "measure the pipeline and the ROS graph on this machine")
    benchmark.add_argument("--source", default="sample", help="what is played, seen at 640×480")
    benchmark.add_argument("--out", type=Path, help="JSON file for the figures")
    benchmark.add_argument(
        "--provider",
        choices=("tensorrt", "cuda", "cpu"),
        help="measure only the networks, on this provider, as a table for a README; TensorRT's engines are made first",
    )
    return parser


def _run(parsed: argparse.Namespace) -> int:
    source, detector = build(SourceConfig, vars(parsed)), build(PipelineConfig, vars(parsed))
    recorder, web = build(RecorderConfig, vars(parsed)), build(WebConfig, vars(parsed))
    for number in (signal.SIGINT, signal.SIGTERM):  # a graph ends by Ctrl-C, also one that does not stand yet
        signal.signal(number, lambda *_: os._exit(0))
    from emotion_ros.nodes import graph

    if detector != PipelineConfig():
        from emotion_ros.pipeline import Pipeline

        Pipeline(detector).close()  # what cannot be used is one clear error here, not a graph that waits
    page = [graph.Process("web", dataclasses.asdict(web))] if parsed.web else []
    return graph.run(dataclasses.asdict(source), dataclasses.asdict(detector), dataclasses.asdict(recorder), page)


def _detect(parsed: argparse.Namespace) -> int:
    from emotion_ros.batch import detect

    form = "json" if parsed.json else "csv" if parsed.csv else "text"
    if parsed.engine == "ray":
        if not parsed.out:
            raise ConfigError("engine ray: expected --out FOLDER, where finished parts are kept")
        try:
            from emotion_ros.batch_on_ray import detect_on_ray
        except ImportError as error:
            raise ConfigError(f"engine ray: {error}: pip install 'emotion_ros[ray]'") from error
        return detect_on_ray(parsed.sources, build(PipelineConfig, vars(parsed)), parsed.out, form, parsed.ray)
    return detect(parsed.sources, build(PipelineConfig, vars(parsed)), parsed.out, form)


def _serve(parsed: argparse.Namespace) -> int:
    config, pipeline = build(ServeConfig, vars(parsed)), build(PipelineConfig, vars(parsed))
    try:
        from emotion_ros.serving.server import serve
    except ModuleNotFoundError as error:
        raise ConfigError(f"serve: {error.name} is not installed: pip install 'emotion_ros[serve]'") from error
    return serve(config, pipeline)


def _report(parsed: argparse.Namespace) -> int:
    from emotion_ros import session

    rows = session.table(session.report(parsed.source, parsed.out))
    if parsed.json:
        print(json.dumps(rows, indent=2))
        return 0
    columns = [*rows[0]]
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for row in rows:
        print("| " + " | ".join(str(row[column]) for column in columns) + " |")
    print(f"written: {parsed.out / 'timeline.png'}, {parsed.out / 'people.csv'}")
    return 0


def _models(parsed: argparse.Namespace) -> int:
    from emotion_ros import catalog

    entries = catalog.catalog()
    if parsed.action == "list":
        for entry in entries.values():
            here = f"here: {entry.path()}" if entry.path().is_file() else f"not downloaded: {entry.url}"
            print(f"{entry.name} ({entry.licence})\n  {here}\n  sha256 {entry.sha256}")
        return 0
    if parsed.action == "show":
        from emotion_ros.classification.classifier import EmotionClassifier
        from emotion_ros.detection.emotion_faces import about_detector

        path = catalog.find_model(parsed.name) if parsed.name else catalog.default_model()
        if about := about_detector(path):
            print(json.dumps({"name": path.stem, **about}, indent=2))
            return 0
        classifier = EmotionClassifier(path, "cpu", labels=parsed.labels)
        print(json.dumps({"name": classifier.name, **dataclasses.asdict(classifier.contract)}, indent=2))
        return 0
    if parsed.name and parsed.name not in entries:
        raise ConfigError(f"models {parsed.action}: expected one of {', '.join(entries)}, got {parsed.name}")
    if parsed.action == "fetch":
        if not parsed.name:
            raise ConfigError(f"models fetch: expected a name, one of {', '.join(entries)}")
        print(catalog.fetch(entries[parsed.name], catalog.download_folder()))
        return 0
    problems = [catalog.verify(entry) for entry in ([entries[parsed.name]] if parsed.name else entries.values())]
    print("\n".join(said for _, said in problems))
    return int(not all(fine for fine, _ in problems))


def _benchmark(parsed: argparse.Namespace) -> int:
    if parsed.provider:
        return _benchmark_provider(parsed)
    from emotion_ros import benchmark
    from emotion_ros.nodes import benchmark as ros
    from emotion_ros.sources import frames

    picture = next(frame.image for frame in frames("sample") if frame.image is not None)
    parts: dict[str, Callable[[], dict[str, float]]] = {
        "decode 640×480": lambda: ros.decode(picture),
        f"pipeline on {parsed.source} at 640×480": lambda: benchmark.stages(parsed.source),
        **{f"{count} faces at 640×480": partial(benchmark.crowd, count) for count in benchmark.CROWDS},
        **{f"{count} cameras at 640×480": partial(benchmark.cameras, count) for count in (1, 2, 3)},
        "a hand and a face": benchmark.gestures,
        **{f"graph on {parsed.source}, {rate} Hz": partial(ros.graph, parsed.source, rate) for rate in (30, 60)},
        **{
            f"images of {width}×{height} at 30 Hz, {name}": partial(ros.transport, (width, height), cured)
            for width, height in ros.SIZES
            for name, cured in (("Fast DDS as it comes", False), ("config/fastdds.xml", True))
        },
    }
    figures: dict[str, Any] = {}
    for name, measure in parts.items():
        figures[name] = {key: round(value, 2) for key, value in measure().items()}
        print(f"{name}: " + ", ".join(f"{key} {value:g}" for key, value in figures[name].items()), flush=True)
    _keep(figures, parsed.out)
    return 0


def _benchmark_provider(parsed: argparse.Namespace) -> int:
    from emotion_ros.devices import measure, table

    print("an engine of TensorRT may take minutes ...", file=sys.stderr)
    figures = measure(parsed.provider)
    print(table(figures))
    _keep(figures, parsed.out)
    return 0


def _keep(figures: dict[str, Any], out: Path | None) -> None:
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
        print(f"written: {out}")
