"""Accuracy by groups of people, such as age, and the largest gap between groups."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError
from emotion_ros.training.data.datasets import Samples
from emotion_ros.training.data.readers import summarize
from emotion_ros.training.evaluation.classification_metrics import wilson

MIN_GROUP_PICTURES = 20
"""Pictures below which a group is listed but does not count for the largest gap, which chance alone would cause."""


def accuracy_by_group(path: Path, samples: Samples, correct: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the accuracy of each group.

    Args:
        path: CSV with a column ``file`` (``class/file``) and one column per kind of group, such as ``age``.
        samples: the pictures.
        correct: n, per picture.

    Returns:
        Kind to ``groups`` (group to ``pictures``, ``accuracy`` and its 95 % ``interval``), and to the largest ``gap``
        between the ``best`` and the ``worst`` group; a gap of None: fewer than two groups are large enough.

    Raises:
        DatasetError: the file cannot be read, lacks columns, or names none of the pictures.
    """
    rows = _read(path, samples)
    kinds = (name for name in next(iter(rows.values())) if name != "file")
    return {kind: _kind(rows, kind, samples, correct) for kind in kinds}


def _kind(rows: dict[str, dict[str, str]], kind: str, samples: Samples, correct: NDArray[np.bool_]) -> dict[str, Any]:
    members: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(samples.names):
        if group := rows.get(name, {}).get(kind):
            members[group].append(index)
    groups: dict[str, dict[str, Any]] = {
        group: {
            "pictures": len(indices),
            "accuracy": round(float(correct[indices].mean()), 4),
            "interval": wilson(int(correct[indices].sum()), len(indices)),
        }
        for group, indices in sorted(members.items())
    }
    large = {name: values["accuracy"] for name, values in groups.items() if values["pictures"] >= MIN_GROUP_PICTURES}
    return {"groups": groups, **_gap(large)}


def _gap(accuracy: dict[str, float]) -> dict[str, Any]:
    if len(accuracy) < 2:
        return {"gap": None}
    best, worst = max(accuracy, key=accuracy.__getitem__), min(accuracy, key=accuracy.__getitem__)
    return {"gap": round(accuracy[best] - accuracy[worst], 4), "best": best, "worst": worst}


def _read(path: Path, samples: Samples) -> dict[str, dict[str, str]]:
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
            f"{path}: expected files of the split as class/file, none of these is one: {summarize(unknown)}"
        )
    return rows
