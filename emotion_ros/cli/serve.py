"""``emotion-ros serve``: serves the detection over HTTP."""

from __future__ import annotations

import argparse

from emotion_ros.cli.arguments import add_options
from emotion_ros.config import PipelineConfig, ServeConfig
from emotion_ros.config.options import build
from emotion_ros.config.serving_config import check_pydantic, describe_import_error
from emotion_ros.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_options(parser, ServeConfig, title="server")
    add_options(parser, PipelineConfig, temporal=False)


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    config, pipeline = build(ServeConfig, vars(parsed)), build(PipelineConfig, vars(parsed))
    try:
        check_pydantic()
        from emotion_ros.serving.server import serve
    except ImportError as error:
        raise ConfigError(f"serve: {describe_import_error(error)}") from error
    return serve(config, pipeline)
