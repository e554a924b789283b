"""``emotion-ros detect``: detects people in pictures, videos, bags or a camera, without ROS."""

from __future__ import annotations

import argparse
from pathlib import Path

from emotion_ros.cli.arguments import add_options
from emotion_ros.config import PipelineConfig
from emotion_ros.config.options import build
from emotion_ros.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="picture, folder of pictures, video, ROS bag, camera index or device, sample, or /dev/stdin (a picture)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="folder for annotated copies, and for copies of bags with emotions added; or a file for the copy of one "
        "picture or video; sources are never overwritten",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object per frame")
    form.add_argument("--csv", action="store_true", help="print one line of CSV per person")
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: process pictures, videos and bags in parallel; --out keeps finished parts, and a further run "
        "resumes there (default: local)",
    )
    parser.add_argument(
        "--ray",
        default="",
        metavar="HOST:PORT",
        help="running Ray cluster for --engine ray; empty: start Ray on this machine",
    )
    add_options(parser, PipelineConfig)


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.cli.local_detection import detect

    form = "json" if parsed.json else "csv" if parsed.csv else "text"
    config = build(PipelineConfig, vars(parsed))
    if parsed.engine == "local":
        return detect(parsed.sources, config, parsed.out, form)
    if not parsed.out:
        raise ConfigError("engine ray: expected --out FOLDER, where finished parts are kept")
    try:
        from emotion_ros.cli.ray_detection import detect_on_ray
    except ImportError as error:
        raise ConfigError(f"engine ray: {error}: pip install 'emotion_ros[ray]'") from error
    return detect_on_ray(parsed.sources, config, parsed.out, form, parsed.ray)
