"""The images that a detector is trained on: crops of photos, and scenes composed of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from emotion_ros.config import DetectorTrainConfig
from emotion_ros.errors import ConfigError, DatasetError
from emotion_ros.inference.catalog import find_model
from emotion_ros.training.detector.crops import random_crop
from emotion_ros.training.detector.object_kinds import FACES, OBJECT_KINDS, ObjectKind
from emotion_ros.training.detector.photos import Backgrounds, Photo, read_backgrounds, read_photos
from emotion_ros.training.detector.scenes import compose_scene
from emotion_ros.training.detector.teacher import YuNetTeacher
from emotion_ros.training.numbered_batches import NumberedBatches
from emotion_ros.types import Image

SIDES_PX = (192, 256, 320, 256)
"""Sides of the training images, one per batch in turn, so that the network works at any image size."""

SCENE_SHARE, NEGATIVE_SHARE, SINGLE_SHARE = 0.1, 0.2, 0.2
"""Shares of training images that are composed scenes, crops of photos without objects, and crops of photos with one.
The others are crops of photos with several; kinds without photos leave their share to the last. A folder is chosen in
proportion to the square root of its number of such photos, so that a large folder does not hide a small one."""

PADDING_STATE = -1
"""State of the rows that pad the objects of a batch to the same number."""

Sample: TypeAlias = "tuple[Image, NDArray[np.float32], NDArray[np.float32]]"
"""Image, labels of its objects, and the teacher's values of its cells (empty without a teacher)."""


class TrainingImages(Dataset[Sample]):
    """Images by number and side, made when they are asked for: the same number is always the same image."""

    def __init__(
        self,
        folders: Sequence[Sequence[Photo]],
        backgrounds: Backgrounds,
        kind: ObjectKind,
        seed: int,
        teacher: str = "",
    ) -> None:
        """Sort photos by their number of objects.

        Args:
            folders: the photos of each folder, with and without objects.
            backgrounds: for scenes; photos without objects are added to them.
            kind: of the objects. Scenes are composed of faces only.
            seed: of all choices.
            teacher: file or catalog name of YuNet; empty: no teacher.

        Raises:
            ModelError: the teacher cannot be used.
        """
        self._empty = _Pool([photo for photo in photos if not len(photo.faces)] for photos in folders)
        self._single = _Pool([photo for photo in photos if len(photo.faces) == 1] for photos in folders)
        self._several = _Pool([photo for photo in photos if len(photo.faces) > 1] for photos in folders)
        pictures = [*backgrounds.pictures, *(photo.image for photo in self._empty.photos)]
        self._backgrounds = Backgrounds(pictures, backgrounds.things)
        self._kind, self._seed = kind, seed
        self._teacher = YuNetTeacher(find_model(teacher)) if teacher else None

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        number, side = key
        image, labels = self._image(side, np.random.default_rng((self._seed, number)))
        return image, labels, self._teacher(image) if self._teacher else np.empty((0, labels.shape[1]), np.float32)

    def _image(self, side: int, random: Generator) -> tuple[Image, NDArray[np.float32]]:
        choice = random.random()
        if self._single.photos and self._kind is FACES and choice < SCENE_SHARE:
            return compose_scene(self._single.photos, self._backgrounds, side, random)
        return random_crop(self._pool(choice - SCENE_SHARE).choose(random), self._kind, side, random)

    def _pool(self, choice: float) -> _Pool:
        """Return the photos for a number of −SCENE_SHARE…1 − SCENE_SHARE."""
        if self._empty.photos and 0 <= choice < NEGATIVE_SHARE:
            return self._empty
        if self._single.photos and choice < NEGATIVE_SHARE + SINGLE_SHARE:
            return self._single
        return self._several if self._several.photos else self._single


class _Pool:
    """Photos of several folders."""

    def __init__(self, folders: Iterable[Sequence[Photo]]) -> None:
        self._folders = [photos for photos in folders if photos]
        self.photos = [photo for photos in self._folders for photo in photos]
        weights = np.sqrt([len(photos) for photos in self._folders])
        self._limits = np.cumsum(weights / weights.sum())

    def choose(self, random: Generator) -> Photo:
        """Return a random photo of a random folder."""
        photos = self._folders[min(int(np.searchsorted(self._limits, random.random())), len(self._folders) - 1)]
        return photos[int(random.integers(len(photos)))]


class ImageNumbers(NumberedBatches):
    """Batches of image numbers; all images of a batch have the same side."""

    def key(self, batch: int, number: int) -> tuple[int, int]:
        """Return a key of :class:`TrainingImages`."""
        return number, SIDES_PX[batch % len(SIDES_PX)]


def read_training_photos(folders: Sequence[Path], config: DetectorTrainConfig) -> tuple[TrainingImages, list[Photo]]:
    """Return training images of the photos in folders, and the photos that are held out.

    Args:
        folders: see :func:`read_photos`. A photo is left out of training if its name is held out.
        config: settings.

    Raises:
        ConfigError: the teacher finds other objects.
        DatasetError: the photos or backgrounds cannot be used, or are too few.
        ModelError: the teacher cannot be used.
    """
    kind = OBJECT_KINDS[config.kind]
    if config.teacher and kind is not FACES:
        raise ConfigError(f"teacher: YuNet finds faces; expected none for {kind.name}, got {config.teacher}")
    read = [read_photos(folder, kind, config.every) for folder in folders]
    training = [[photo for photo in photos if not photo.held_out] for photos in read]
    held_out = [photo for photos in read for photo in photos if photo.held_out]
    if not any(len(photo.faces) for photos in training for photo in photos) or not any(
        len(photo.truth) for photo in held_out
    ):
        raise DatasetError(f"{folders[0]}: expected some hundred photos with {kind.name}, got {sum(map(len, read))}")
    backgrounds = read_backgrounds(config.backgrounds)
    return TrainingImages(training, backgrounds, kind, config.seed, config.teacher), held_out


def collate(samples: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    """Return a batch of images of one size.

    Returns:
        Pixels, n × 3 × height × width, uint8, BGR. Labels, n × the largest number × (5 + 2 · landmarks), float32,
        padded with :data:`PADDING_STATE`. The teacher's values, n × cells × (5 + 2 · landmarks), float32; no cells
        without a teacher.
    """
    columns = samples[0][1].shape[1]
    padded = np.full(
        (len(samples), max([1, *(len(labels) for _, labels, _ in samples)]), columns), PADDING_STATE, np.float32
    )
    for row, (_, labels, _) in zip(padded, samples, strict=True):
        row[: len(labels)] = labels
    pixels = np.stack([image for image, _, _ in samples]).transpose(0, 3, 1, 2)
    teacher_values = np.stack([values for _, _, values in samples])
    return torch.from_numpy(pixels), torch.from_numpy(padded), torch.from_numpy(teacher_values)
