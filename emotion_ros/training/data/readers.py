"""The ways in which labelled pictures come: folders, zip files, and the CSV of FER2013.

Each reader gives a split's pictures as (``class/file``, picture) sorted by name; what cannot be read is an error that
names it.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.errors import DatasetError
from emotion_ros.types import Image

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")

SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "Training"),
    "val": ("val", "valid", "validation", "PublicTest"),
    "test": ("test", "PrivateTest"),
}
"""Our name of a split, and what it is called in data sets, FER2013's among them."""

HELD_OUT = 10
"""Where there is no val split, each picture of train whose number is a multiple of this stands in for it."""

FER2013 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Classes of the CSV in the order of its numbers (Goodfellow et al., 2013)."""


def pictures(data: Path, split: str) -> Iterator[tuple[str, Image]]:
    """The pictures of a split, BGR.

    Args:
        data: a folder or zip file with ``train``, ``val`` and ``test``, each a folder (or zip) of a folder per class;
            or FER2013's CSV, or a folder that holds nothing but it.
        split: ``train``, ``val`` or ``test``.

    Raises:
        DatasetError: there is no such split, or pictures cannot be read.
    """
    broken = []
    for name, content in _contents(data, split):
        image = _decode(content)
        if image is None:
            broken.append(name)
        else:
            yield name, image
    if broken:
        raise DatasetError(
            f"{data}, {split}: {len(broken)} pictures cannot be read; replace or remove them: {summarize(broken)}"
        )


def summarize(names: Iterable[str]) -> str:
    """The first ten names, and how many more there are."""
    listed = list(names)
    return ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")


def _decode(content: bytes | Image) -> Image | None:
    if not isinstance(content, bytes):
        return content
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None  # type: ignore[return-value]


def _contents(data: Path, split: str) -> Iterator[tuple[str, bytes | Image]]:
    table = fer2013_csv(data)
    if table:
        return _from_csv(table, split)
    find = _in_zip if data.is_file() else _in_folder
    found = find(data, split)
    if found is not None:
        return found
    train = find(data, "train")
    if split != "val" or train is None:
        raise DatasetError(
            f"{data}: expected a folder {split}/ or a file {split}.zip, found neither; emotion-ros split makes them"
        )
    print(f"{data}: no val split; every {HELD_OUT}th picture of train stands in for it and is not trained on")
    return (each for number, each in enumerate(train) if number % HELD_OUT == 0)


def has(data: Path, split: str) -> bool:
    """Whether the data have a split of their own."""
    if fer2013_csv(data):
        return True
    return (_in_zip(data, split) if data.is_file() else _in_folder(data, split)) is not None


def _in_folder(data: Path, split: str) -> Iterator[tuple[str, bytes]] | None:
    for alias in SPLITS[split]:
        if (data / alias).is_dir():
            return _folder(data / alias)
        if (data / f"{alias}.zip").is_file():
            return _zipped(data / f"{alias}.zip", None)
    return None


def _in_zip(data: Path, split: str) -> Iterator[tuple[str, bytes]] | None:
    with _open(data) as archive:
        folders = {name.split("/")[-3] for name in archive.namelist() if name.count("/") >= 2}
    return next((_zipped(data, alias) for alias in SPLITS[split] if alias in folders), None)


def _folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for label, paths in picture_folders(folder).items():
        for path in paths:
            yield f"{label}/{path.name}", path.read_bytes()


def _zipped(path: Path, split: str | None) -> Iterator[tuple[str, bytes]]:
    """Pictures in ``class/``, or in ``split/class/`` where a split is named, however deep those lie."""
    with _open(path) as archive:
        for entry in sorted(archive.namelist()):
            parts = entry.split("/")
            fits = len(parts) >= 2 if split is None else len(parts) >= 3 and parts[-3] == split
            if fits and entry.lower().endswith(IMAGE_SUFFIXES) and not parts[0].startswith("__MACOSX"):
                try:
                    yield "/".join(parts[-2:]), archive.read(entry)
                except (zipfile.BadZipFile, RuntimeError, OSError) as error:
                    raise DatasetError(f"{path}: {entry} cannot be read: {error}") from error


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DatasetError(f"{path}: expected a zip file: {error}") from error


def fer2013_csv(data: Path) -> Path | None:
    """The CSV of FER2013, where ``data`` is it or holds it."""
    for path in (data, data / "fer2013.csv", data / "icml_face_data.csv"):
        if path.suffix == ".csv" and path.is_file():
            return path
    return None


def _from_csv(path: Path, split: str) -> Iterator[tuple[str, Image]]:
    """Rows of FER2013: emotion (0…6), pixels (48 × 48 numbers), Usage; named as FER+ names them."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        missing = {"emotion", "pixels", "Usage"} - {(name or "").strip() for name in reader.fieldnames or ()}
        if missing:
            raise DatasetError(f"{path}: expected the columns emotion, pixels and Usage, {', '.join(missing)} missing")
        for number, row in enumerate(reader):
            values = {name.strip(): value for name, value in row.items() if name and value is not None}
            if values.get("Usage", "").strip() not in SPLITS[split]:
                continue
            try:
                grey = np.array(values["pixels"].split(), np.uint8).reshape(48, 48)
                label = FER2013[int(values["emotion"])]
            except (KeyError, ValueError, IndexError, OverflowError) as error:
                raise DatasetError(
                    f"{path}: row {number + 2} is no picture of 48 × 48 with a class: {error}"
                ) from error
            yield f"{label}/fer{number:07}.png", cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)  # type: ignore[misc]


def picture_folders(folder: Path) -> dict[str, list[Path]]:
    """The pictures of each class, sorted.

    Raises:
        DatasetError: the folder is missing or has no class, or a class has no picture.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder with one folder of pictures per class, found none")
    classes = {
        path.name: sorted(each for each in path.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES)
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".")
    }
    empty = [name for name, paths in classes.items() if not paths]
    if empty:
        raise DatasetError(
            f"{folder}: expected pictures ({', '.join(IMAGE_SUFFIXES)}) of each class, none in {empty[0]}/"
        )
    if not classes:
        raise DatasetError(f"{folder}: expected one folder of pictures per class, found no folder")
    return classes


def check_spelling(data: Path, labels: Iterable[str]) -> None:
    """See that no class is there twice under two spellings.

    Raises:
        DatasetError: two labels differ only in case, spaces, dashes or underscores.
    """
    plain: dict[str, str] = {}
    for label in labels:
        other = plain.setdefault("".join(label.casefold().replace("-", "_").replace(" ", "_").split("_")), label)
        if other != label:
            raise DatasetError(f"{data}: one class is spelled in two ways, {other!r} and {label!r}; rename one")
