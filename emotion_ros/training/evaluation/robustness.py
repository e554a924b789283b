"""How right models stay on pictures that are spoilt the same way for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.training.data.corruptions import KINDS, LEVELS, corrupt
from emotion_ros.training.data.datasets import Samples, check_classes, read_split
from emotion_ros.training.evaluation.classifier_evaluation import probabilities, view_of

CLEAN = "as they are"
"""Name of the row of pictures that are not spoilt."""


def robustness(models: Sequence[Path], data: Path, split: str, crop: str = "auto") -> dict[str, dict[str, list[float]]]:
    """Accuracy of each model on a split that is spoilt in each of :data:`KINDS`, at each of :data:`LEVELS`.

    Args:
        models: ONNX or TFLite files.
        data: see :func:`emotion_ros.training.data.datasets.read_split`.
        split: ``train``, ``val`` or ``test``.
        crop: see :class:`emotion_ros.training.data.region_crop.View`.

    Returns:
        Kind to model's name to accuracies (0…1) by the folder's class, the weakest level first; :data:`CLEAN` has one.

    Raises:
        ModelError: a model cannot be used.
        DatasetError: the data cannot be used, or have classes that a model does not know.
    """
    rows: dict[str, dict[str, list[float]]] = {kind: {} for kind in (CLEAN, *KINDS)}
    for model in models:
        classifier = EmotionClassifier(model, "cpu")
        samples = read_split(data, split, view_of(classifier.contract, crop))
        check_classes(f"{data}, {split}", samples.labels, classifier.contract.labels)
        rows[CLEAN][classifier.name] = [_accuracy(classifier, samples)]
        for kind in tqdm(KINDS, desc=classifier.name, leave=False, disable=None):
            rows[kind][classifier.name] = [_accuracy(classifier, _spoilt(samples, kind, level)) for level in LEVELS]
    return rows


def table(rows: dict[str, dict[str, list[float]]]) -> str:
    """What :func:`robustness` returned, for reading."""
    models = list(rows[CLEAN])
    lines = ["| pictures | " + " | ".join(models) + " |", "| --- |" + " --- |" * len(models)]
    for kind, found in rows.items():
        cells = (" / ".join(f"{each:.3f}" for each in found[model]) for model in models)
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    means = (np.mean([rows[kind][model] for kind in KINDS]) for model in models)
    return "\n".join([*lines, "| mean of all that are spoilt | " + " | ".join(f"{each:.3f}" for each in means) + " |"])


def _spoilt(samples: Samples, kind: str, level: float) -> Samples:
    torch.manual_seed(0)  # the same noise for every model
    pixels = torch.from_numpy(samples.pixels).float()
    changed = corrupt(pixels, kind, torch.full((len(pixels),), level)).round().byte()
    return replace(samples, pixels=changed.numpy())


def _accuracy(classifier: EmotionClassifier, samples: Samples) -> float:
    order: Any = np.array([classifier.contract.labels.index(label) for label in samples.labels])
    found = probabilities(classifier, samples, "folder").argmax(1)
    return round(float((found == order[samples.classes]).mean()), 4)
