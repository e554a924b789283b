"""Reads gesture rules from YAML (``config/gestures.yaml``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotion_ros.config.user_text import MAX_LABEL_CHARACTERS, is_label, kind_of, read_yaml_file
from emotion_ros.errors import ConfigError

FINGERS = {
    "thumb": (1, 2, 3, 4),
    "index": (5, 6, 7, 8),
    "middle": (9, 10, 11, 12),
    "ring": (13, 14, 15, 16),
    "little": (17, 18, 19, 20),
}
"""Finger to its landmarks from the knuckle to the tip, numbered as in MediaPipe Hands."""

JOINTS = {
    "wrist": 0,
    **{f"thumb_{joint}": 1 + index for index, joint in enumerate(("cmc", "mcp", "ip", "tip"))},
    **{
        f"{finger}_{joint}": FINGERS[finger][index]
        for finger in ("index", "middle", "ring", "little")
        for index, joint in enumerate(("mcp", "pip", "dip", "tip"))
    },
}
"""Joint to its landmark."""

FINGER_STATES = ("straight", "bent", "curled")
DIRECTIONS = ("up", "down")
RULE_KEYS = ("fingers", "distances", "points", "on_face", "swings", "seconds")


@dataclass(frozen=True)
class GestureRule:
    """Conditions that a hand must meet, all of those that are given.

    Attributes:
        fingers: finger to a state of :data:`FINGER_STATES`.
        distances: two joints to the minimum and maximum distance between them in palm lengths.
        points: finger to its direction in the image, ``up`` or ``down``.
        on_face: minimum share of the landmarks that lie on the face of the hand's owner, 0…1.
        swings: minimum number of changes of the sideways direction, each movement wider than half a palm.
        seconds: time within which the swings must happen.
    """

    fingers: Mapping[str, str] = field(default_factory=dict)
    distances: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    points: Mapping[str, str] = field(default_factory=dict)
    on_face: float = 0.0
    swings: int = 0
    seconds: float = 1.5


Gestures = Mapping[str, tuple[GestureRule, ...]]
"""Gesture to its rules, one of which a hand must meet. Of gestures that fit equally well, the first is taken."""


def read_gestures(path: Path) -> Gestures:
    """Return the gestures of a YAML file in its order.

    Raises:
        ConfigError: the file cannot be read, or is not in the format of ``config/gestures.yaml``.
    """
    content = read_yaml_file(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected names of gestures with their rules, got {kind_of(content)}")
    if not all(is_label(str(name)) for name in content):
        raise ConfigError(f"{path}: expected names of gestures of 1 to {MAX_LABEL_CHARACTERS} printable characters")
    return {
        str(name): tuple(
            _rule(f"{path}: gesture {number}", rule) for rule in (rules if isinstance(rules, list) else [rules])
        )
        for number, (name, rules) in enumerate(content.items(), start=1)
    }


def _rule(context: str, content: object) -> GestureRule:
    """Return one rule.

    The errors start with ``context``, file and number of the gesture, and never quote the file: another file than that
    of gestures may have been named.
    """
    if not isinstance(content, dict) or set(content) - set(RULE_KEYS):
        got = "another key" if isinstance(content, dict) else kind_of(content)
        raise ConfigError(f"{context}: expected some of {', '.join(RULE_KEYS)}, got {got}")
    defaults = GestureRule()
    distances = _mapping(context, content, "distances")
    return GestureRule(
        _fingers(context, content, "fingers", FINGER_STATES),
        {_joint_pair(context, name): _limits(context, limits) for name, limits in distances.items()},
        _fingers(context, content, "points", DIRECTIONS),
        _number(context, "on_face", content.get("on_face", defaults.on_face)),
        int(_number(context, "swings", content.get("swings", defaults.swings))),
        _number(context, "seconds", content.get("seconds", defaults.seconds)),
    )


def _fingers(context: str, content: Mapping[str, Any], key: str, allowed: Sequence[str]) -> dict[str, str]:
    """Return a mapping from fingers to one of the allowed values."""
    values = _mapping(context, content, key)
    for finger, value in values.items():
        if finger not in FINGERS or value not in allowed:
            raise ConfigError(f"{context}: {key}: expected {', '.join(FINGERS)} with one of {', '.join(allowed)}")
    return values


def _mapping(context: str, content: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise ConfigError(f"{context}: {key}: expected names with values, got {kind_of(value)}")
    return value


def _joint_pair(context: str, name: object) -> tuple[str, str]:
    first, _, second = str(name).partition("-")
    if first not in JOINTS or second not in JOINTS:
        raise ConfigError(f"{context}: distances: expected two of {', '.join(JOINTS)} joined by '-'")
    return first, second


def _limits(context: str, value: object) -> tuple[float, float]:
    if isinstance(value, list) and len(value) == 2:
        minimum, maximum = (_number(context, "distances", limit) for limit in value)
        if minimum <= maximum:
            return minimum, maximum
    raise ConfigError(f"{context}: distances: expected [minimum, maximum] in palm lengths, got {kind_of(value)}")


def _number(context: str, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise ConfigError(f"{context}: {key}: expected a number from 0 to a million, got {kind_of(value)}")
    return float(value)
