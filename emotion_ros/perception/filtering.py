"""Filters emotion probabilities and labels over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LABEL_HYSTERESIS = 0.1
"""Lead in probability that another label needs before it replaces the published one."""


@dataclass
class _Mood:
    probabilities: NDArray[np.float32]
    stamp: float
    label: str | None = None


class EmotionFilter:
    """What each person has shown of late: probabilities averaged over time, and a label that does not flicker."""

    def __init__(self) -> None:
        self._moods: dict[str, _Mood] = {}

    def smooth(
        self, id: str, probabilities: NDArray[np.float32], quality: float, stamp: float, seconds: float
    ) -> NDArray[np.float32]:
        """An average that forgets with the time constant ``seconds``; a face of low ``quality`` (0…1) moves it less."""
        mood = self._moods.get(id)
        if mood is None or stamp < mood.stamp:
            self._moods[id] = _Mood(probabilities, stamp)
            return probabilities
        share = 1.0 if seconds <= 0 else 1.0 - np.exp(-(stamp - mood.stamp) * quality / seconds)
        mood.probabilities = np.asarray(mood.probabilities + share * (probabilities - mood.probabilities), np.float32)
        mood.stamp = stamp
        return mood.probabilities

    def shown(self, id: str) -> NDArray[np.float32]:
        """What :meth:`smooth` last returned for somebody."""
        return self._moods[id].probabilities

    def due(self, ids: Sequence[str], stamp: float, most: int, pause: float) -> set[str]:
        """Who of those in view shall be classified: everybody new, and of those who were classified ``pause`` seconds
        ago or more who waited longest, ``most`` in all; 0: all of these."""
        new = {id for id in ids if id not in self._moods}
        waiting = (id for id in ids if id not in new and not 0 < stamp - self._moods[id].stamp < pause)
        known = sorted(waiting, key=lambda id: self._moods[id].stamp)
        return new | set(known[: max(most - len(new), 0)] if most else known)

    def label(
        self, id: str, labels: Sequence[str], probabilities: NDArray[np.float32], floor: float, margin: float
    ) -> str:
        """The likeliest label; another than before only where it leads by ``margin``.

        Empty where the largest probability is below ``floor``, and then until it is above it by half of ``margin``.
        """
        mood = self._moods[id]
        best = int(probabilities.argmax())
        if mood.label in labels and probabilities[best] < probabilities[labels.index(mood.label)] + margin:
            best = labels.index(mood.label)
        needed = floor + margin / 2 if mood.label == "" else floor
        mood.label = labels[best] if probabilities.max() >= needed else ""
        return mood.label

    def keep(self, ids: set[str]) -> None:
        """Forget everybody else."""
        self._moods = {id: mood for id, mood in self._moods.items() if id in ids}
