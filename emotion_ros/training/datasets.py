"""Labelled face pictures, read whole into memory.

A data set is a folder with the splits ``train``, ``val`` and ``test``. Each is a folder, or a zip file, of one folder
per class. A ``labels.csv`` beside them may add what annotators voted (see :mod:`emotion_ros.training.votes`).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.classification.preprocess import resize
from emotion_ros.errors import DatasetError
from emotion_ros.training.votes import Votes, read_votes

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


@dataclass(frozen=True)
class Samples:
    """One split.

    ``pixels``: n × channels × size × size, uint8. ``classes``: n, index into ``labels``. ``targets``: n × labels,
    float32, each row sums to 1. ``names``: the file of each, ``class/file`` with forward slashes.
    ``repeated``: n, true where the picture is known to stand in another split too.
    """

    labels: tuple[str, ...]
    pixels: NDArray[np.uint8]
    classes: NDArray[np.int64]
    targets: NDArray[np.float32]
    names: tuple[str, ...]
    repeated: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.names)

    def only(self, keep: NDArray[np.bool_]) -> Samples:
        """The samples where ``keep`` is true."""
        names = tuple(name for name, kept in zip(self.names, keep, strict=True) if kept)
        return Samples(
            self.labels, self.pixels[keep], self.classes[keep], self.targets[keep], names, self.repeated[keep]
        )


def read_split(data: Path, split: str, size: int, color: str, vote_weight: float = 0.0) -> Samples:
    """All pictures of a split at the model's size and colour.

    Args:
        data: the data set's folder.
        split: ``train``, ``val`` or ``test``.
        size: side of the square input in pixels.
        color: ``grey``, ``rgb`` or ``bgr``.
        vote_weight: share of the annotators' votes in the targets, 0…1; the rest is the class of the folder.

    Raises:
        DatasetError: the folder, the split or a class is missing, or a picture cannot be read.
    """
    names, pixels = [], []
    for name, content in _files(data, split):
        names.append(name)
        pixels.append(_decode(content, data / split / name, size, color))
    if not names:
        raise DatasetError(f"{data / split}: expected one folder of pictures per class, found no picture")
    labels = tuple(sorted({_label(name) for name in names}))
    check_spelling(data / split, labels)
    if len(labels) < 2:
        raise DatasetError(f"{data / split}: expected at least two classes, found only {labels[0]!r}")
    classes = np.array([labels.index(_label(name)) for name in names])
    votes = read_votes(data / "labels.csv", split, names, labels) or Votes.none(len(names), len(labels))
    return Samples(
        labels,
        np.stack(pixels).transpose(0, 3, 1, 2).copy(),
        classes,
        votes.mixed_into(np.eye(len(labels), dtype=np.float32)[classes], vote_weight),
        tuple(names),
        votes.repeated,
    )


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


def _label(name: str) -> str:
    return name.split("/")[0]


def _files(data: Path, split: str) -> Iterator[tuple[str, bytes]]:
    """Name (``class/file``) and content of each picture, sorted by name."""
    archive, folder = data / f"{split}.zip", data / split
    if folder.is_dir():
        for label, paths in picture_folders(folder).items():
            for path in paths:
                yield f"{label}/{path.name}", path.read_bytes()
    elif archive.is_file():
        with _open_zip(archive) as opened:
            for name in sorted(opened.namelist()):
                if name.lower().endswith(IMAGE_SUFFIXES) and name.count("/") == 1:
                    yield name, opened.read(name)
    else:
        raise DatasetError(f"{data}: expected a folder {split}/ or a file {split}.zip, found neither")


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise DatasetError(f"{path}: expected a zip file: {error}") from error


def _decode(content: bytes, name: Path, size: int, color: str) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None:
        raise DatasetError(f"{name}: not a picture that can be read; replace or remove it")
    return resize(image, size, color)  # type: ignore[arg-type]
