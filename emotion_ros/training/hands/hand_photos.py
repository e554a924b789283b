"""Photos with labelled hands, cut into the squares from which training crops are taken."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from emotion_ros.errors import DatasetError
from emotion_ros.perception.detection.hand_crop import CROP_SIZE_PX, HandCrop, crop_of_landmarks
from emotion_ros.training.detector.photos import is_held_out
from emotion_ros.training.hands.hand_labels import POINT_COLUMNS
from emotion_ros.training.photo_archive import read_archive
from emotion_ros.types import Image, Points

LABELS = "hands.csv"
"""Name of the file with the hands of ``photos.zip``, see :data:`emotion_ros.training.hands.hand_labels.COLUMNS`."""

PATCH_SCALE = 2.0
"""Side of a patch as a multiple of the crop's side: rotated and shifted crops of the hand stay inside."""

PATCH_SIZE_PX = 256
"""Largest side of a stored patch."""

EMPTY_PATCHES = 4
"""Patches without a hand per photo."""

EMPTY_SIDES = (0.12, 0.7)
"""Smallest and largest side of a patch without a hand, as a share of the photo's shorter side."""

MIN_DISTANCE = 0.7
"""Smallest distance of a patch without a hand from a hand's crop, middle to middle, as a share of the larger's side."""


@dataclass(frozen=True)
class HandPatch:
    """A square of a photo, upright.

    Attributes:
        name: of the photo.
        image: BGR, uint8, n × n × 3.
        points: 21 landmarks in pixels of the patch; empty: no hand.
        is_right: the person's right hand.
    """

    name: str
    image: Image
    points: Points
    is_right: bool = False

    @property
    def held_out(self) -> bool:
        """True if the photo is for evaluation only."""
        return is_held_out(self.name)


@dataclass(frozen=True)
class PhotoHands:
    """The hands of a photo: landmarks, 21 × 2 pixels each, and whether each is a right hand.

    ``reliable``: the teacher found all the photo's hands in all checks.
    """

    points: tuple[Points, ...] = ()
    is_right: tuple[bool, ...] = ()
    reliable: bool = True


def read_patches(folder: Path, without: Sequence[str] = ()) -> list[HandPatch]:
    """Read the reliable hands of a folder, and patches without a hand from the photos whose hands are all reliable.

    Args:
        folder: contains ``photos.zip`` and :data:`LABELS`.
        without: folders of the archive that are left out.

    Raises:
        DatasetError: a file is missing or cannot be read.
    """
    labels = read_labels(folder / LABELS)
    patches: list[HandPatch] = []
    for name, image in read_archive(folder / "photos.zip"):
        if name in labels and name.split("/")[0] not in without:
            patches += _patches(name, image, labels[name])
    return patches


def read_empty(archive: Path) -> list[HandPatch]:
    """Read patches of the photos of an archive that shows no hands.

    Raises:
        DatasetError: the archive cannot be read.
    """
    return [patch for name, image in read_archive(archive) for patch in _empty_patches(name, image, ())]


def read_labels(path: Path) -> dict[str, PhotoHands]:
    """Return each photo's reliable hands.

    Raises:
        DatasetError: the file is missing, or is no file of ``emotion-ros label-hands``.
    """
    hands: dict[str, PhotoHands] = {}
    try:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                hands[row["file"]] = _with_row(hands.get(row["file"], PhotoHands()), row)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: expected hands of emotion-ros label-hands, cannot read them: {error!r}") from error
    return hands


def _with_row(hands: PhotoHands, row: dict[str, str]) -> PhotoHands:
    if float(row["score"]) < 1:
        return PhotoHands(hands.points, hands.is_right, False)
    points = np.array([float(row[column]) for column in POINT_COLUMNS], np.float32).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise ValueError("landmarks that are not finite")
    return PhotoHands((*hands.points, points), (*hands.is_right, row["side"] == "right"), hands.reliable)


def _patches(name: str, image: Image, hands: PhotoHands) -> Iterator[HandPatch]:
    crops = [crop_of_landmarks(points) for points in hands.points]
    for crop, points, is_right in zip(crops, hands.points, hands.is_right, strict=True):
        patch = HandCrop(crop.x, crop.y, crop.side * PATCH_SCALE, 0.0)
        size = min(round(patch.side), PATCH_SIZE_PX)
        matrix = patch.matrix(size)
        moved = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
        yield HandPatch(name, patch.pixels(image, size), moved, is_right)
    if crops and hands.reliable:
        yield from _empty_patches(name, image, crops)


def _empty_patches(name: str, image: Image, crops: Sequence[HandCrop]) -> Iterator[HandPatch]:
    height, width = image.shape[:2]
    rng = np.random.default_rng(crc32(name.encode()))
    for _ in range(EMPTY_PATCHES):
        side = min(height, width) * float(np.exp(rng.uniform(*np.log(EMPTY_SIDES))))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        if all(np.hypot(x - crop.x, y - crop.y) > MIN_DISTANCE * max(side, crop.side) for crop in crops):
            patch = HandCrop(x, y, side * PATCH_SCALE, 0.0)
            size = max(min(round(patch.side), PATCH_SIZE_PX), CROP_SIZE_PX // 2)
            yield HandPatch(name, patch.pixels(image, size), np.empty((0, 2), np.float32))
