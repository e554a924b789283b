"""Photos with labelled faces; boxes of no size are left out."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError
from emotion_ros.io.frames import PICTURES
from emotion_ros.types import Image

POINTS = ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")
COLUMNS = ("x", "y", "w", "h", *(f"{point}_{axis}" for point in POINTS for axis in "xy"))
HELD_OUT = 10
"""One photo in so many is left out of training, by a checksum of its name."""


@dataclass(frozen=True)
class Photo:
    """An image (BGR, uint8, h × w × 3) and its faces: n × 14 float32, x, y, width, height of the box and five landmarks
    (right eye, left eye, nose tip, right and left corner of the mouth, the person's own), in pixels."""

    name: str
    image: Image
    faces: NDArray[np.float32]

    @property
    def held_out(self) -> bool:
        """Whether it is for evaluation alone."""
        return _held_out(self.name)


def read_photos(folder: Path, every: int = 1, only_held_out: bool = False) -> list[Photo]:
    """The photos of ``photos.zip`` in a folder, with the faces that the CSV file beside it gives.

    Args:
        folder: holds ``photos.zip`` and one CSV file with a row per face: file, x, y, w, h, landmarks as in
            :data:`COLUMNS`; empty values for a photo without faces.
        every: take one photo in so many.
        only_held_out: leave those for training unread.

    Raises:
        DatasetError: a file is missing or broken.
    """
    archive, tables = folder / "photos.zip", sorted(folder.glob("*.csv"))
    if not archive.is_file() or len(tables) != 1:
        raise DatasetError(
            f"{folder}: expected photos.zip and one CSV file with its faces, found {len(tables)} CSV files"
        )
    faces: dict[str, list[list[float]]] = {}
    try:
        with tables[0].open(newline="") as file:
            for row in csv.DictReader(file):
                known = faces.setdefault(row["file"], [])
                if row["x"]:
                    known.append([float(row[column]) for column in COLUMNS])
        with zipfile.ZipFile(archive) as opened:
            chosen = [name for name in sorted(faces)[::every] if _held_out(name) or not only_held_out]
            return [_read(opened, name, faces[name]) for name in chosen]
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{folder}: expected photos with faces, cannot read them: {error!r}") from error


def _held_out(name: str) -> bool:
    return crc32(name.encode()) % HELD_OUT == 0


def _read(archive: zipfile.ZipFile, name: str, faces: list[list[float]]) -> Photo:
    image = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f"{archive.filename}: {name} is no picture that can be read")
    rows = np.array(faces, np.float32).reshape(-1, len(COLUMNS))
    return Photo(name, image, rows[(rows[:, 2:4] > 0).all(1) & np.isfinite(rows).all(1)])  # type: ignore[arg-type]


@dataclass(frozen=True)
class Backgrounds:
    """What is around faces: ``pictures`` (BGR, uint8) without people, and ``things`` cut out of theirs (BGRA: what is
    transparent does not belong to them)."""

    pictures: Sequence[Image] = ()
    things: Sequence[Image] = ()


def read_backgrounds(folder: str) -> Backgrounds:
    """The pictures of a folder; those with transparent parts are things.

    Raises:
        DatasetError: there are none, or one cannot be read.
    """
    if not folder:
        return Backgrounds()
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in PICTURES)
    images = {path: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths}
    broken = [str(path) for path, image in images.items() if image is None or image.dtype != np.uint8]
    if not images or broken:
        raise DatasetError(f"{folder}: expected pictures of 8 bits, got {', '.join(broken) or 'none'}")
    pictures, things = [], []
    for image in images.values():
        if image.ndim == 3 and image.shape[2] == 4 and image[..., 3].min() < 255:
            things.append(image)
        else:
            pictures.append(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image[..., :3])
    return Backgrounds(pictures, things)  # type: ignore[arg-type]
