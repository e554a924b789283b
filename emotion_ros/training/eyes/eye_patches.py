"""Labelled eyes of photos, cut into the squares from which training crops are taken."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.attention import attention_of
from emotion_ros.perception.emotion.preprocess import face_square
from emotion_ros.perception.eye_crop import CROP_SIZE_PX, EyeCrop, crops_of_eyes, eye_width
from emotion_ros.perception.face_points import FacePointsNetwork, FacePose
from emotion_ros.training.degradation import degraded
from emotion_ros.training.detector.photos import is_held_out
from emotion_ros.training.eyes.eye_labels import LEFT, RIGHT, eye_values
from emotion_ros.training.faces.mesh_labels import FaceMeshes, Mesh, labelled_photos
from emotion_ros.types import Face, Image

PATCH_SCALE, PATCH_SIZE_PX = 1.625, 52
"""Side of a patch as a multiple of the crop's side, and in pixels: rotated and shifted crops stay inside."""

MIN_EYE_WIDTH_PX = 8.0
"""Width in the photo from which eyes are trained on; the lids of smaller ones are the teacher's guesses."""

ROTATION_DEG, SCALE, SHIFT = 5.0, 0.08, 0.03
"""Standard deviations of a training crop's rotation, of the logarithm of its side, and of its shift as a share of the
side. They are added to the errors of the landmarks, at which the patches are cut."""

DEGRADED_SHARE = 0.5
"""Share of the training crops that are degraded as by a bad camera."""


@dataclass(frozen=True)
class EyePatch:
    """A square around an eye, grey, uint8, 52 × 52, with the nose on the left; and its ``values``, see
    :data:`~emotion_ros.training.eyes.eye_labels.VALUES`."""

    image: Image
    values: NDArray[np.float32]


@dataclass(frozen=True)
class EyePair:
    """The eyes of a face.

    Attributes:
        name: of the photo.
        width: mean width of the eyes, pixels of the photo.
        found: landmarks and pose of the face, by the network.
        eyes: right, left.
    """

    name: str
    width: float
    found: FacePose
    eyes: tuple[EyePatch, EyePatch]

    @property
    def held_out(self) -> bool:
        """True if the photo is for evaluation only."""
        return is_held_out(self.name)


def read_eyes(folder: Path, labels: FaceMeshes, network: FacePointsNetwork) -> Iterator[EyePair]:
    """Yield the labelled eyes of a folder, cut at the landmarks that the network finds, as at run time.

    Raises:
        DatasetError: the photos cannot be read, or some that the labels name are missing.
    """
    for name, image, numbers in labelled_photos(folder, labels):
        faces = [Face(face_square(labels.landmarks[n]), 1.0, labels.landmarks[n]) for n in numbers]
        for number, found in zip(numbers, network(image, faces), strict=True):
            if found is not None:
                yield EyePair(name, eye_width(found.points), found, _patches(image, found, labels.meshes[number]))


def _patches(image: Image, found: FacePose, mesh: Mesh) -> tuple[EyePatch, EyePatch]:
    right, left = (
        EyePatch(
            np.ascontiguousarray(replace(crop, side=crop.side * PATCH_SCALE).network_pixels(image, PATCH_SIZE_PX)),
            eye_values(mesh, vertices),
        )
        for crop, vertices in zip(crops_of_eyes(found.points), (RIGHT, LEFT), strict=True)
    )
    return right, left


def training_crop(eye: EyePatch, rng: np.random.Generator) -> Image:
    """Return a crop of an eye, moved and degraded at random, grey, uint8, 32 × 32."""
    side = PATCH_SIZE_PX / PATCH_SCALE
    x, y = PATCH_SIZE_PX / 2 + rng.normal(0, SHIFT, 2) * side
    angle = math.radians(rng.normal(0, ROTATION_DEG))
    crop = EyeCrop(x, y, side * math.exp(rng.normal(0, SCALE)), angle).grey_pixels(eye.image)
    return degraded(crop, rng) if rng.random() < DEGRADED_SHARE else crop


def plain_crop(eye: EyePatch) -> Image:
    """Return the crop as at run time, grey, uint8, 32 × 32."""
    first = (PATCH_SIZE_PX - CROP_SIZE_PX) // 2
    return eye.image[first : first + CROP_SIZE_PX, first : first + CROP_SIZE_PX]


def select_trained(pairs: Sequence[EyePair]) -> list[EyePair]:
    """Return the faces to train on: large enough, and not turned so far away that the eyes do not matter."""
    return [pair for pair in pairs if pair.width >= MIN_EYE_WIDTH_PX and attention_of(pair.found.pose) > 0]
