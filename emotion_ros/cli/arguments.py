"""Command-line options generated from the configs."""

from __future__ import annotations

import argparse
from typing import Any

from emotion_ros.config.options import options


def add_options(parser: argparse.ArgumentParser, config: type[Any]) -> None:
    """Add an option per field of a config dataclass that the parser does not have yet."""
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


def add_crop_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--crop``, which commands that read pictures share."""
    about = "find the region in each picture; auto: in pictures of more than 128 pixels"
    parser.add_argument("--crop", default="auto", choices=("auto", "yes", "no"), help=about)
