"""Command-line options generated from the configs."""

from __future__ import annotations

import argparse
from typing import Any

from emotion_ros.config.options import Option, options

COMMON = "common options"


def add_options(parser: argparse.ArgumentParser, *configs: type[Any], temporal: bool = True) -> None:
    """Add an argument per field of config dataclasses that the parser does not have yet.

    Args:
        parser: gets a group of arguments per :attr:`~emotion_ros.config.options.Option.group`, the common ones first.
        configs: dataclasses of options.
        temporal: also add options that affect sequences of images only.
    """
    taken = {action.dest for action in parser._actions}
    offered = [each for config in configs for each in options(config) if each.name not in taken]
    for each in sorted(offered, key=lambda each: not each.common):
        if temporal or not each.temporal:
            _add_option(_group(parser, COMMON if each.common else f"{each.group or 'other'} options"), each)


def _group(parser: argparse.ArgumentParser, title: str) -> Any:
    groups = {group.title: group for group in parser._action_groups}
    return groups.get(title) or parser.add_argument_group(title)


def _add_option(group: Any, option: Option) -> None:
    flag = f"--{option.name.replace('_', '-')}"
    about = f"{option.description} (default: {option.default})".replace("%", "%%")
    if option.type is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=option.default, help=about)
    else:
        choices = option.choices or None
        group.add_argument(flag, type=option.type, default=option.default, choices=choices, help=about)


def add_crop_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--crop``, which commands that read pictures share."""
    about = "find the region in each picture; auto: in pictures of more than 128 pixels"
    parser.add_argument("--crop", default="auto", choices=("auto", "yes", "no"), help=about)
