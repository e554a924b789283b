"""``emotion-ros run``: brings up the ROS graph: image source, detector, recorder."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal

from emotion_ros.cli.arguments import add_options
from emotion_ros.config import PipelineConfig, RecorderConfig, SourceConfig, WebConfig
from emotion_ros.config.options import build


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--web", action="store_true", help="also show the live page")
    add_options(parser, SourceConfig, RecorderConfig, PipelineConfig, WebConfig)


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    source, detector = build(SourceConfig, vars(parsed)), build(PipelineConfig, vars(parsed))
    recorder, web = build(RecorderConfig, vars(parsed)), build(WebConfig, vars(parsed))
    for number in (signal.SIGINT, signal.SIGTERM):  # a graph ends by Ctrl-C, also one that does not stand yet
        signal.signal(number, lambda *_: os._exit(0))
    from emotion_ros.nodes import graph

    if detector != PipelineConfig():
        from emotion_ros.perception.pipeline import Pipeline

        Pipeline(detector).close()  # what cannot be used is one clear error here, not a graph that waits
    page = [graph.Process("web", dataclasses.asdict(web))] if parsed.web else []
    return graph.run(dataclasses.asdict(source), dataclasses.asdict(detector), dataclasses.asdict(recorder), page)
