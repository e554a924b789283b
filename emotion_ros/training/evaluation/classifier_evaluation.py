"""How right a model is on labelled pictures, run by the code that the robot runs."""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.training.data.datasets import Samples, check_classes, read_split
from emotion_ros.training.data.readers import summarize
from emotion_ros.training.data.region_crop import View

CALIBRATION_BINS = 15
"""Of the expected calibration error, as in Guo et al. (2017)."""

NORMAL_95 = 1.959964
"""Quantile of the normal distribution between which and its negative 95 % lie."""

TIMED = 100
"""Runs of one picture from which the latency is taken."""

SMALLEST_GROUP = 20
"""Pictures below which a group is shown but does not count for the largest gap: chance alone would make one."""


def view_of(contract: ModelMetadata, crop: str) -> View:
    """What the model of a contract sees of a picture."""
    return View(contract.size, contract.color, contract.region, contract.margin, contract.shift, crop)


def evaluate(
    model: Path, data: Path, split: str, groups: Path | None = None, crop: str = "auto", labels: Path | None = None
) -> dict[str, Any]:
    """Run a model on every picture of a split.

    Args:
        model: ONNX or TFLite file.
        data: see :func:`emotion_ros.training.data.datasets.read_split`.
        split: ``train``, ``val`` or ``test``.
        groups: CSV with a column ``file`` (``class/file``) and one column per kind of group, such as ``age``.
        crop: see :class:`emotion_ros.training.data.region_crop.View`.
        labels: labels.txt of a model without a contract.

    Returns:
        ``model``, ``split``, ``pictures``, ``accuracy``, ``interval`` (95 %, Wilson), ``classes`` (per class
        ``precision``, ``recall``, ``f1``, ``pictures``), ``labels``, ``confusion`` (rows are the true class, columns
        the predicted one, order of ``labels``), ``ece`` (expected calibration error, 0…1), ``reliability`` (rows of
        confidence, accuracy, share), ``latency_ms`` (p50 and p95 for one picture with preprocessing), ``size`` (bytes);
        ``votes``: the same against what most annotators said, where there are votes; ``groups``: per kind the
        accuracy of each group and the largest ``gap``.

    Raises:
        ModelError: the model cannot be used.
        DatasetError: the data or the groups cannot be used, or have classes that the model does not know.
    """
    classifier = EmotionClassifier(model, "cpu", labels=labels)
    about = classifier.contract
    samples = read_split(data, split, view_of(about, crop))
    check_classes(f"{data}, {split}", samples.labels, about.labels)
    found = probabilities(classifier, samples, "folder")
    truth = np.array([about.labels.index(label) for label in samples.labels])[samples.classes]
    figures: dict[str, Any] = {
        "model": classifier.name,
        "split": split,
        "size": model.stat().st_size,
        "latency_ms": _latency(classifier, samples),
        **_figures(about.labels, truth, found),
    }
    voted = samples.votes.majority >= 0
    if voted.any():
        order = [about.labels.index(label) for label in samples.labels]
        majority = np.array(order)[samples.votes.majority[voted]]
        figures["votes"] = _figures(about.labels, majority, probabilities(classifier, samples, "votes")[voted])
    if groups is not None:
        figures["groups"] = _groups(groups, samples, found.argmax(1) == truth)
    return figures


def probabilities(classifier: EmotionClassifier, samples: Samples, taught_by: str) -> NDArray[np.float32]:
    """What a model says of pictures that were read as it sees them, n × its labels."""
    pictures = samples.pixels.transpose(0, 2, 3, 1)
    if pictures.shape[3] == 1:
        pictures = np.repeat(pictures, 3, axis=3)
    elif classifier.contract.color == "rgb":
        pictures = pictures[..., ::-1]
    images = list(np.ascontiguousarray(pictures))
    return np.concatenate([classifier.classify(images[i : i + 64], taught_by) for i in range(0, len(images), 64)])


