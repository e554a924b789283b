"""How right a model is on labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ros.classification.classifier import EmotionClassifier
from emotion_ros.errors import DatasetError
from emotion_ros.training.datasets import Samples, read_split

CALIBRATION_BINS = 15
"""Of the expected calibration error, as in Guo et al. (2017)."""


def evaluate(model: Path, data: Path, split: str) -> dict[str, Any]:
    """Run an ONNX model, as the robot does, on every picture of a split.

    Returns:
        ``accuracy``, ``recall`` per class, ``confusion`` (rows are the true class, columns the predicted one, order of
        ``labels``), ``ece`` (expected calibration error, 0…1), ``pictures``, ``model``, ``split``.

    Raises:
        ModelError: the model cannot be used.
        DatasetError: the data cannot be used, or their classes are not the model's.
    """
    classifier = EmotionClassifier(model, "cpu")
    about = classifier.contract
    samples = read_split(data, split, about.size, "grey" if about.color == "grey" else "bgr")
    if samples.labels != tuple(sorted(about.labels)):
        raise DatasetError(f"{data}: expected the model's classes {list(about.labels)}, found {list(samples.labels)}")
    order = [about.labels.index(label) for label in samples.labels]
    return {
        "model": classifier.name,
        "split": split,
        **_figures(samples, _probabilities(classifier, samples)[:, order]),
    }


def _probabilities(classifier: EmotionClassifier, samples: Samples) -> NDArray[np.float32]:
    pictures = samples.pixels.transpose(0, 2, 3, 1)
    colored = np.repeat(pictures, 3, axis=3) if pictures.shape[3] == 1 else pictures
    return np.concatenate([classifier.classify(list(colored[i : i + 64])) for i in range(0, len(colored), 64)])


def _figures(samples: Samples, probabilities: NDArray[np.float32]) -> dict[str, Any]:
    predicted = probabilities.argmax(1)
    right = predicted == samples.classes
    count = len(samples.labels)
    confusion = np.zeros((count, count), int)
    np.add.at(confusion, (samples.classes, predicted), 1)
    recall = confusion.diagonal() / np.maximum(confusion.sum(1), 1)
    return {
        "pictures": len(samples),
        "accuracy": round(float(right.mean()), 4),
        "recall": {label: round(float(value), 4) for label, value in zip(samples.labels, recall, strict=True)},
        "labels": list(samples.labels),
        "confusion": confusion.tolist(),
        "ece": round(_calibration_error(probabilities.max(1), right), 4),
    }


def _calibration_error(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [
        abs(float(right[bins == each].mean()) - float(confidence[bins == each].mean())) * float((bins == each).mean())
        for each in range(CALIBRATION_BINS)
        if (bins == each).any()
    ]
    return float(sum(gaps))
