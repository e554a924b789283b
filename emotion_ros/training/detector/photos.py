"""Photos with labelled faces, and pictures for backgrounds."""

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
"""Columns of the CSV file, in the order of :attr:`Photo.faces`."""

STATE_COLUMN = 14
"""Column of a labelled face (n × 15) that follows box and landmarks. 1: the face counts. 0: ignored, it counts neither
as present nor as absent. −1: padding."""

HELD_OUT_EVERY = 10
"""One photo of this many is held out of training, chosen by a checksum of its name."""


@dataclass(frozen=True)
class Photo:
    """A photo with its faces.

    ``name``: file in the archive. ``image``: BGR, uint8, h × w × 3. ``faces``: n × 14, float32, pixels: x, y, width and
    height of the box, then x and y of right eye, left eye, nose tip, right and left corner of the mouth (the person's
    right and left).
    """

    name: str
    image: Image
    faces: NDArray[np.float32]

    @property
    def held_out(self) -> bool:
        """True if the photo is for evaluation only."""
        return _held_out(self.name)


@dataclass(frozen=True)
class Backgrounds:
    """Surroundings of faces.

    ``pictures``: BGR, uint8, h × w × 3, without people. ``things``: objects cut out of their pictures, BGRA, uint8,
    h × w × 4.
    """

    pictures: Sequence[Image] = ()
    things: Sequence[Image] = ()


def read_photos(folder: Path, every: int = 1, only_held_out: bool = False) -> list[Photo]:
    """Read the photos of ``photos.zip`` with the faces of the CSV file in the same folder.

    Args:
        folder: contains ``photos.zip`` and one CSV file with a row per face: ``file`` and :data:`COLUMNS`; empty values
            for a photo without faces. Faces with a box of no size or a value that is not finite are left out.
        every: read one photo of this many.
        only_held_out: read only those of them that are held out.

    Raises:
        DatasetError: a file is missing or cannot be read.
    """
    archive, tables = folder / "photos.zip", sorted(folder.glob("*.csv"))
    if not archive.is_file() or len(tables) != 1:
        raise DatasetError(
            f"{folder}: expected photos.zip and one CSV file with its faces, found {len(tables)} CSV files"
        )
    try:
        faces = _read_faces(tables[0])
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in sorted(faces)[::every] if _held_out(name) or not only_held_out]
            return [_read_photo(opened, name, faces[name]) for name in names]
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{folder}: expected photos with faces, cannot read them: {error!r}") from error


def read_backgrounds(folder: str) -> Backgrounds:
    """Read the pictures of a folder and its subfolders; those with transparent pixels become things.

    Args:
        folder: empty: no backgrounds.

    Raises:
        DatasetError: the folder has no pictures, or one cannot be read.
    """
    if not folder:
        return Backgrounds()
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    images = {path: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths}
    unreadable = [str(path) for path, image in images.items() if image is None or image.dtype != np.uint8]
    if not images or unreadable:
        raise DatasetError(f"{folder}: expected pictures of 8 bits, got {', '.join(unreadable) or 'none'}")
    pictures, things = [], []
    for image in images.values():
        if image.ndim == 3 and image.shape[2] == 4 and image[..., 3].min() < 255:
            things.append(image)
        else:
            pictures.append(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image[..., :3])
    return Backgrounds(pictures, things)  # type: ignore[arg-type]


def counted(faces: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows of labelled faces (n × 15) that count."""
    return faces[faces[:, STATE_COLUMN] == 1]  # type: ignore[no-any-return]


def ignored(faces: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows of labelled faces (n × 15) that count neither as present nor as absent."""
    return faces[faces[:, STATE_COLUMN] == 0]  # type: ignore[no-any-return]


def _held_out(name: str) -> bool:
    return crc32(name.encode()) % HELD_OUT_EVERY == 0


def _read_faces(path: Path) -> dict[str, list[list[float]]]:
    faces: dict[str, list[list[float]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            of_photo = faces.setdefault(row["file"], [])
            if row["x"]:
                of_photo.append([float(row[column]) for column in COLUMNS])
    return faces


def _read_photo(archive: zipfile.ZipFile, name: str, faces: list[list[float]]) -> Photo:
    image = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f"{archive.filename}: {name} is no picture that can be read")
    rows = np.array(faces, np.float32).reshape(-1, len(COLUMNS))
    return Photo(name, image, rows[(rows[:, 2:4] > 0).all(1) & np.isfinite(rows).all(1)])  # type: ignore[arg-type]
