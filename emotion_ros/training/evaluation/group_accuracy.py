"""Accuracy by groups of people, such as age, and the largest gap between groups."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError
from emotion_ros.training.csv_table import read_table
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
    rows = {row["file"]: row for row in read_table(path, ("file",))}
    if len(next(iter(rows.values()), {})) < 2:
        raise DatasetError(f"{path}: expected a column file and one per kind of group, and rows, found fewer")
    unknown = sorted(set(rows) - set(samples.names))
    if len(unknown) == len(rows):
        raise DatasetError(
            f"{path}: expected files of the split as class/file, none of these is one: {summarize(unknown)}"
        )
    return rows
