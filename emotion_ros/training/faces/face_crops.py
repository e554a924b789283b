"""Training crops of the face landmark network: moved, mirrored, covered and degraded patches of photos."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.face_crop import CROP_SIZE_PX, FaceCrop, crop_of_face
from emotion_ros.perception.head_pose import Rotation, to_rotation
from emotion_ros.training.degradation import degraded
from emotion_ros.training.faces.face_patches import FacePatch
from emotion_ros.training.faces.mesh_labels import MIRRORED_POINTS
from emotion_ros.types import FACE_POINTS, HeadPose, Image, Points

ROTATION = 2 * FACE_POINTS
"""First column of a target after the landmarks: the first two columns of the rotation matrix, one after the other (Zhou
et al., "On the Continuity of Rotation Representations in Neural Networks", 2019)."""

VALUES = ROTATION + 6

LANDMARK_NOISE = 0.03
"""Standard deviation of the detector's landmarks in training, as a share of the crop's side."""

ROTATION_DEG, SCALE, SHIFT = 8.0, 0.08, 0.03
"""Standard deviations of the crop's rotation, of the logarithm of its side, and of its shift as a share of the side."""

COVER_SHARE = 0.25
"""Share of the faces of which a part is covered."""

MIRROR = np.diag([-1.0, 1.0, 1.0])


def training_crop(patches: Sequence[FacePatch], rng: np.random.Generator) -> tuple[Image, NDArray[np.float32]]:
    """Return a random crop and its target.

    Returns:
        Grey, uint8, 64 × 64; and 146 float32: landmarks in pixels of the crop, rotation in the crop.
    """
    patch = patches[rng.integers(len(patches))]
    side = crop_of_face(patch.landmarks).side
    noise = rng.normal(0, LANDMARK_NOISE * side, patch.landmarks.shape)
    image, points, rotation = _cut(patch, _moved(crop_of_face((patch.landmarks + noise).astype(np.float32)), rng))
    if rng.random() < 0.5:
        image, points, rotation = _mirrored(image, points, rotation)
    if rng.random() < COVER_SHARE:
        image = _covered(image, patches[rng.integers(len(patches))].image, rng)
    return degraded(image, rng), _target(points, rotation)


def plain_crop(patch: FacePatch) -> tuple[Image, NDArray[np.float32]]:
    """Return the crop as at run time, and its target."""
    image, points, rotation = _cut(patch, crop_of_face(patch.landmarks))
    return image, _target(points, rotation)


def _cut(patch: FacePatch, crop: FaceCrop) -> tuple[Image, Points, Rotation]:
    matrix = crop.matrix()
    points = (patch.points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    return crop.pixels(patch.image), points, to_rotation(HeadPose(0, 0, -crop.radians)) @ patch.rotation


def _moved(crop: FaceCrop, rng: np.random.Generator) -> FaceCrop:
    x, y = rng.normal(0, SHIFT, 2) * crop.side
    side = crop.side * math.exp(rng.normal(0, SCALE))
    return FaceCrop(crop.x + x, crop.y + y, side, crop.radians + math.radians(rng.normal(0, ROTATION_DEG)))


def _mirrored(image: Image, points: Points, rotation: Rotation) -> tuple[Image, Points, Rotation]:
    other = points[list(MIRRORED_POINTS)] * (-1, 1) + (CROP_SIZE_PX, 0)
    return np.ascontiguousarray(image[:, ::-1]), other.astype(np.float32), MIRROR @ rotation @ MIRROR


def _covered(image: Image, cover: Image, rng: np.random.Generator) -> Image:
    """Return a crop of which a rectangle of up to two fifths of each side shows a part of another patch."""
    width, height = rng.integers(CROP_SIZE_PX // 8, CROP_SIZE_PX * 2 // 5, 2)
    x, y = rng.integers(0, CROP_SIZE_PX - width), rng.integers(0, CROP_SIZE_PX - height)
    result = image.copy()
    result[y : y + height, x : x + width] = cv2.resize(cover, (CROP_SIZE_PX,) * 2)[y : y + height, x : x + width]
    return result


def _target(points: Points, rotation: Rotation) -> NDArray[np.float32]:
    return np.concatenate([points.ravel(), rotation[:, 0], rotation[:, 1]]).astype(np.float32)
