"""Settings as dataclass fields with a description, limits and a group."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar, get_args, get_type_hints

from emotion_ros.errors import ConfigError

MAX_TEXT_CHARACTERS = 16_384
"""Length of a text, four times that of the longest path on Linux. A request over a network may hold any text."""

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """Description of one setting.

    Attributes:
        name: parameter name; on the command line with hyphens.
        type: ``bool``, ``int``, ``float``, ``str`` or ``tuple`` (of strings).
        default: value in this type.
        description: one sentence with the unit.
        minimum, maximum: inclusive limits of numbers; None: unlimited.
        choices: allowed values; empty: any.
        live: may change while the node is active.
        temporal: affects sequences of images only; commands that process single images do not offer it.
        group: heading in ``--help``.
        common: listed first in ``--help``.
    """

    name: str
    type: type[Any]
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    temporal: bool = False
    group: str = ""
    common: bool = False

    @property
    def limits(self) -> str:
        """Allowed values, as a suffix of the description."""
        if self.choices:
            return f"; one of {', '.join(self.choices)}"
        return "" if self.minimum is None else f"; {self.minimum} to {self.maximum}"

    def check(self, value: object) -> Value:
        """Convert a value to the option's type.

        Raises:
            ConfigError: the value has another type, is out of range or none of the choices.
        """
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            try:
                value = float(value)
            except OverflowError as error:
                raise ConfigError(f"{self.name}: expected {self.minimum} to {self.maximum}, got more") from error
        if self.type is tuple and isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
            value = tuple(value)
        if type(value) is not self.type:
            raise ConfigError(f"{self.name}: expected {self.type.__name__}, got {value!r}")
        if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS:
            raise ConfigError(f"{self.name}: expected at most {MAX_TEXT_CHARACTERS} characters, got {len(value)}")
        if isinstance(value, str) and "\0" in value:  # no path has one; functions of C would read a shorter path
            raise ConfigError(f"{self.name}: expected text without a NUL, got one at character {value.index(chr(0))}")
        if self.choices and value not in self.choices:
            raise ConfigError(f"{self.name}: expected one of {', '.join(self.choices)}, got {value!r}")
        if isinstance(value, int | float) and not self._in_range(value):
            raise ConfigError(f"{self.name}: expected {self.minimum} to {self.maximum}, got {value}")
        return value  # type: ignore[return-value]

    def _in_range(self, value: float) -> bool:
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return low <= value <= high


def option(
    default: Value,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
    temporal: bool = False,
    group: str = "",
    common: bool = False,
) -> Any:
    """Dataclass field of a setting; the arguments are the attributes of :class:`Option`."""
    return field(
        default=default,
        metadata={
            "description": description,
            "minimum": minimum,
            "maximum": maximum,
            "choices": choices,
            "live": live,
            "temporal": temporal,
            "group": group,
            "common": common,
        },
    )


def options(config: type[Any]) -> Iterator[Option]:
    """Options of a config dataclass, in the order of its fields."""
    types = get_type_hints(config)
    for item in fields(config):
        yield _option_of(item, types[item.name])


def _option_of(item: Field[Any], annotation: Any) -> Option:
    if item.default is MISSING:
        raise TypeError(f"{item.name} has no default")
    kind = tuple if annotation == tuple[str, ...] else annotation
    assert not get_args(kind), f"{item.name}: an option has a plain type, or is a tuple of texts"
    return Option(item.name, kind, item.default, **item.metadata)


C = TypeVar("C")


def build(config: type[C], values: Mapping[str, object]) -> C:
    """Build a config from the entries of ``values`` that name its fields; the other fields keep their defaults.

    Raises:
        ConfigError: a value has the wrong type, is out of range or none of the choices.
    """
    known = {each.name: each for each in options(config)}
    return config(**{name: known[name].check(value) for name, value in values.items() if name in known})


def as_yaml(value: object) -> str:
    """Format a value as YAML on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_yaml, value))}]"
    if isinstance(value, str):
        quoted = value.replace("'", "''")
        return f"'{quoted}'"
    return str(value).lower() if isinstance(value, bool) else str(value)
