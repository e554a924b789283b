"""What annotators voted: soft targets beside the one label of the folder.

Two files are read: FER+'s own ``fer2013new.csv`` beside FER2013's CSV, and ``labels.csv`` with the columns ``split``,
``file`` and one per FER+ category with the number of the ten annotators who chose it (Barsoum et al., "Training Deep
Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution", 2016).
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


OURS, FERPLUS = "labels.csv", "fer2013new.csv"
"""Files with votes, in this project's layout and in that of FER+ itself."""

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
CATEGORIES = (*EMOTIONS, "unknown", "not_face")
"""What an annotator of FER+ could choose."""


@dataclass(frozen=True)
class Votes:
    """Per picture: share of the votes per label (n × labels, a zero row where nobody voted for any), and the label that
    more than half of the votes chose (n, index, −1 where there is none).

    A single vote for a category counts as a slip and is left out, as FER+'s authors do.
    """

    shares: NDArray[np.float32]
    majority: NDArray[np.int64]

    @staticmethod
    def none(count: int, labels: int) -> Votes:
        """No votes at all, for data without."""
        return Votes(np.zeros((count, labels), np.float32), np.full(count, -1))

    def only(self, keep: NDArray[np.bool_]) -> Votes:
        """Those of the pictures where ``keep`` is true."""
        return Votes(self.shares[keep], self.majority[keep])

    def mixed_into(self, targets: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
        """Targets (n × labels) in which the votes count for ``weight``; rows without votes stay as they are."""
        voted = self.shares.sum(1, keepdims=True) > 0
        return np.where(voted, (1 - weight) * targets + weight * self.shares, targets).astype(np.float32)


def read_votes(data: Path, split: str, names: Sequence[str], labels: Sequence[str]) -> Votes | None:
    """Votes for the pictures ``names`` (class/file) of a split; None where there are no votes beside the data.

    Raises:
        DatasetError: columns are missing, or pictures of the split.
    """
    folder = data if data.is_dir() else data.parent
    path = next((folder / name for name in (OURS, FERPLUS) if (folder / name).is_file()), None)
    if path is None:
        return None
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        by_file = path.name == OURS
        _check_columns(path, reader.fieldnames or (), ("split", "file") if by_file else ("Usage", "Image name"))
        if by_file:
            rows = {row["file"]: row for row in reader if row["split"] == split}
        else:  # FER+ names a picture by its row in FER2013 and calls not_face NF; 35 rows have no name
            numbered = {f"fer{number:07}.png": {**row, "not_face": row.get("NF")} for number, row in enumerate(reader)}
            rows = {name: numbered[name.split("/")[-1]] for name in names if name.split("/")[-1] in numbered}
    missing = [name for name in names if name not in rows]
    if missing:
        raise DatasetError(f"{path}: {len(missing)} pictures of {split} are not listed, the first is {missing[0]}")
    columns = [*CATEGORIES, *(_column_of(label) for label in labels if _column_of(label) not in CATEGORIES)]
    counts = np.array([[float(rows[name].get(column) or 0) for column in columns] for name in names], np.float32)
    counts[counts < 2] = 0
    ours = [columns.index(_column_of(label)) for label in labels]
    shares = counts[:, ours] / np.maximum(counts[:, ours].sum(1, keepdims=True), 1)
    return Votes(shares, _majority(counts, ours))


def _majority(counts: NDArray[np.float32], ours: Sequence[int]) -> NDArray[np.int64]:
    winner = counts.argmax(1)
    clear = counts.max(1) > counts.sum(1) / 2
    index = {column: label for label, column in enumerate(ours)}
    return np.array([index.get(int(w), -1) if c else -1 for w, c in zip(winner, clear, strict=True)])


def _check_columns(path: Path, columns: Sequence[str], needed: Sequence[str]) -> None:
    for expected in needed:
        if expected not in columns:
            raise DatasetError(f"{path}: expected a column {expected!r}, found {', '.join(columns)}")


def _column_of(label: str) -> str:
    return {ours: theirs for theirs, ours in FERPLUS_NAMES.items()}.get(label, label)
