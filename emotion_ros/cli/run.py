"""``emotion-ros run``: starts the ROS nodes: image source, detector and recorder."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal

from emotion_ros.cli.arguments import add_options
from emotion_ros.cli.ros_installation import require_ros
from emotion_ros.config import PipelineConfig, RecorderConfig, SourceConfig, WebConfig
from emotion_ros.config.options import build


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--web", action="store_true", help="also serve the live page")
    add_options(parser, SourceConfig, RecorderConfig, title="image source")
    add_options(parser, PipelineConfig)
    add_options(parser, WebConfig, title="live page, with --web")


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    source, detector = build(SourceConfig, vars(parsed)), build(PipelineConfig, vars(parsed))
    recorder, web = build(RecorderConfig, vars(parsed)), build(WebConfig, vars(parsed))
    require_ros("run")
    for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C ends the command also before the nodes are started
        signal.signal(number, lambda *_: os._exit(0))
    from emotion_ros.nodes import graph

    if detector != PipelineConfig():
        from emotion_ros.perception.pipeline import Pipeline

        Pipeline(detector).close()  # an unusable setting is one error here, not a detector that stays unconfigured
    page = [graph.Process("web", dataclasses.asdict(web))] if parsed.web else []
    return graph.run(dataclasses.asdict(source), dataclasses.asdict(detector), dataclasses.asdict(recorder), page)
