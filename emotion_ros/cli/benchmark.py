"""``emotion-ros benchmark``: measures the pipeline and the ROS nodes on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from emotion_ros.cli.ros_installation import require_ros
from emotion_ros.errors import OutputError
from emotion_ros.io.atomic_file import replacing
from emotion_ros.perception.detection import HAND_DETECTORS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--source", default="sample", metavar="SOURCE", help="source of the images, scaled to 640×480 (default: sample)"
    )
    parser.add_argument(
        "--hand-detector",
        choices=("auto", *HAND_DETECTORS),
        default="auto",
        help="of the pipeline on the source; auto: as in the detector node (default: auto)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the figures to a JSON file")
    parser.add_argument(
        "--provider",
        choices=("tensorrt", "cuda", "cpu"),
        help="measure the networks only, on this ONNX Runtime execution provider and without ROS, and print a Markdown "
        "table; tensorrt builds its engines first, which may take minutes",
    )


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if parsed.provider:
        return _benchmark_provider(parsed)
    require_ros("benchmark")
    figures: dict[str, Any] = {}
    for name, measure in _benchmarks(parsed.source, parsed.hand_detector).items():
        figures[name] = {key: round(value, 2) for key, value in measure().items()}
        print(f"{name}: " + ", ".join(f"{key} {value:g}" for key, value in figures[name].items()), flush=True)
    _save(figures, parsed.out)
    return 0


def _benchmarks(source: str, hand_detector: str) -> dict[str, Callable[[], dict[str, float]]]:
    """Return the benchmarks with ROS, by name; each returns figures by name."""
    from emotion_ros.cli import benchmark_pipeline as benchmark
    from emotion_ros.io.sources import frames
    from emotion_ros.nodes import graph_benchmark as ros

    picture = next(frame.image for frame in frames("sample") if frame.image is not None)
    return {
        "decode 640×480": lambda: ros.decode(picture),
        f"pipeline on {source} at 640×480": partial(benchmark.stages, source, hand_detector),
        **{f"{count} faces at 640×480": partial(benchmark.crowd, count) for count in benchmark.CROWDS},
        **{f"{count} cameras at 640×480": partial(benchmark.cameras, count) for count in (1, 2, 3)},
        "a hand and a face": benchmark.gestures,
        **{f"graph on {source}, {rate} Hz": partial(ros.graph, source, rate) for rate in (30, 60)},
        **{
            f"images of {width}×{height} at 30 Hz, {name}": partial(ros.transport, (width, height), cured)
            for width, height in ros.SIZES
            for name, cured in (("Fast DDS as it comes", False), ("config/fastdds.xml", True))
        },
    }


def _benchmark_provider(parsed: argparse.Namespace) -> int:
    from emotion_ros.cli.benchmark_networks import measure, table

    if parsed.provider == "tensorrt":
        print("building TensorRT engines, which may take minutes ...", file=sys.stderr)
    figures = measure(parsed.provider)
    print(table(figures))
    _save(figures, parsed.out)
    return 0


def _save(figures: dict[str, Any], out: Path | None) -> None:
    """Write figures as JSON to a file, if one is given."""
    if not out:
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as partial:
            partial.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror}") from error
    print(f"written: {out}")
