"""``emotion-ros detect``: perceives pictures, videos, bags or a camera, without ROS."""

from __future__ import annotations

import argparse
from pathlib import Path

from emotion_ros.cli.arguments import add_options
from emotion_ros.config import PipelineConfig
from emotion_ros.config.options import build
from emotion_ros.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    parser.add_argument(
        "--out", type=Path, help="folder for annotated copies and for bags with emotions, or a file for one copy"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object per frame")
    form.add_argument("--csv", action="store_true", help="print one line per person")
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: pictures, videos and bags in parallel, resumable",
    )
    parser.add_argument(
        "--ray", default="", help="address of a running Ray cluster; empty: one is started on this machine"
    )
    add_options(parser, PipelineConfig)


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.cli.local_detection import detect

    form = "json" if parsed.json else "csv" if parsed.csv else "text"
    if parsed.engine == "ray":
        if not parsed.out:
            raise ConfigError("engine ray: expected --out FOLDER, where finished parts are kept")
        try:
            from emotion_ros.cli.ray_detection import detect_on_ray
        except ImportError as error:
            raise ConfigError(f"engine ray: {error}: pip install 'emotion_ros[ray]'") from error
        return detect_on_ray(parsed.sources, build(PipelineConfig, vars(parsed)), parsed.out, form, parsed.ray)
    return detect(parsed.sources, build(PipelineConfig, vars(parsed)), parsed.out, form)
