"""What annotators voted: soft targets beside the one label of the folder.

The format is a CSV with the columns ``split``, ``file`` and one column per FER+ category with the number of the ten
annotators who chose it (Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced
Label Distribution", 2016). An optional column ``train_copy_of_eval_image`` marks training pictures that also stand in
another split.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError

FERPLUS_NAMES = {"happiness": "happy", "sadness": "sad", "anger": "angry"}
"""FER+ categories that are called otherwise in FER2013; contempt, unknown and not_face have no class there."""


@dataclass(frozen=True)
class Votes:
    """Per picture: share of the votes per label (n × labels, a zero row where nobody voted for any), and whether it is
    known to stand in another split too (n)."""

    shares: NDArray[np.float32]
    repeated: NDArray[np.bool_]

    @staticmethod
    def none(count: int, labels: int) -> Votes:
        """No votes at all, for data without a ``labels.csv``."""
        return Votes(np.zeros((count, labels), np.float32), np.zeros(count, bool))

    def mixed_into(self, targets: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
        """Targets (n × labels) in which the votes count for ``weight``; rows without votes stay as they are."""
        voted = self.shares.sum(1, keepdims=True) > 0
        return np.where(voted, (1 - weight) * targets + weight * self.shares, targets).astype(np.float32)


def read_votes(path: Path, split: str, names: Sequence[str], labels: Sequence[str]) -> Votes | None:
    """Votes for the pictures ``names`` of a split; None where there is no such file.

    Raises:
        DatasetError: columns are missing, or pictures of the split.
    """
    if not path.is_file():
        return None
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        _check_columns(path, reader.fieldnames or ())
        rows = {row["file"]: row for row in reader if row["split"] == split}
    missing = [name for name in names if name not in rows]
    if missing:
        raise DatasetError(f"{path}: {len(missing)} pictures of {split} are not listed, the first is {missing[0]}")
    columns = [(_column_of(label), label) for label in labels]
    counts = np.array([[float(rows[name].get(column) or 0) for column, _ in columns] for name in names], np.float32)
    repeated = np.array([rows[name].get("train_copy_of_eval_image") == "1" for name in names])
    return Votes(counts / np.maximum(counts.sum(1, keepdims=True), 1), repeated)


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    for expected in ("split", "file"):
        if expected not in columns:
            raise DatasetError(f"{path}: expected a column {expected!r}, found {', '.join(columns)}")


def _column_of(label: str) -> str:
    return {ours: theirs for theirs, ours in FERPLUS_NAMES.items()}.get(label, label)