def _figures(labels: tuple[str, ...], truth: NDArray[np.int64], found: NDArray[np.float32]) -> dict[str, Any]:
    predicted = found.argmax(1)
    right = predicted == truth
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (truth, predicted), 1)
    reliability = _reliability(found.max(1), right)
    return {
        "pictures": len(truth),
        "accuracy": round(float(right.mean()), 4),
        "interval": wilson(int(right.sum()), len(right)),
        "labels": list(labels),
        "classes": {label: _class(confusion, index) for index, label in enumerate(labels)},
        "confusion": confusion.tolist(),
        "ece": round(float(sum(share * abs(sure - good) for sure, good, share in reliability)), 4),
        "reliability": [[round(value, 4) for value in row] for row in reliability],
    }


def wilson(right: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, "Probable Inference", 1927)."""
    share, z = right / count, NORMAL_95
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * float(np.sqrt(share * (1 - share) / count + z * z / (4 * count**2))) / (1 + z * z / count)
    return round(middle - half, 4), round(middle + half, 4)


def _class(confusion: NDArray[np.int64], index: int) -> dict[str, float]:
    hits, said, there = (
        int(each) for each in (confusion[index, index], confusion[:, index].sum(), confusion[index].sum())
    )
    return {
        "precision": round(hits / max(said, 1), 4),
        "recall": round(hits / max(there, 1), 4),
        "f1": round(2 * hits / max(said + there, 1), 4),
        "pictures": there,
    }


def _reliability(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> list[tuple[float, float, float]]:
    """Per bin of confidence that is not empty: mean confidence, accuracy, share of the pictures."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    inside = [bins == each for each in range(CALIBRATION_BINS) if (bins == each).any()]
    return [(float(confidence[each].mean()), float(right[each].mean()), float(each.mean())) for each in inside]


def _latency(classifier: EmotionClassifier, samples: Samples) -> dict[str, float]:
    picture = np.zeros((*samples.pixels.shape[2:], 3), np.uint8)
    times = []
    for _ in range(TIMED):
        begin = time.perf_counter()
        classifier.classify([picture])
        times.append(1000 * (time.perf_counter() - begin))
    return {f"p{each}": round(float(np.percentile(times, each)), 2) for each in (50, 95)}


def _groups(path: Path, samples: Samples, right: NDArray[np.bool_]) -> dict[str, Any]:
    rows = _read_groups(path, samples)
    figures: dict[str, Any] = {}
    for kind in (name for name in next(iter(rows.values())) if name != "file"):
        members: dict[str, list[int]] = defaultdict(list)
        for index, name in enumerate(samples.names):
            if rows.get(name, {}).get(kind):
                members[rows[name][kind]].append(index)
        each: dict[str, dict[str, Any]] = {
            group: {
                "pictures": len(found),
                "accuracy": round(float(right[found].mean()), 4),
                "interval": wilson(int(right[found].sum()), len(found)),
            }
            for group, found in sorted(members.items())
        }
        counted = {group: values["accuracy"] for group, values in each.items() if values["pictures"] >= SMALLEST_GROUP}
        figures[kind] = {"groups": each, **_gap(counted)}
    return figures


def _gap(accuracy: dict[str, float]) -> dict[str, Any]:
    if len(accuracy) < 2:
        return {"gap": None}
    best, worst = max(accuracy, key=accuracy.__getitem__), min(accuracy, key=accuracy.__getitem__)
    return {"gap": round(accuracy[best] - accuracy[worst], 4), "best": best, "worst": worst}


def _read_groups(path: Path, samples: Samples) -> dict[str, dict[str, str]]:
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            rows = {row.get("file", ""): row for row in reader}
    except OSError as error:
        raise DatasetError(f"{path}: expected a CSV of groups, cannot read it: {error.strerror}") from error
    if "file" not in columns or len(columns) < 2 or not rows:
        raise DatasetError(f"{path}: expected a column file and one per kind of group, found {', '.join(columns)}")
    unknown = sorted(set(rows) - set(samples.names))
    if len(unknown) == len(rows):
        raise DatasetError(
            f"{path}: expected files of the split as class/file, knows none of them: {summarize(unknown)}"
        )
    return rows
