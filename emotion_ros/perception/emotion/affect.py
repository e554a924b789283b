"""Valence and arousal of emotion labels, and the labels' synonyms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

CIRCUMPLEX: Mapping[str, tuple[float, float]] = {
    "angry": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "happy": (0.81, 0.51),
    "neutral": (0.0, 0.0),
    "sad": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
}
"""Label to valence and arousal, −1…1: pleasure and arousal of Russell and Mehrabian, "Evidence for a Three-Factor
Theory of Emotions", 1977; neutral is the origin by definition."""

SYNONYMS: Mapping[str, str] = {
    "anger": "angry",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "disgusted": "disgust",
}
"""Other name of an emotion to its label in :data:`CIRCUMPLEX`."""


def canonical_label(label: str) -> str:
    """Return this package's label for a synonym, and any other label unchanged."""
    return SYNONYMS.get(label, label)


def valence_arousal(labels: Sequence[str], probabilities: NDArray[np.float32]) -> tuple[float, float]:
    """Return the expected valence and arousal, −1…1, over the labels that have coordinates; NaN if none has.

    Args:
        labels: classes; synonyms are understood.
        probabilities: one per class.
    """
    labels = [canonical_label(label) for label in labels]
    known = [index for index, label in enumerate(labels) if label in CIRCUMPLEX]
    weight = float(probabilities[known].sum()) if known else 0.0
    if weight <= 0:
        return float("nan"), float("nan")
    points = np.array([CIRCUMPLEX[labels[index]] for index in known])
    valence, arousal = (probabilities[known] @ points / weight).tolist()
    return valence, arousal
