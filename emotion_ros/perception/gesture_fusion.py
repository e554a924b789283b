"""Combines gestures with the emotion probabilities of a face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import ConfigError
from emotion_ros.types import Hand


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
