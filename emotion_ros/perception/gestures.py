"""Gestures of a hand, by rules over its 21 landmarks that a YAML file states (``config/gestures.yaml``)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from emotion_ros.errors import ConfigError
from emotion_ros.types import Box, Hand, Points, ramp

NONE = "none"
"""Gesture of a hand that fits no rule."""

FINGERS = {
    "thumb": (1, 2, 3, 4),
    "index": (5, 6, 7, 8),
    "middle": (9, 10, 11, 12),
    "ring": (13, 14, 15, 16),
    "little": (17, 18, 19, 20),
}
"""Landmarks from the knuckle to the tip, in the order of MediaPipe Hands."""

JOINTS = {
    "wrist": 0,
    **{f"thumb_{joint}": 1 + index for index, joint in enumerate(("cmc", "mcp", "ip", "tip"))},
    **{
        f"{finger}_{joint}": FINGERS[finger][index]
        for finger in ("index", "middle", "ring", "little")
        for index, joint in enumerate(("mcp", "pip", "dip", "tip"))
    },
}
"""Name to landmark."""

STATES = {"straight": (0.35, 0.65), "bent": (0.65, 0.35), "curled": (0.45, 0.15)}
"""Extension (see :func:`extension`) at which a finger is surely not so and surely so. Halfway, at 0.5, lies the gap
between straight fingers (0.73 or more for 95 % of them) and curled ones in 5,455 labelled hands."""

TURNED = (75.0, 35.0)
"""Degrees off the wanted direction at which a finger surely does not point there and surely does."""

SOFT = 0.1
"""Palm lengths (or shares of the hand on a face) around a limit in which a distance is half in and half out."""


@dataclass(frozen=True)
class GestureRule:
    """What a hand must show, each where it is given.

    ``fingers``: finger to a state in :data:`STATES`. ``distances``: two joints to the least and the largest distance in
    palm lengths. ``points``: finger to ``up`` or ``down`` in the image. ``on_face``: least share of the landmarks that
    lie on the face of the hand's owner. ``swings``: least number of sideways turns, each wider than half a palm,
    within ``seconds``.
    """

    fingers: Mapping[str, str] = field(default_factory=dict)
    distances: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    points: Mapping[str, str] = field(default_factory=dict)
    on_face: float = 0.0
    swings: int = 0
    seconds: float = 1.5


@dataclass(frozen=True)
class HandObservation:
    """A hand, the box of its owner's face (None: nobody's), and how often it turned sideways of late."""

    points: Points
    face: Box | None = None
    swings: int = 0


Gestures = Mapping[str, tuple[GestureRule, ...]]
"""Name to shapes of which any will do; of gestures that fit as well as each other the earlier one wins."""


def read_gestures(path: Path) -> Gestures:
    """The gestures of a YAML file.

    Raises:
        ConfigError: the file is missing or is not what ``config/gestures.yaml`` explains.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: expected a YAML file with gestures: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected names of gestures with their shapes, got {content!r}")
    return {str(name): tuple(_shape(f"{path}: {name}", each) for each in _list(content[name])) for name in content}


def gesture(hand: HandObservation, gestures: Gestures) -> tuple[str, float]:
    """The gesture that fits best and how well, 0.5…1; :data:`NONE` where none fits, with how far it is from one."""
    fits = {name: max(_fit(hand, shape) for shape in shapes) for name, shapes in gestures.items()}
    best = max(fits, key=fits.__getitem__, default=NONE)
    if not fits or fits[best] < 0.5:
        return NONE, 1.0 - fits.get(best, 0.0)
    return best, fits[best]


def extension(points: Points, finger: str) -> float:
    """How far a finger is stretched, −1…1: how much farther its tip is from the wrist than its middle joint is, in
    lengths of the segments between them. For the thumb the knuckle of the little finger stands for the wrist."""
    joint, end, tip = points[list(FINGERS[finger][1:])]
    base = points[JOINTS["little_mcp"] if finger == "thumb" else JOINTS["wrist"]]
    length = _distance(end, joint) + _distance(tip, end)
    return (_distance(tip, base) - _distance(joint, base)) / max(length, 1e-6)


def palm(points: Points) -> float:
    """Length of the palm in pixels: wrist to middle knuckle, or its width where the hand is seen end on."""
    return max(_distance(points[0], points[9]), _distance(points[5], points[17]), 1e-6)


