"""Readers of labelled pictures: folders, zip files, and the CSV of FER2013.

Every reader yields the pictures of one split as (``class/file``, picture), sorted by class and file. Pictures that
cannot be read are an error that names them.
"""

from __future__ import annotations

import csv
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.errors import DatasetError, ImageError
from emotion_ros.io.dataset_writer import is_picture
from emotion_ros.io.frames import PICTURES
from emotion_ros.io.pictures import MAX_PICTURE_BYTES, decode_picture
from emotion_ros.training.photo_archive import ARCHIVE_ERRORS, read_entry
from emotion_ros.types import Image

SPLIT_ALIASES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "Training"),
    "val": ("val", "valid", "validation", "PublicTest"),
    "test": ("test", "PrivateTest"),
}
"""Split to its names in data sets. The last name is that of FER2013."""

HELD_OUT_EVERY = 10
"""In data without a val split one of this many pictures of train is held out and used as val."""

FER2013_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Classes in the order of the CSV's numbers (Goodfellow et al., "Challenges in Representation Learning", 2013)."""

FER2013_SIZE_PX = 48
"""Width and height of FER2013's pictures."""

MAX_LISTED_NAMES = 10
"""Names that a message lists; the others are counted."""


def pictures(data: Path, split: str) -> Iterator[tuple[str, Image]]:
    """Yield the name (``class/file``) and pixels (BGR, uint8, h × w × 3) of each picture of a split.

    Data without a val split: every :data:`HELD_OUT_EVERY`-th picture of train is yielded as val and not as train. The
    choice is made among all pictures of train, so it does not depend on what a caller does with them.

    Args:
        data: a folder or zip file with ``train``, ``val`` and ``test``, each a folder (or zip) of a folder per class;
            or FER2013's CSV, or a folder with that CSV.
        split: ``train``, ``val`` or ``test``.

    Raises:
        DatasetError: there is no such split, or pictures cannot be read. The latter is raised after the last picture.
    """
    unreadable = []
    some_held_out = split == "train" and not has(data, "val")
    for number, (name, content) in enumerate(_contents(data, split)):
        image = _decode(content)  # held-out pictures too: each unreadable one is named
        if image is None:
            unreadable.append(name)
        elif not some_held_out or number % HELD_OUT_EVERY != 0:
            yield name, image
    if unreadable:
        count = len(unreadable)
        raise DatasetError(
            f"{data}, {split}: {count} pictures cannot be read; replace or remove them: {summarize(unreadable)}"
        )


def label_of(name: str) -> str:
    """Return the class of a picture's name, ``class/file``."""
    return name.split("/")[0]


def has(data: Path, split: str) -> bool:
    """Return True if the data have the split themselves, False if it is missing or held out of train."""
    return fer2013_csv(data) is not None or _entries(data, split) is not None


def stored_split(data: Path, split: str) -> str:
    """Return the split in which the pictures of a split are stored: ``train`` for a val split held out of it."""
    return "train" if split == "val" and not has(data, "val") else split


def summarize(names: Iterable[str]) -> str:
    """Return the first :data:`MAX_LISTED_NAMES` names, separated by commas, and the number of the others."""
    listed = list(names)
    others = len(listed) - MAX_LISTED_NAMES
    return ", ".join(listed[:MAX_LISTED_NAMES]) + (f" and {others} more" if others > 0 else "")


def picture_folders(folder: Path) -> dict[str, list[Path]]:
    """Return the paths of the pictures of each class, both sorted by name.

    Hidden files are left out, and also, with a line on standard error, folders and files of other formats.

    Raises:
        DatasetError: the folder is missing or has no class, or a class has no picture.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder with one folder of pictures per class, found none")
    entries = {
        path.name: sorted(each for each in path.iterdir() if not each.name.startswith("."))
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".")
    }
    classes = {label: [path for path in paths if is_picture(path)] for label, paths in entries.items()}
    empty = [name for name, paths in classes.items() if not paths]
    if empty:
        raise DatasetError(f"{folder}: expected pictures ({', '.join(PICTURES)}) of each class, none in {empty[0]}/")
    if not classes:
        raise DatasetError(f"{folder}: expected one folder of pictures per class, found no folder")
    others = [f"{label}/{path.name}" for label, paths in entries.items() for path in paths if not is_picture(path)]
    if others:
        print(f"{folder}: left out, no pictures ({', '.join(PICTURES)}): {summarize(others)}", file=sys.stderr)
    return classes


def check_spelling(data: Path, labels: Iterable[str]) -> None:
    """Check that labels are UTF-8 and that no two differ only in case, spaces, dashes or underscores.

    Raises:
        DatasetError: they are not, or two do.
    """
    spellings: dict[str, str] = {}
    for label in labels:
        if label.encode(errors="ignore").decode() != label:
            raise DatasetError(f"{data}: expected names of classes in UTF-8, got {os.fsencode(label)!r}; rename it")
        plain = label.casefold().translate(str.maketrans("", "", "-_ "))
        other = spellings.setdefault(plain, label)
        if other != label:
            raise DatasetError(f"{data}: one class is spelled in two ways, {other!r} and {label!r}; rename one")


def fer2013_csv(data: Path) -> Path | None:
    """Return the path of FER2013's CSV if ``data`` is that file or a folder that contains it, else None."""
    for path in (data, data / "fer2013.csv", data / "icml_face_data.csv"):
        if path.suffix == ".csv" and path.is_file():
            return path
    return None


