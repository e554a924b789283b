"""Command-line options generated from the configs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emotion_ros.config.options import Option, options
from emotion_ros.errors import ConfigError

COMMON_TITLE = "common options"
METAVARS: dict[type[Any], str] = {int: "N", float: "X", str: "TEXT"}


class ShortUsage(argparse.HelpFormatter):
    """Formats help whose first line names required arguments only: the options have groups below it."""

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: Any) -> str:
        required = [action for action in actions if action.required or not action.option_strings]
        text = super()._format_usage(usage, required, [], prefix)
        return text.replace(self._prog, f"{self._prog} [OPTIONS]", 1)


def add_options(parser: argparse.ArgumentParser, *configs: type[Any], temporal: bool = True, title: str = "") -> None:
    """Add an argument per field of config dataclasses that the parser does not have yet.

    Args:
        parser: gets a group of arguments per :attr:`~emotion_ros.config.options.Option.group`, the common ones first.
        configs: dataclasses of options.
        temporal: also add options that affect sequences of images only.
        title: heading of the options that are neither common nor have a group.
    """
    taken = {action.dest for action in parser._actions}
    offered = [option for config in configs for option in options(config) if option.name not in taken]
    for option in sorted(offered, key=lambda option: not option.common):
        if temporal or not option.temporal:
            heading = COMMON_TITLE if option.common else option.group or title or "other options"
            _add_option(_group(parser, heading), option)


def _group(parser: argparse.ArgumentParser, title: str) -> Any:
    groups = {group.title: group for group in parser._action_groups}
    return groups.get(title) or parser.add_argument_group(title)


def _add_option(group: Any, option: Option) -> None:
    flag = f"--{option.name.replace('_', '-')}"
    default = "" if option.default == "" else f" (default: {option.default})"
    description = f"{option.description}{default}".replace("%", "%%")
    if option.type is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=option.default, help=description)
        return
    group.add_argument(
        flag,
        type=option.type,
        default=option.default,
        choices=option.choices or None,
        metavar=None if option.choices else METAVARS.get(option.type),
        help=description,
    )


def add_crop_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--crop``, which commands that read pictures share."""
    description = "crop pictures to the region that the model expects; auto: pictures of more than 64 pixels"
    parser.add_argument("--crop", default="auto", choices=("auto", "yes", "no"), help=description)


def named_data(data: Sequence[Path]) -> dict[str, Path]:
    """Return the paths of data sets, given as ``PATH`` or ``NAME=PATH``, by name; a path alone by its last part.

    Raises:
        ConfigError: two data sets have the same name.
    """
    sets: dict[str, Path] = {}
    for text in map(str, data):
        name, separator, path = text.partition("=")
        name, path = (name, path) if separator else (Path(text).absolute().name, text)
        if name in sets:
            raise ConfigError(
                f"expected data sets of different names, {sets[name]} and {path} are both {name!r}; write NAME=PATH"
            )
        sets[name] = Path(path)
    return sets
