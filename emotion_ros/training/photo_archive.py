"""Archives of photos, and the files with their labels."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emotion_ros.errors import DatasetError, ImageError, OutputError
from emotion_ros.io.atomic_file import replacing
from emotion_ros.io.frames import PICTURES
from emotion_ros.io.pictures import MAX_PICTURE_BYTES, decode_picture
from emotion_ros.training.csv_table import ENCODING
from emotion_ros.types import Image

ARCHIVE_ERRORS = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError)
"""Raised by :mod:`zipfile` for files that are missing, cut off, damaged, encrypted, of a later version, or compressed
in an unknown way (the last two are NotImplementedError, a RuntimeError), and for names that are not UTF-8 (a
ValueError)."""


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
        DatasetError: it is no picture that can be read, or too large.
        KeyError: there is none of that name.
    """
    try:
        return decode_picture(read_entry(archive, name))
    except ImageError as error:
        raise DatasetError(f"{archive.filename}: {name}: {error}") from error


def read_entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the content of an entry of a ZIP archive; it takes no more memory than the entry declares.

    Raises:
        DatasetError: it declares more than :data:`emotion_ros.io.pictures.MAX_PICTURE_BYTES`, or is compressed by
            another method than deflate.
        KeyError: there is none of that name.
    """
    entry = archive.getinfo(name)
    if entry.file_size > MAX_PICTURE_BYTES:
        limit = f"expected at most {MAX_PICTURE_BYTES} bytes"
        raise DatasetError(f"{archive.filename}: {name}: {limit}, it declares {entry.file_size}")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # zipfile limits no other method
        raise DatasetError(f"{archive.filename}: {name}: expected a stored or deflated entry; pack the archive again")
    with archive.open(entry) as file:
        # With a length, zipfile unpacks that much at a time; without one, all that is there, whatever was declared.
        return file.read(entry.file_size + 1)


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
        with path.open(newline="", encoding=ENCODING) as file:
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
