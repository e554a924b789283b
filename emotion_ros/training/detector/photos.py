"""Photos with labelled objects (faces or hands), and pictures for backgrounds.

The labels of an object are a row of float32 in pixels: x, y, width and height of the box, x and y of each landmark of
its :class:`ObjectKind` (NaN if unknown), state.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError, ImageError
from emotion_ros.io.pictures import read_picture as read_picture_file
from emotion_ros.training.csv_table import ENCODING
from emotion_ros.training.detector.object_kinds import FACES, ObjectKind
from emotion_ros.training.photo_archive import ARCHIVE_ERRORS, is_picture, photos_archive, read_picture
from emotion_ros.types import Image

STATE_COLUMN = -1
"""Last column of a labelled object. 1: it counts. 0: ignored, counts neither as present nor as absent. −1: padding."""

HELD_OUT_EVERY = 10
"""One photo of this many is held out of training, chosen by a checksum of its name."""

HUMAN_BOXES = "boxes.csv"
"""File with boxes that people drew: ``file``, ``x``, ``y``, ``w``, ``h``."""

MIN_SURE_SCORE = 0.75
"""Score of the teacher from which an object counts in training; one with a lower score is ignored."""

MIN_SAME_OVERLAP = 0.3
"""Intersection over union from which a box of the teacher and one drawn by a person are of the same object."""


MAX_PHOTO_SIDE_PX = 1280
"""Longer side to which larger photos are reduced: all photos are kept in memory, 3 MB each at this size. Detectors see
640 pixels by default (``face_input_size``)."""


@dataclass(frozen=True)
class Photo:
    """A photo with its objects.

    ``name``: file in the archive. ``image``: BGR, uint8, h × w × 3, at most :data:`MAX_PHOTO_SIDE_PX`. ``faces``: n ×
    (5 + 2 · landmarks), the labels for training. ``truth``: likewise, the labels for evaluation: boxes drawn by people,
    if there are any; all count.
    """

    name: str
    image: Image
    faces: NDArray[np.float32]
    truth: NDArray[np.float32]

    @property
    def held_out(self) -> bool:
        """True if the photo is for evaluation only."""
        return is_held_out(self.name)


@dataclass(frozen=True)
class Backgrounds:
    """Surroundings of faces.

    ``pictures``: BGR, uint8, h × w × 3, without people. ``things``: objects cut out of their pictures, BGRA, uint8,
    h × w × 4.
    """

    pictures: Sequence[Image] = ()
    things: Sequence[Image] = ()


def read_photos(folder: Path, kind: ObjectKind = FACES, every: int = 1, only_held_out: bool = False) -> list[Photo]:
    """Read the photos of ``photos.zip`` with the labels of the CSV files in the same folder.

    Photos of more than :data:`MAX_PHOTO_SIDE_PX`, and their labels, are reduced.

    Args:
        folder: contains ``photos.zip`` and at most one CSV file with a row per object of another detector: ``file``,
            :attr:`ObjectKind.columns`, and optionally ``score``; empty values for a photo without objects. Objects
            with a box of no size or a value that is not finite are left out. :data:`HUMAN_BOXES`, if it exists,
            decides which of the faces are objects. CSV files without boxes are not read. Without CSV files of labels,
            no photo has objects.
        kind: of the objects.
        every: read one photo of this many.
        only_held_out: read only those of them that are held out.

    Raises:
        DatasetError: a file is missing or cannot be read, or a file has labels of another kind of object only: its
            photos would count as photos without objects.
    """
    archive = photos_archive(folder)
    try:
        labels = _label_file(folder, kind)
        rows = _read_rows(labels, (*kind.columns, "score")) if labels else {}
        has_drawn = kind is FACES and (folder / HUMAN_BOXES).is_file()
        drawn = _read_rows(folder / HUMAN_BOXES, kind.columns[:4]) if has_drawn else None
        with zipfile.ZipFile(archive) as opened:
            everything = sorted(rows) if rows else sorted(name for name in opened.namelist() if is_picture(name))
            names = [name for name in everything[::every] if is_held_out(name) or not only_held_out]
            return [_read_photo(opened, name, rows.get(name, []), drawn, kind) for name in names]
    except (KeyError, TypeError, *ARCHIVE_ERRORS) as error:
        raise DatasetError(f"{folder}: expected photos with {kind.name}, cannot read them: {error!r}") from error


def read_backgrounds(folder: str) -> Backgrounds:
    """Read the pictures of a folder and its subfolders; those with transparent pixels become things.

    Args:
        folder: empty: no backgrounds.

    Raises:
        DatasetError: the folder has no pictures, or one cannot be read.
    """
    if not folder:
        return Backgrounds()
    paths = sorted(path for path in Path(folder).rglob("*") if is_picture(path.name) and path.is_file())
    if not paths:
        raise DatasetError(f"{folder}: expected pictures of 8 bits, got none")
    pictures, things = [], []
    for path in paths:
        try:
            image = read_picture_file(path, flags=cv2.IMREAD_UNCHANGED)
        except ImageError as error:
            raise DatasetError(f"{path}: {error}") from error
        if image.dtype != np.uint8:
            raise DatasetError(f"{path}: expected a picture of 8 bits, got {image.dtype}")
        if image.ndim == 3 and image.shape[2] == 4 and image[..., 3].min() < 255:
            things.append(image)
        else:
            pictures.append(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image[..., :3])
    return Backgrounds(pictures, things)  # type: ignore[arg-type]


def counted(faces: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows of labelled objects that count."""
    return faces[faces[:, STATE_COLUMN] == 1]  # type: ignore[no-any-return]


