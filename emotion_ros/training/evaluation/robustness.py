"""Accuracy of models on corrupted pictures; each model gets the same ones."""

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
from emotion_ros.training.evaluation.evaluation_report import markdown_table

CLEAN = "clean"
"""Name of the row of pictures that are not corrupted."""


def robustness(models: Sequence[Path], data: Path, split: str, crop: str = "auto") -> dict[str, dict[str, list[float]]]:
    """Measure each model on a split that is corrupted in each of :data:`KINDS`, at each of :data:`LEVELS`.

    Args:
        models: ONNX or TFLite files.
        data: see :func:`emotion_ros.training.data.datasets.read_split`.
        split: ``train``, ``val`` or ``test``.
        crop: see :class:`emotion_ros.training.data.region_crop.View`.

    Returns:
        Kind to model's name to accuracies (0…1) on the class of each picture, weakest level first; :data:`CLEAN` has
        one accuracy.

    Raises:
        ModelError: a model cannot be used.
        DatasetError: the data cannot be used, or have classes that a model does not have.
    """
    rows: dict[str, dict[str, list[float]]] = {kind: {} for kind in (CLEAN, *KINDS)}
    for model in models:
        classifier = EmotionClassifier(model, "cpu")
        samples = read_split(data, split, view_of(classifier.metadata, crop))
        check_classes(f"{data}, {split}", samples.labels, classifier.metadata.labels)
        rows[CLEAN][classifier.name] = [_accuracy(classifier, samples)]
        for kind in tqdm(KINDS, desc=classifier.name, leave=False, disable=None):
            rows[kind][classifier.name] = [_accuracy(classifier, _corrupted(samples, kind, level)) for level in LEVELS]
    return rows


def table(rows: dict[str, dict[str, list[float]]]) -> str:
    """Format the result of :func:`robustness` as a Markdown table."""
    models = list(rows[CLEAN])
    cells = [[kind, *(" / ".join(f"{value:.3f}" for value in found[model]) for model in models)]
             for kind, found in rows.items()]  # fmt: skip
    means = [f"{np.mean([rows[kind][model] for kind in KINDS]):.3f}" for model in models]
    return markdown_table(["pictures", *models], [*cells, ["mean of all that are corrupted", *means]])


def _corrupted(samples: Samples, kind: str, level: float) -> Samples:
    torch.manual_seed(0)  # the same noise for every model
    pixels = torch.from_numpy(samples.pixels).float()
    changed = corrupt(pixels, kind, torch.full((len(pixels),), level)).round().byte()
    return replace(samples, pixels=changed.numpy())


def _accuracy(classifier: EmotionClassifier, samples: Samples) -> float:
    order: Any = np.array([classifier.metadata.labels.index(label) for label in samples.labels])
    predicted = probabilities(classifier, samples).argmax(1)
    return round(float((predicted == order[samples.classes]).mean()), 4)
