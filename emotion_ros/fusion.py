"""Which hand belongs to whom, and what a face and its emotion probabilities say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import ConfigError
from emotion_ros.types import Box, Face, Hand

REACH = 4.0
"""Farthest a hand's centre may be from a face's centre, in face heights. An adult's outstretched arm is about 0.75 m
from shoulder to fingertip and a head about 0.23 m high (Drillis and Contini, "Body Segment Parameters", 1966)."""

ON_HAND, LESS_SURE = 0.7, 0.2
"""A face with this share of its box on a hand is that hand, if a face in the same image is surer by this much. In
668 pictures of gestures beside a face, MediaPipe saw 18 second faces: 0.76 to 1 of each lay on a hand, and it was less
sure of them than of the true face by 0.29 to 0.46."""

CIRCUMPLEX: Mapping[str, tuple[float, float]] = {
    "angry": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "happy": (0.81, 0.51),
    "neutral": (0.0, 0.0),
    "sad": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
}
"""Pleasure and arousal of emotion words, −1…1 (Russell and Mehrabian, "Evidence for a Three-Factor Theory of Emotions",
1977); neutral is the origin by definition."""

ALSO_CALLED = {
    "anger": "angry",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "disgusted": "disgust",
}
"""Other words for the same."""


def not_hands(faces: Sequence[Face], hands: Sequence[Hand]) -> list[int]:
    """Indices of the faces that are not a hand which the detector took for a face."""
    surest = max((face.confidence for face in faces), default=0.0)
    return [
        index
        for index, face in enumerate(faces)
        if face.confidence > surest - LESS_SURE
        or all(face.box.shared(hand.box) < ON_HAND * face.box.area for hand in hands)
    ]


def attach_hands(faces: Sequence[Face], hands: Sequence[Hand]) -> tuple[list[tuple[Hand, ...]], tuple[Hand, ...]]:
    """Give each hand to the nearest face in reach, measured in heights of that face.

    Returns:
        The hands of each face, in the order of the faces, and those that belong to none.
    """
    owned: list[list[Hand]] = [[] for _ in faces]
    loose: list[Hand] = []
    for hand in hands:
        distances = [_distance(face.box, hand.box) for face in faces]
        nearest = min(range(len(faces)), key=distances.__getitem__, default=-1)
        (owned[nearest] if nearest >= 0 and distances[nearest] <= REACH else loose).append(hand)
    return [tuple(each) for each in owned], tuple(loose)


def _distance(face: Box, hand: Box) -> float:
    (x1, y1), (x2, y2) = face.centre, hand.centre
    return float(np.hypot(x2 - x1, y2 - y1)) / max(face.height, 1.0)


def with_gestures(
    probabilities: NDArray[np.float32], hands: Sequence[Hand], speaks: Mapping[str, int], weight: float
) -> NDArray[np.float32]:
    """Probabilities of a face in which its owner's gestures count too.

    A gesture that speaks for a class multiplies that class by e to the ``weight``, less where it is not surely that
    gesture: a weight of 1 decides between two classes that the face leaves open, and moves a class that the face puts
    at 0.03 to no more than 0.08.

    Args:
        probabilities: of the face, one per class.
        hands: those of the same person.
        speaks: gesture to the index of the class it speaks for.
        weight: 0 leaves the face alone.
    """
    evidence = np.zeros(len(probabilities))
    for hand in hands:
        if hand.gesture in speaks:
            evidence[speaks[hand.gesture]] += weight * hand.gesture_confidence
    raised = probabilities * np.exp(np.minimum(evidence, weight))
    return np.asarray(raised / raised.sum(), np.float32)


def gesture_classes(table: Mapping[object, object], gestures: Sequence[str], labels: Sequence[str]) -> dict[str, int]:
    """Gesture to the index of the class it speaks for.

    Raises:
        ConfigError: a gesture or a class is unknown.
    """
    speaks = {}
    for gesture, label in table.items():
        if gesture not in gestures or label not in labels:
            raise ConfigError(
                f"gesture_emotions: expected one of {', '.join(gestures)} with one of {', '.join(labels)}, "
                f"got {gesture}: {label}"
            )
        speaks[str(gesture)] = list(labels).index(str(label))
    return speaks


def valence_arousal(labels: Sequence[str], probabilities: NDArray[np.float32]) -> tuple[float, float]:
    """Expected valence and arousal, −1…1 each, over the labels that have coordinates; NaN where none has."""
    labels = [ALSO_CALLED.get(label, label) for label in labels]
    known = [index for index, label in enumerate(labels) if label in CIRCUMPLEX]
    weight = float(probabilities[known].sum()) if known else 0.0
    if weight <= 0:
        return float("nan"), float("nan")
    points = np.array([CIRCUMPLEX[labels[index]] for index in known])
    valence, arousal = (probabilities[known] @ points / weight).tolist()
    return valence, arousal
