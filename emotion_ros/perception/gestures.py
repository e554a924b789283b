"""Recognizes gestures of hands by rules over their 21 landmarks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from emotion_ros.perception.gesture_rules import FINGERS, JOINTS, GestureRule, Gestures
from emotion_ros.types import Box, Hand, Points, ramp

NO_GESTURE = "none"
"""Gesture of a hand that fits no rule."""

MIN_FIT = 0.5
"""Fit of a rule below which the hand does not show the gesture: halfway between surely not and surely."""

EXTENSION_RANGES = {"straight": (0.35, 0.65), "bent": (0.65, 0.35), "curled": (0.45, 0.15)}
"""State to the values of :func:`extension` at which a finger is surely not in it and surely in it. 0.5 lies in the gap
between straight fingers (0.67 or more for 92 % of them) and curled ones (−0.39 or less for 95 %) in 4,787 labelled
hands (kinivi/hand-gesture-recognition-mediapipe)."""

DIRECTION_RANGE_DEG = (75.0, 35.0)
"""Angles to a direction at which a finger surely does not point there and surely does."""

LIMIT_TOLERANCE = 0.1
"""Distance from a limit, in palm lengths or as a share of the hand, at which a condition is surely met or not met."""

MIN_SWING_WIDTH_PALMS = 0.5
"""Minimum width of a sideways movement."""

MIDDLE_KNUCKLE = JOINTS["middle_mcp"]
"""Landmark by whose x coordinate sideways movements are measured."""


@dataclass(frozen=True)
class HandObservation:
    """A hand as the rules use it.

    Attributes:
        points: 21 landmarks in pixels, 21 × 2.
        face: box of the owner's face in pixels; None for a hand without owner.
        swings: changes of the hand's sideways direction until now.
    """

    points: Points
    face: Box | None = None
    swings: int = 0


def recognize_gesture(hand: HandObservation, gestures: Gestures) -> tuple[str, float]:
    """Return the gesture that fits best and its fit, 0.5…1; :data:`NO_GESTURE` and 1 − the best fit if none fits."""
    fits = {name: max(_fit(hand, rule) for rule in rules) for name, rules in gestures.items()}
    best = max(fits, key=fits.__getitem__, default=NO_GESTURE)
    if not fits or fits[best] < MIN_FIT:
        return NO_GESTURE, 1.0 - fits.get(best, 0.0)
    return best, fits[best]


def extension(points: Points, finger: str) -> float:
    """Return the extension of a finger, −1 (curled) to 1 (straight).

    The difference of two distances to the wrist, of the finger's tip and of its middle joint, divided by the length of
    the segments between them; −1 if the tip is on the palm's side of the knuckle. In a fist that points at the camera,
    the fingers may cover the wrist, and both distances say nothing. For the thumb, the knuckle of the little finger
    replaces the wrist.
    """
    knuckle, joint, end, tip = points[list(FINGERS[finger])]
    base = points[JOINTS["little_mcp"] if finger == "thumb" else JOINTS["wrist"]]
    if finger != "thumb" and (tip - knuckle) @ (knuckle - base) < 0:
        return -1.0
    length = _distance(end, joint) + _distance(tip, end)
    return (_distance(tip, base) - _distance(joint, base)) / max(length, 1e-6)


def palm_length(points: Points) -> float:
    """Return the distance from wrist to middle knuckle in pixels, or the palm's width if that is larger.

    A hand that points at the camera has a short palm of full width.
    """
    return max(_distance(points[0], points[9]), _distance(points[5], points[17]), 1e-6)


class GestureRecognizer:
    """Recognizes the gestures of one camera's people.

    Stores the sideways positions of each person's hands, for gestures that are movements. Everything else is computed
    from the current image. Not thread-safe.
    """

    def __init__(self, rules: Gestures) -> None:
        self._rules = rules
        moving = [rule.seconds for alternatives in rules.values() for rule in alternatives if rule.swings]
        self._horizon = max(moving, default=0.0)  # seconds
        # Person, side and number of the hand to stamps (s) and x (pixels) of the last _horizon seconds, oldest first.
        self._positions: dict[tuple[str, str, int], deque[tuple[float, float]]] = {}

    def recognize(self, owner: str, face: Box | None, hands: Sequence[Hand], stamp: float) -> tuple[Hand, ...]:
        """Return one person's hands with their gestures.

        Args:
            owner: id of the person; empty for hands without owner, whose movements are not stored.
            face: box of the person's face in pixels.
            hands: from left to right. A detector may call both the left one: they are told apart by this order.
            stamp: of the image, in seconds; increases from call to call for the same person.
        """
        sides: Counter[str] = Counter()
        recognized = []
        for hand in hands:
            swings = self._swings((owner, hand.side, sides[hand.side]), hand, stamp) if owner and self._horizon else 0
            sides[hand.side] += 1
            gesture, fit = recognize_gesture(HandObservation(hand.landmarks, face, swings), self._rules)
            recognized.append(replace(hand, gesture=gesture, gesture_confidence=fit))
        return tuple(recognized)

    def expire(self, stamp: float) -> None:
        """Remove positions that are too old for any rule at ``stamp``, or from after it (time jumped back)."""
        self._positions = {
            key: positions
            for key, positions in self._positions.items()
            if 0 <= stamp - positions[-1][0] <= self._horizon
        }

    def _swings(self, key: tuple[str, str, int], hand: Hand, stamp: float) -> int:
        """Store the position of a hand and return the direction changes of its stored positions."""
        positions = self._positions.setdefault(key, deque())
        positions.append((stamp, float(hand.landmarks[MIDDLE_KNUCKLE, 0])))
        while stamp - positions[0][0] > self._horizon:
            positions.popleft()
        return _direction_changes((x for _, x in positions), MIN_SWING_WIDTH_PALMS * palm_length(hand.landmarks))


def _direction_changes(positions: Iterable[float], min_width: float) -> int:
    """Return the number of direction changes between movements wider than ``min_width``.

    ``extreme`` is the farthest position of the movement under way; smaller movements against it are noise.
    """
    changes, direction, extreme = 0, 0, None
    for position in positions:
        if extreme is None:
            extreme = position
        elif direction == 0 and abs(position - extreme) > min_width:
            direction, extreme = (1 if position > extreme else -1), position
        elif direction * (position - extreme) > 0:
            extreme = position
        elif direction * (extreme - position) > min_width:
            changes, direction, extreme = changes + 1, -direction, position
    return changes


def _fit(hand: HandObservation, rule: GestureRule) -> float:
    """Return the fit of a hand to a rule, 0…1: the minimum over its conditions."""
    if rule.swings > hand.swings:
        return 0.0
    points = hand.points
    fits = [ramp(extension(points, finger), *EXTENSION_RANGES[state]) for finger, state in rule.fingers.items()]
    fits += [ramp(_angle_deg(points, finger, to), *DIRECTION_RANGE_DEG) for finger, to in rule.points.items()]
    fits += _distance_fits(points, rule)
    if rule.on_face:
        share = 0.0 if hand.face is None else _share_inside(points, hand.face)
        fits.append(ramp(share, rule.on_face - LIMIT_TOLERANCE, rule.on_face + LIMIT_TOLERANCE))
    return min(fits, default=1.0)


def _distance_fits(points: Points, rule: GestureRule) -> list[float]:
    fits, unit = [], palm_length(points)
    for (first, second), (minimum, maximum) in rule.distances.items():
        distance = _distance(points[JOINTS[first]], points[JOINTS[second]]) / unit
        fits.append(ramp(distance, minimum - LIMIT_TOLERANCE, minimum + LIMIT_TOLERANCE))
        fits.append(ramp(distance, maximum + LIMIT_TOLERANCE, maximum - LIMIT_TOLERANCE))
    return fits


def _distance(first: Points, second: Points) -> float:
    return float(np.hypot(first[0] - second[0], first[1] - second[1]))


def _angle_deg(points: Points, finger: str, direction: str) -> float:
    """Return the angle between a finger and up or down in the image, 0…180 degrees."""
    x, y = points[FINGERS[finger][3]] - points[FINGERS[finger][1]]
    return float(np.degrees(np.arctan2(abs(x), -y if direction == "up" else y)))


def _share_inside(points: Points, box: Box) -> float:
    """Return the share of points inside a box, 0…1."""
    inside = (points >= (box.x, box.y)) & (points <= (box.x + box.width, box.y + box.height))
    return float(inside.all(1).mean())
