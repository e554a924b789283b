"""Evaluation of a classifier on labelled pictures, with the code that runs on the robot."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.training.data.datasets import Samples, check_classes, read_split
from emotion_ros.training.data.region_crop import View
from emotion_ros.training.evaluation.classification_metrics import classification_metrics
from emotion_ros.training.evaluation.group_accuracy import accuracy_by_group

BATCH_SIZE = 64
"""Pictures that are classified at once."""

TIMED_RUNS = 100
"""Runs of one picture from which the latency is taken."""


def view_of(metadata: ModelMetadata, crop: str) -> View:
    """Return the view of a picture that a model gets."""
    return View(metadata.size, metadata.color, metadata.region, metadata.margin, metadata.shift, crop)


def evaluate(
    model: Path,
    data: Path,
    split: str,
    groups: Path | None = None,
    crop: str = "auto",
    labels: Path | None = None,
    prior: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Run a model on every picture of a split.

    Args:
        model: ONNX or TFLite file.
        data: see :func:`emotion_ros.training.data.datasets.read_split`.
        split: ``train``, ``val`` or ``test``.
        groups: CSV with a column ``file`` (``class/file``) and one column per kind of group, such as ``age``.
        crop: see :class:`emotion_ros.training.data.region_crop.View`.
        labels: labels.txt of a model without metadata.
        prior: replaces that of the model's metadata.

    Returns:
        ``model``, ``split``, ``size`` (bytes), ``latency_ms`` (p50 and p95 for one picture with preprocessing), and
        the metrics of :func:`~.classification_metrics.classification_metrics` against the class of each picture.
        ``votes``: the same metrics of the same output against the class that more than half of the
        annotators chose, for pictures with such a class. ``groups``: see
        :func:`~emotion_ros.training.evaluation.group_accuracy.accuracy_by_group`.

    Raises:
        ModelError: the model cannot be used.
        DatasetError: the data or the groups cannot be used, or have classes that the model does not have.
    """
    classifier = EmotionClassifier(model, "cpu", labels=labels, prior=prior)
    classes = classifier.metadata.labels
    samples = read_split(data, split, view_of(classifier.metadata, crop))
    check_classes(f"{data}, {split}", samples.labels, classes)
    order = np.array([classes.index(label) for label in samples.labels])
    truth, predictions = order[samples.classes], probabilities(classifier, samples)
    report: dict[str, Any] = {
        "model": classifier.name,
        "split": split,
        "size": model.stat().st_size,
        "latency_ms": _latency(classifier, samples),
        **classification_metrics(classes, truth, predictions),
    }
    voted = samples.votes.majority >= 0
    if voted.any():
        majority = order[samples.votes.majority[voted]]
        report["votes"] = classification_metrics(classes, majority, predictions[voted])
    if groups is not None:
        report["groups"] = accuracy_by_group(groups, samples, predictions.argmax(1) == truth)
    return report


def mean_recall(figures: Iterable[Mapping[str, Any]]) -> float:
    """Return the mean over data sets of the mean recall of the classes, by which models and settings are chosen.

    Args:
        figures: results of :func:`evaluate`. Of a data set with votes, those against the majority of the votes count.
    """
    return round(float(np.mean([each.get("votes", each)["macro_recall"] for each in figures])), 4)


def probabilities(classifier: EmotionClassifier, samples: Samples) -> NDArray[np.float32]:
    """Return the probabilities of pictures in the model's view, n × the model's labels."""
    pictures = samples.pixels.transpose(0, 2, 3, 1)
    if pictures.shape[3] == 1:
        pictures = np.repeat(pictures, 3, axis=3)
    elif classifier.metadata.color == "rgb":
        pictures = pictures[..., ::-1]
    images = list(np.ascontiguousarray(pictures))
    starts = range(0, len(images), BATCH_SIZE)
    return np.concatenate([classifier.classify(images[start : start + BATCH_SIZE]) for start in starts])


def _latency(classifier: EmotionClassifier, samples: Samples) -> dict[str, float]:
    picture = np.zeros((*samples.pixels.shape[2:], 3), np.uint8)
    times = []
    for _ in range(TIMED_RUNS):
        start = time.perf_counter()
        classifier.classify([picture])
        times.append(1000 * (time.perf_counter() - start))
    return {f"p{percent}": round(float(np.percentile(times, percent)), 2) for percent in (50, 95)}
