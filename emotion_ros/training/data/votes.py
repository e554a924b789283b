"""Votes of annotators: soft targets in addition to the one label of the folder.

Two files are read: FER+'s ``fer2013new.csv`` in the folder of FER2013's CSV, and ``labels.csv`` with the columns
``split``, ``file`` (``class/file``) and one per FER+ category with the number of the ten annotators who chose it
(Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution",
2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError
from emotion_ros.perception.emotion.affect import canonical_label
from emotion_ros.training.csv_table import read_table

LABELS_CSV, FERPLUS_CSV = "labels.csv", "fer2013new.csv"
"""Names of the two files."""

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
CATEGORIES = (*EMOTIONS, "unknown", "not_face")
"""Categories of FER+."""

MIN_VOTES = 2
"""Votes below which a category of a picture counts as chosen by mistake, as FER+'s authors count it."""

Row = Mapping[str, "str | None"]


@dataclass(frozen=True)
class Votes:
    """Votes per picture.

    ``shares``: n × labels, float32, share of the votes for each label; a row of zeros if no label has votes.
    ``majority``: n, int64, index of the label with more than half of all votes; −1 if there is none. Single votes for
    a category are left out, see :data:`MIN_VOTES`.
    """

    shares: NDArray[np.float32]
    majority: NDArray[np.int64]

    @staticmethod
    def none(count: int, labels: int) -> Votes:
        """Return no votes for ``count`` pictures and ``labels`` labels."""
        return Votes(np.zeros((count, labels), np.float32), np.full(count, -1))

    def only(self, keep: NDArray[np.bool_]) -> Votes:
        """Return the votes of the pictures at which ``keep`` (n, bool) is true."""
        return Votes(self.shares[keep], self.majority[keep])

    def moved(self, places: NDArray[np.int64], labels: int) -> Votes:
        """Return the votes with each label at a new index.

        Args:
            places: label to its new index.
            labels: number of labels.
        """
        shares = np.zeros((len(self.shares), labels), np.float32)
        shares[:, places] = self.shares
        return Votes(shares, np.where(self.majority >= 0, places[self.majority], -1))

    def mixed_into(self, targets: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
        """Return ``(1 - weight) * targets + weight * shares``; rows without votes stay as in ``targets``.

        Args:
            targets: n × labels, float32, probabilities.
            weight: 0…1.
        """
        voted = self.shares.sum(1, keepdims=True) > 0
        return np.where(voted, (1 - weight) * targets + weight * self.shares, targets).astype(np.float32)


def read_votes(data: Path, split: str, names: Sequence[str], labels: Sequence[str]) -> Votes | None:
    """Read the votes for pictures; None if no file with votes is in the data's folder.

    Args:
        data: folder, or a file in the folder.
        split: ``train``, ``val`` or ``test``: the split in which the pictures are stored.
        names: ``class/file`` of each picture. The votes are found by name and returned in this order.
        labels: classes, the columns of the shares.

    Raises:
        DatasetError: a column or one of the pictures is missing, or votes are no numbers.
    """
    folder = data if data.is_dir() else data.parent
    path = next((folder / name for name in (LABELS_CSV, FERPLUS_CSV) if (folder / name).is_file()), None)
    if path is None:
        return None
    rows = _rows_by_file(path, split) if path.name == LABELS_CSV else _rows_by_number(path, names)
    missing = [name for name in names if name not in rows]
    if missing:
        raise DatasetError(f"{path}: {len(missing)} pictures of {split} are not listed, the first is {missing[0]}")
    label_columns = [_column_of(label) for label in labels]
    columns = [*CATEGORIES, *(column for column in label_columns if column not in CATEGORIES)]
    try:
        counts = np.array([[float(rows[name].get(column) or 0) for column in columns] for name in names], np.float32)
    except ValueError as error:
        raise DatasetError(f"{path}: expected the number of votes for each category: {error}") from error
    counts[counts < MIN_VOTES] = 0
    places = [columns.index(column) for column in label_columns]
    shares = counts[:, places] / np.maximum(counts[:, places].sum(1, keepdims=True), 1)
    return Votes(shares, _majority(counts, places))


def _rows_by_file(path: Path, split: str) -> dict[str, Row]:
    return {row["file"]: row for row in read_table(path, ("split", "file")) if row["split"] == split}


def _rows_by_number(path: Path, names: Sequence[str]) -> dict[str, Row]:
    """Return FER+'s row of each picture.

    FER+ names a picture by its row in FER2013. The column with that name is empty in 35 rows, so rows are counted. FER+
    calls not_face NF.
    """
    table = read_table(path, ("Usage", "Image name"))
    rows: dict[str, Row] = {f"fer{n:07}.png": {**row, "not_face": row.get("NF")} for n, row in enumerate(table)}
    files = {name: name.split("/")[-1] for name in names}
    return {name: rows[file] for name, file in files.items() if file in rows}


def _majority(counts: NDArray[np.float32], places: Sequence[int]) -> NDArray[np.int64]:
    """Return the index in ``places`` of the column with more than half of a row's counts, −1 if there is none."""
    winner = counts.argmax(1)
    clear = counts.max(1) > counts.sum(1) / 2
    index = {column: label for label, column in enumerate(places)}
    return np.array([index.get(int(w), -1) if c else -1 for w, c in zip(winner, clear, strict=True)])


def _column_of(label: str) -> str:
    """Return the FER+ category that means the same as a label; the label itself if there is none."""
    same = (category for category in CATEGORIES if canonical_label(category) == canonical_label(label))
    return next(same, label)
