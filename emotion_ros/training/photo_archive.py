"""Archives of photos, and the files with their labels."""

from __future__ import annotations

import csv
import zipfile
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


def is_picture(name: str) -> bool:
    """Return True if a file is a picture by its name."""
    return Path(name).suffix.lower() in PICTURES


def read_archive(path: Path) -> Iterator[tuple[str, Image]]:
    """Yield name and image (BGR, uint8, h × w × 3) of each picture of a ZIP archive, by name.

    Raises:
        DatasetError: the archive or one of its pictures cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(filter(is_picture, archive.namelist())):
                yield name, read_picture(archive, name)
    except (OSError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path}: expected a ZIP archive of photos, cannot read it: {error}") from error


def read_picture(archive: zipfile.ZipFile, name: str) -> Image:
    """Return a picture of an archive, BGR, uint8, h × w × 3.

    Raises:
        DatasetError: it is no picture that can be read.
        KeyError: there is none of that name.
    """
    image = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f"{archive.filename}: {name} is no picture that can be read")
    return image  # type: ignore[return-value]


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
