"""Combines gestures with the emotion probabilities of a face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import ConfigError
from emotion_ros.types import Hand


def with_gestures(
    probabilities: NDArray[np.float32], hands: Sequence[Hand], class_indices: Mapping[str, int], weight: float
) -> NDArray[np.float32]:
    """Return the probabilities of a face, changed by its owner's gestures.

    A gesture multiplies the probability of its class by e^(weight · confidence of the gesture); several gestures of
    one class by at most e^weight. A weight of 1 decides between two classes of equal probability, and raises a
    probability of 0.03 to at most 0.08.

    Args:
        probabilities: classes, summing to 1.
        hands: of the same person, with gestures.
        class_indices: gesture to the index of its class, see :func:`gesture_classes`.
        weight: 0 or more; 0 changes nothing.

    Returns:
        classes, float32, summing to 1.
    """
    evidence = np.zeros(len(probabilities))
    for hand in hands:
        if hand.gesture in class_indices:
            evidence[class_indices[hand.gesture]] += weight * hand.gesture_confidence
    raised = probabilities * np.exp(np.minimum(evidence, weight))
    return np.asarray(raised / raised.sum(), np.float32)


def gesture_classes(table: Mapping[object, object], gestures: Sequence[str], labels: Sequence[str]) -> dict[str, int]:
    """Return a mapping from gestures to indices of their classes.

    Args:
        table: gesture to class, as in the parameter ``gesture_emotions``.
        gestures: known gestures.
        labels: the classifier's classes in its order.

    Raises:
        ConfigError: a gesture or a class is unknown.
    """
    class_indices = {}
    for gesture, label in table.items():
        if gesture not in gestures or label not in labels:
            raise ConfigError(
                f"gesture_emotions: expected one of {', '.join(gestures)} with one of {', '.join(labels)}, "
                f"got {gesture!r}: {label!r}"
            )
        class_indices[str(gesture)] = list(labels).index(str(label))
    return class_indices
