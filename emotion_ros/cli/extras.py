"""Optional libraries: commands that need some end with one line that names what to install."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable

from emotion_ros.errors import ConfigError

Command = Callable[[argparse.Namespace], int]


def requires_extra(extra: str) -> Callable[[Command], Command]:
    """Return a decorator for the ``run`` of a command whose libraries are in an extra of this package.

    Args:
        extra: name of the extra in setup.py, such as ``train``.

    Returns:
        A decorator; the decorated function raises :class:`~emotion_ros.errors.ConfigError` if a library is missing. A
        missing module of this package is a defect and stays a ModuleNotFoundError.
    """

    def decorate(run: Command) -> Command:
        @functools.wraps(run)
        def checked(parsed: argparse.Namespace) -> int:
            try:
                return run(parsed)
            except ModuleNotFoundError as error:
                library = (error.name or str(error)).partition(".")[0]
                if library == __package__.partition(".")[0]:
                    raise
                raise ConfigError(f"{library} is not installed: pip install 'emotion_ros[{extra}]'") from error

        return checked

    return decorate


requires_training = requires_extra("train")
"""Decorator of the commands for data sets, training, export and evaluation."""
