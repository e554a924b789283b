"""Archives of photos, and the files with their labels."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emotion_ros.errors import DatasetError, OutputError
from emotion_ros.io.atomic_file import replacing
from emotion_ros.io.frames import PICTURES
from emotion_ros.types import Image

ARCHIVE_ERRORS = (OSError, zipfile.BadZipFile, zlib.error, RuntimeError)
"""Raised by :mod:`zipfile` for files that are missing, damaged, encrypted or compressed in an unknown way (the last is
NotImplementedError, a RuntimeError)."""


def is_picture(name: str) -> bool:
    """Return True if a file is a picture by its name."""
    return Path(name).suffix.lower() in PICTURES


def photos_archive(folder: Path) -> Path:
    """Return ``photos.zip`` of a folder.

    Raises:
        DatasetError: there is none.
    """
    archive = folder / "photos.zip"
    if not archive.is_file():
        raise DatasetError(f"{folder}: expected photos.zip, found none")
    return archive


def read_archive(path: Path) -> Iterator[tuple[str, Image]]:
    """Yield name and image (BGR, uint8, h × w × 3) of each picture of a ZIP archive, by name.

    Raises:
        DatasetError: the archive or one of its pictures cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(filter(is_picture, archive.namelist())):
                yield name, read_picture(archive, name)
    except ARCHIVE_ERRORS as error:
        raise DatasetError(f"{path}: expected a ZIP archive of photos, cannot read it: {error}") from error


def read_picture(archive: zipfile.ZipFile, name: str) -> Image:
    """Return a picture of an archive, BGR, uint8, h × w × 3.

    Raises:
        DatasetError: it is no picture that can be read.
        KeyError: there is none of that name.
    """
    content = np.frombuffer(archive.read(name), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if image is None:
        raise DatasetError(f"{archive.filename}: {name} is no picture that can be read")
    return image  # type: ignore[return-value]


def read_groups(folder: Path) -> dict[str, dict[str, str]]:
    """Return the groups to which the person in each photo belongs: file to kind of group (such as age) to group.

    Args:
        folder: contains ``groups.csv``: ``file`` and a column per kind of group. Without it, the result is empty.

    Raises:
        DatasetError: the file cannot be read.
    """
    path = folder / "groups.csv"
    if not path.is_file():
        return {}
    try:
        with path.open(newline="") as file:
            return {row.pop("file"): row for row in csv.DictReader(file, restval="")}
    except (OSError, KeyError, ValueError) as error:
        raise DatasetError(f"{path}: expected a column file and a column per kind of group: {error!r}") from error


@contextmanager
def label_writer(output: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Give a writer of CSV rows below a header; the file appears when all rows are written.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        with replacing(output) as partial, partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            yield writer
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error}") from error
