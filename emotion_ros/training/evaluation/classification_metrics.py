"""Metrics of a classifier: accuracy, recall, calibration and confusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 15
"""Bins of the expected calibration error, as in Guo et al., "On Calibration of Modern Neural Networks", 2017."""

REJECTION_CONFIDENCES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Values of ``min_confidence`` for the accuracy of labels that are not ``unknown``. The first is the default."""

NORMAL_QUANTILE_95 = 1.959964
"""Quantile z of the normal distribution: 95 % of it are in −z…z."""


def classification_metrics(
    labels: Sequence[str], truth: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> dict[str, Any]:
    """Compare predicted probabilities with true classes.

    Args:
        labels: names of the classes.
        truth: n, index of the true class.
        probabilities: n × labels.

    Returns:
        ``pictures`` (n), ``accuracy`` and its 95 % ``interval`` (Wilson), ``macro_recall`` (mean recall of the classes
        that occur in ``truth``) and its 95 % ``macro_recall_interval`` (normal approximation), ``labels``, ``classes``
        (label to ``precision``, ``recall``, ``f1`` and ``pictures``), ``confusion`` (counts; rows are true classes,
        columns predicted ones, in the order of ``labels``), ``ece`` (expected calibration error, 0…1),
        ``reliability`` (rows of mean confidence, accuracy and share of the pictures, one per bin of confidence that is
        not empty) and ``rejection`` (rows of ``min_confidence``, share of the pictures that become ``unknown``, and
        accuracy on the others, None if there are none).
    """
    predicted = probabilities.argmax(1)
    correct = predicted == truth
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (truth, predicted), 1)
    classes = {label: _class_metrics(confusion, index) for index, label in enumerate(labels)}
    reliability = _reliability(probabilities.max(1), correct)
    return {
        "pictures": len(truth),
        "accuracy": round(float(correct.mean()), 4),
        "interval": wilson(int(correct.sum()), len(correct)),
        **_macro_recall(confusion),
        "labels": list(labels),
        "classes": classes,
        "confusion": confusion.tolist(),
        "ece": round(float(sum(share * abs(confidence - right) for confidence, right, share in reliability)), 4),
        "reliability": [[round(value, 4) for value in row] for row in reliability],
        "rejection": [_rejection(probabilities.max(1), correct, value) for value in REJECTION_CONFIDENCES],
    }


def wilson(successes: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, "Probable Inference", 1927)."""
    share, z = successes / count, NORMAL_QUANTILE_95
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * float(np.sqrt(share * (1 - share) / count + z * z / (4 * count**2))) / (1 + z * z / count)
    return round(max(middle - half, 0.0), 4), round(min(middle + half, 1.0), 4)


def _macro_recall(confusion: NDArray[np.int64]) -> dict[str, Any]:
    counts = confusion.sum(1)
    occurs = counts > 0
    recalls, counts = confusion.diagonal()[occurs] / counts[occurs], counts[occurs]
    mean = float(recalls.mean())
    half = NORMAL_QUANTILE_95 * float(np.sqrt((recalls * (1 - recalls) / counts).sum())) / len(counts)
    return {
        "macro_recall": round(mean, 4),
        "macro_recall_interval": (round(max(mean - half, 0.0), 4), round(min(mean + half, 1.0), 4)),
    }


def _class_metrics(confusion: NDArray[np.int64], index: int) -> dict[str, float]:
    hits, predicted = int(confusion[index, index]), int(confusion[:, index].sum())
    actual = int(confusion[index].sum())
    return {
        "precision": round(hits / max(predicted, 1), 4),
        "recall": round(hits / max(actual, 1), 4),
        "f1": round(2 * hits / max(predicted + actual, 1), 4),
        "pictures": actual,
    }


def _reliability(confidence: NDArray[np.float32], correct: NDArray[np.bool_]) -> list[tuple[float, float, float]]:
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    members = [bins == index for index in range(CALIBRATION_BINS) if (bins == index).any()]
    return [(float(confidence[rows].mean()), float(correct[rows].mean()), float(rows.mean())) for rows in members]


def _rejection(
    confidence: NDArray[np.float32], correct: NDArray[np.bool_], min_confidence: float
) -> tuple[float, float, float | None]:
    kept = confidence >= min_confidence
    accuracy = round(float(correct[kept].mean()), 4) if kept.any() else None
    return min_confidence, round(1 - float(kept.mean()), 4), accuracy