def read_file(path: Path) -> bytes:
    """Return the content of a file; nothing for a folder, a dangling link, a pipe, or a file that cannot be read.

    Of a file above :data:`emotion_ros.io.pictures.MAX_PICTURE_BYTES` the beginning, which is too large to be decoded.
    """
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(MAX_PICTURE_BYTES + 1)
    except OSError:
        return b""


def _decode(content: bytes | Image) -> Image | None:
    if not isinstance(content, bytes):
        return content
    try:
        return decode_picture(content)
    except ImageError:
        return None


def _contents(data: Path, split: str) -> Iterator[tuple[str, bytes | Image]]:
    table = fer2013_csv(data)
    if table:
        return _from_csv(table, split)
    entries = _entries(data, stored_split(data, split))
    if entries is None:
        if not data.exists():
            raise DatasetError(f"{data}: expected a folder or zip file of pictures, found nothing of that name")
        raise DatasetError(
            f"{data}: expected a folder {split}/ or a file {split}.zip, found neither; emotion-ros split makes them"
        )
    if split != "val" or has(data, "val"):
        return entries
    message = f"no val split; every {HELD_OUT_EVERY}th picture of train is used as val and not trained on"
    print(f"{data}: {message}", file=sys.stderr)
    return (entry for number, entry in enumerate(entries) if number % HELD_OUT_EVERY == 0)


def _entries(data: Path, split: str) -> Iterator[tuple[str, bytes]] | None:
    """Return the names and contents of a split that is stored as such; None if there is none."""
    return _entries_of_zip(data, split) if data.is_file() else _entries_of_folder(data, split)


def _entries_of_folder(data: Path, split: str) -> Iterator[tuple[str, bytes]] | None:
    for alias in SPLIT_ALIASES[split]:
        if (data / alias).is_dir():
            return _from_folder(data / alias)
        if (data / f"{alias}.zip").is_file():
            return _from_zip(data / f"{alias}.zip", None)
    return None


def _entries_of_zip(data: Path, split: str) -> Iterator[tuple[str, bytes]] | None:
    with _open_zip(data) as archive:
        folders = {name.split("/")[-3] for name in archive.namelist() if name.count("/") >= 2}
    return next((_from_zip(data, alias) for alias in SPLIT_ALIASES[split] if alias in folders), None)


def _from_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for label, paths in picture_folders(folder).items():
        for path in paths:
            yield f"{label}/{path.name}", read_file(path)


def _from_zip(path: Path, split: str | None) -> Iterator[tuple[str, bytes]]:
    """Yield the pictures in ``class/``, or in ``split/class/`` if a split is given, at any depth."""
    with _open_zip(path) as archive:
        for entry in sorted(archive.namelist()):
            parts = entry.split("/")
            in_split = len(parts) >= 2 if split is None else len(parts) >= 3 and parts[-3] == split
            if in_split and is_picture(Path(entry)) and parts[0] != "__MACOSX":
                try:
                    yield "/".join(parts[-2:]), read_entry(archive, entry)
                except ARCHIVE_ERRORS as error:
                    raise DatasetError(f"{path}: {entry} cannot be read: {error}") from error


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except ARCHIVE_ERRORS as error:
        raise DatasetError(f"{path}: expected a zip file: {error}") from error


def _from_csv(path: Path, split: str) -> Iterator[tuple[str, Image]]:
    """Yield the rows of FER2013 (emotion 0…6, 48 × 48 pixels, Usage), named ``class/fer0000000.png`` as in FER+."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        missing = {"emotion", "pixels", "Usage"} - {(name or "").strip() for name in reader.fieldnames or ()}
        if missing:
            raise DatasetError(f"{path}: expected the columns emotion, pixels and Usage, {', '.join(missing)} missing")
        for number, row in enumerate(reader):
            values = {name.strip(): value for name, value in row.items() if name and value is not None}
            if values.get("Usage", "").strip() not in SPLIT_ALIASES[split]:
                continue
            try:
                label, image = _fer2013_picture(values)
            except (KeyError, ValueError, IndexError, OverflowError) as error:
                message = f"row {number + 2} is no picture of 48 × 48 with a class"
                raise DatasetError(f"{path}: {message}: {error}") from error
            yield f"{label}/fer{number:07}.png", image


def _fer2013_picture(row: Mapping[str, str]) -> tuple[str, Image]:
    grey = np.array(row["pixels"].split(), np.uint8).reshape(FER2013_SIZE_PX, FER2013_SIZE_PX)
    return FER2013_LABELS[int(row["emotion"])], cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
