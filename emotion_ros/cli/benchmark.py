"""``emotion-ros benchmark``: measures the pipeline and the ROS graph on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--source", default="sample", help="what is played, scaled to 640×480")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument(
        "--provider",
        choices=("tensorrt", "cuda", "cpu"),
        help="measure only the networks on this provider and print a Markdown table; TensorRT engines are built first",
    )


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if parsed.provider:
        return _benchmark_provider(parsed)
    from emotion_ros.cli import benchmark_pipeline as benchmark
    from emotion_ros.io.sources import frames
    from emotion_ros.nodes import graph_benchmark as ros

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
    _save(figures, parsed.out)
    return 0


def _benchmark_provider(parsed: argparse.Namespace) -> int:
    from emotion_ros.cli.benchmark_networks import measure, table

    print("an engine of TensorRT may take minutes ...", file=sys.stderr)
    figures = measure(parsed.provider)
    print(table(figures))
    _save(figures, parsed.out)
    return 0


def _save(figures: dict[str, Any], out: Path | None) -> None:
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
        print(f"written: {out}")