class GestureRecognizer:
    """Gestures over time: remembers where hands were, to see them wave."""

    def __init__(self, gestures: Gestures) -> None:
        self._gestures = gestures
        self._memory = max((shape.seconds for each in gestures.values() for shape in each if shape.swings), default=0.0)
        self._tracks: dict[tuple[str, str], deque[tuple[float, float]]] = {}

    def read(self, owner: str, face: Box | None, hands: Sequence[Hand], stamp: float) -> tuple[Hand, ...]:
        """The hands of one person (``owner``: an id, empty for hands of nobody) with their gestures filled in."""
        return tuple(self._read(owner, face, hand, stamp) for hand in hands)

    def forget(self, stamp: float) -> None:
        """Drop what is older than any gesture needs; or all, where time jumped back."""
        self._tracks = {key: track for key, track in self._tracks.items() if 0 <= stamp - track[-1][0] <= self._memory}

    def _read(self, owner: str, face: Box | None, hand: Hand, stamp: float) -> Hand:
        swings = 0
        if owner and self._memory:
            track = self._tracks.setdefault((owner, hand.side), deque())
            track.append((stamp, float(hand.landmarks[9, 0])))
            while stamp - track[0][0] > self._memory:
                track.popleft()
            swings = _turns([x for _, x in track], 0.5 * palm(hand.landmarks))
        name, fit = gesture(HandObservation(hand.landmarks, face, swings), self._gestures)
        return replace(hand, gesture=name, gesture_confidence=fit)


def _turns(places: Sequence[float], width: float) -> int:
    """How often a movement changes its direction, each way longer than ``width``."""
    turns, direction, farthest = 0, 0, places[0]
    for place in places:
        if direction * (place - farthest) > 0 or (direction == 0 and abs(place - farthest) > width):
            direction = direction or (1 if place > farthest else -1)
            farthest = place
        elif direction and direction * (farthest - place) > width:
            turns, direction, farthest = turns + 1, -direction, place
    return turns


def _fit(hand: HandObservation, shape: GestureRule) -> float:
    """How well a hand shows a shape, 0…1: as well as the worst of its conditions is met."""
    points = hand.points
    if shape.swings > hand.swings:
        return 0.0
    fits = [ramp(extension(points, finger), *STATES[state]) for finger, state in shape.fingers.items()]
    fits += [ramp(_off(points, finger, way), *TURNED) for finger, way in shape.points.items()]
    size = palm(points)
    for (first, second), (least, largest) in shape.distances.items():
        apart = _distance(points[JOINTS[first]], points[JOINTS[second]]) / size
        fits += [ramp(apart, least - SOFT, least + SOFT), ramp(apart, largest + SOFT, largest - SOFT)]
    if shape.on_face:
        share = 0.0 if hand.face is None else _share_inside(points, hand.face)
        fits.append(ramp(share, shape.on_face - SOFT, shape.on_face + SOFT))
    return min(fits, default=1.0)


def _distance(first: Points, second: Points) -> float:
    return float(np.hypot(first[0] - second[0], first[1] - second[1]))


def _off(points: Points, finger: str, way: str) -> float:
    """Degrees between a finger and up or down in the image."""
    x, y = points[FINGERS[finger][3]] - points[FINGERS[finger][1]]
    return float(np.degrees(np.arctan2(abs(x), -y if way == "up" else y)))


def _share_inside(points: Points, box: Box) -> float:
    inside = (points >= (box.x, box.y)) & (points <= (box.x + box.width, box.y + box.height))
    return float(inside.all(1).mean())


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _shape(where: str, content: object) -> GestureRule:
    known = ("fingers", "distances", "points", "on_face", "swings", "seconds")
    if not isinstance(content, dict) or set(content) - set(known):
        raise ConfigError(f"{where}: expected some of {', '.join(known)}, got {content!r}")
    fingers, points = _mapping(where, content, "fingers"), _mapping(where, content, "points")
    for finger, wanted, allowed in (
        *((finger, state, tuple(STATES)) for finger, state in fingers.items()),
        *((finger, way, ("up", "down")) for finger, way in points.items()),
    ):
        if finger not in FINGERS or wanted not in allowed:
            raise ConfigError(
                f"{where}: expected {', '.join(FINGERS)} with one of {', '.join(allowed)}, got {finger}: {wanted}"
            )
    distances = {
        _pair(where, name): _limits(where, each) for name, each in _mapping(where, content, "distances").items()
    }
    numbers = {
        name: _number(where, name, content[name]) for name in ("on_face", "swings", "seconds") if name in content
    }
    if "swings" in numbers:
        numbers["swings"] = int(numbers["swings"])
    return GestureRule(fingers, distances, points, **numbers)  # type: ignore[arg-type]


def _mapping(where: str, content: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = content.get(name, {})
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {name}: expected names with values, got {value!r}")
    return value


def _pair(where: str, name: str) -> tuple[str, str]:
    first, _, second = str(name).partition("-")
    if first not in JOINTS or second not in JOINTS:
        raise ConfigError(f"{where}: expected two of {', '.join(JOINTS)} joined by '-', got {name}")
    return first, second


def _limits(where: str, value: object) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ConfigError(f"{where}: expected [least, largest] in palm lengths, got {value!r}")
    least, largest = (_number(where, "distances", each) for each in value)
    if least > largest:
        raise ConfigError(f"{where}: expected [least, largest] in palm lengths, got {value!r}")
    return least, largest


def _number(where: str, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise ConfigError(f"{where}: {name}: expected a number of 0 or more, got {value!r}")
    return float(value)