def ignored(faces: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows of labelled objects that count neither as present nor as absent."""
    return faces[faces[:, STATE_COLUMN] == 0]  # type: ignore[no-any-return]


def intersection_over_union(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the overlap of each two boxes, n × m, 0…1.

    Args:
        first: n × 4 or more: x, y, width, height, pixels.
        second: m × 4 or more.
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, :2] + first[:, None, 2:4], second[None, :, :2] + second[None, :, 2:4])
    shared = np.clip(high - low, 0, None).prod(-1)
    union = first[:, None, 2:4].prod(-1) + second[None, :, 2:4].prod(-1) - shared
    return shared / np.maximum(union, 1e-6)  # type: ignore[no-any-return]


def is_held_out(name: str) -> bool:
    """Return True if the photo of this name is for evaluation only."""
    return crc32(name.encode()) % HELD_OUT_EVERY == 0


def _label_file(folder: Path, kind: ObjectKind) -> Path | None:
    """Return the CSV file with the labels of a kind of object; None if the folder has no labels."""
    tables = {path: _columns(path) for path in sorted(folder.glob("*.csv")) if path.name != HUMAN_BOXES}
    columns = {path: names for path, names in tables.items() if set(kind.columns[:4]) <= set(names)}
    matching = [path for path, names in columns.items() if set(kind.columns) <= set(names)]
    if len(matching) > 1:
        raise DatasetError(f"{folder}: expected one CSV file with {kind.name}, found {len(matching)}")
    if not matching and columns:
        path, names = next(iter(columns.items()))
        missing = ", ".join(name for name in kind.columns if name not in names)
        raise DatasetError(f"{path}: expected the labels of {kind.name}; these columns are missing: {missing}")
    return matching[0] if matching else None


def _columns(path: Path) -> list[str]:
    with path.open(newline="", encoding=ENCODING) as file:
        return next(csv.reader(file), [])


def _read_rows(path: Path, columns: Sequence[str]) -> dict[str, list[list[float]]]:
    """Return file to the values of the columns of each of its objects. A missing column ``score`` reads as 1."""
    rows: dict[str, list[list[float]]] = {}
    with path.open(newline="", encoding=ENCODING) as file:
        for row in csv.DictReader(file):
            of_photo = rows.setdefault(row["file"], [])
            if row["x"]:
                of_photo.append([float(row.get("score") or 1 if name == "score" else row[name]) for name in columns])
    return rows


def _read_photo(
    archive: zipfile.ZipFile,
    name: str,
    rows: list[list[float]],
    drawn: dict[str, list[list[float]]] | None,
    kind: ObjectKind,
) -> Photo:
    image, scale = _reduced(read_picture(archive, name))
    values = _valid(np.array(rows, np.float32).reshape(-1, len(kind.columns) + 1))
    values[:, :-1] *= scale
    if drawn is None:
        state = values[:, -1:] >= MIN_SURE_SCORE
        labels, truth = np.c_[values[:, :-1], state], np.c_[values[:, :-1], np.ones(len(values))]
    else:
        boxes = scale * _valid(np.array(drawn.get(name, []), np.float32).reshape(-1, 4))
        labels, truth = _merge(values[:, :-1], boxes)
    return Photo(name, image, labels.astype(np.float32), truth.astype(np.float32))  # type: ignore[arg-type]


def _reduced(image: Image) -> tuple[Image, float]:
    """Return an image of at most :data:`MAX_PHOTO_SIDE_PX`, and its scale."""
    scale = MAX_PHOTO_SIDE_PX / max(image.shape[:2])
    if scale >= 1:
        return image, 1.0
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), scale  # type: ignore[return-value]


def _valid(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows[(rows[:, 2:4] > 0).all(1) & np.isfinite(rows).all(1)]  # type: ignore[no-any-return]


def _merge(objects: NDArray[np.float32], boxes: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return labels and truth of objects of a teacher and boxes drawn by people.

    In the labels, an object without a drawn box is ignored, and a drawn box without an object has no landmarks. The
    truth is the drawn boxes, with the landmarks of their objects.
    """
    pairs = dict(_same_objects(objects, boxes))
    truth = np.full((len(boxes), objects.shape[1] + 1), np.nan, np.float32)
    truth[:, :4], truth[:, STATE_COLUMN] = boxes, 1
    for number, box in pairs.items():
        truth[box, 4:STATE_COLUMN] = objects[number, 4:]
    state = np.isin(np.arange(len(objects)), list(pairs))
    only_drawn = np.setdiff1d(np.arange(len(boxes)), list(pairs.values()))
    return np.concatenate([np.c_[objects, state], truth[only_drawn]]), truth


def _same_objects(objects: NDArray[np.float32], boxes: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Yield pairs of numbers of an object and a box that overlap, those that overlap most first, each once."""
    overlaps = intersection_over_union(objects, boxes)
    while overlaps.size and overlaps.max() >= MIN_SAME_OVERLAP:
        number, box = divmod(int(overlaps.argmax()), overlaps.shape[1])
        overlaps[number], overlaps[:, box] = 0, 0
        yield number, box
