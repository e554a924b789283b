"""Filters emotion probabilities and labels over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.baseline import Baseline, learn, take_off

LABEL_HYSTERESIS = 0.1
"""Lead in probability that another label needs before it replaces the current one. It keeps the label of a still face
with a noise of 0.06 per image constant for half a minute, while a real change shows within 0.6 s
(test/perception/test_people.py)."""

NO_LABEL = ""
"""Label of a face whose largest probability is too low."""

UNKNOWN = "unknown"
"""Published label of such a face."""


@dataclass(frozen=True)
class FilteredEmotion:
    """Filtered state of one face.

    Attributes:
        probabilities: one per class, float32, sum 1.
        stamp: of the last classification, seconds.
        label: current label, :data:`NO_LABEL` if the probabilities are too low, None before the first.
        baseline: usual expression of the person; None: not learned.
    """

    probabilities: NDArray[np.float32]
    stamp: float
    label: str | None = None
    baseline: Baseline | None = None


def filter_probabilities(
    previous: FilteredEmotion | None, probabilities: NDArray[np.float32], quality: float, stamp: float, smoothing: float
) -> FilteredEmotion:
    """Update an exponential moving average with one classification.

    Args:
        previous: state of the face; None: a new face.
        probabilities: one per class, sum 1.
        quality: weight of this image, 0…1.
        stamp: of the image, seconds; before ``previous.stamp``, time went back and the filter restarts.
        smoothing: time constant, seconds; 0: no averaging.
    """
    if previous is None or stamp < previous.stamp:
        return FilteredEmotion(probabilities, stamp)
    weight = 1.0 if smoothing <= 0 else 1.0 - float(np.exp(-(stamp - previous.stamp) * quality / smoothing))
    mean = previous.probabilities + weight * (probabilities - previous.probabilities)
    return replace(previous, probabilities=np.asarray(mean, np.float32), stamp=stamp)


def select_label(
    current: str | None, labels: Sequence[str], probabilities: NDArray[np.float32], min_confidence: float
) -> str:
    """Most probable label; it replaces ``current`` only with a lead of :data:`LABEL_HYSTERESIS`.

    Returns:
        :data:`NO_LABEL` if no probability reaches ``min_confidence``, and from then on until one exceeds it by half the
        hysteresis, or by half of what is left to 1.
    """
    best = int(probabilities.argmax())
    if current in labels and probabilities[best] < probabilities[labels.index(current)] + LABEL_HYSTERESIS:
        best = labels.index(current)
    lead = min(LABEL_HYSTERESIS, 1.0 - min_confidence) / 2  # no probability would reach more than 1
    needed = min_confidence + lead if current == NO_LABEL else min_confidence
    return labels[best] if probabilities.max() >= needed else NO_LABEL


class EmotionFilter:
    """Filtered emotions of all faces of one camera.

    Args:
        neutral: index of the class neutral; None: there is none, and no baseline is learned.
    """

    def __init__(self, neutral: int | None = None) -> None:
        self._neutral = neutral
        self._emotions: dict[str, FilteredEmotion] = {}

    @property
    def last_classified(self) -> Mapping[str, float]:
        """Id to the stamp of the last classification, seconds."""
        return {id: emotion.stamp for id, emotion in self._emotions.items()}

    def probabilities(self, id: str) -> NDArray[np.float32]:
        """Filtered probabilities of a face that was classified before."""
        return self._emotions[id].probabilities

    def update(
        self,
        id: str,
        probabilities: NDArray[np.float32],
        quality: float,
        stamp: float,
        smoothing: float,
        baseline_memory: float = 0.0,
    ) -> None:
        """Add one classification of a face; see :func:`filter_probabilities`.

        Args:
            id: of the face.
            probabilities: one per class, sum 1.
            quality: of the image, 0…1.
            stamp: of the image, seconds.
            smoothing: time constant, seconds.
            baseline_memory: seconds over which the person's usual expression is learned and taken off; 0: it is not.
        """
        previous = self._emotions.get(id)
        baseline = None
        if baseline_memory > 0 and self._neutral is not None:
            known = previous.baseline if previous else None
            baseline = learn(known, probabilities, self._neutral, quality, stamp, baseline_memory)
            probabilities = take_off(baseline, probabilities, self._neutral)
        filtered = filter_probabilities(previous, probabilities, quality, stamp, smoothing)
        self._emotions[id] = replace(filtered, baseline=baseline)

    def update_label(
        self, id: str, labels: Sequence[str], probabilities: NDArray[np.float32], min_confidence: float
    ) -> str:
        """Update the label of a face and return it; see :func:`select_label`."""
        emotion = self._emotions[id]
        label = select_label(emotion.label, labels, probabilities, min_confidence)
        self._emotions[id] = replace(emotion, label=label)
        return label

    def keep_only(self, ids: AbstractSet[str]) -> None:
        """Forget all other faces."""
        self._emotions = {id: emotion for id, emotion in self._emotions.items() if id in ids}
