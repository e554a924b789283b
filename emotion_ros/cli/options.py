"""Commands and their options, made from the configs."""

from __future__ import annotations

import argparse
from typing import Any

from emotion_ros.options import options


def add_command(commands: Any, name: str, function: Any, description: str) -> argparse.ArgumentParser:
    """A parser for a command that calls ``function`` with what was parsed."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=description, description=description)
    parser.set_defaults(command=function)
    return parser


def add_options(parser: argparse.ArgumentParser, config: type[Any]) -> None:
    """An option per field of a config dataclass that the parser does not have yet."""
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
