"""Training crops of the hand landmark network: moved, mirrored, pasted, covered and degraded patches of photos."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.detection.hand_crop import CROP_SIZE_PX, HandCrop, crop_of_landmarks
from emotion_ros.perception.detection.hand_networks import RIGHT
from emotion_ros.perception.gesture_rules import FINGERS
from emotion_ros.perception.gestures import extension, palm_length
from emotion_ros.training.degradation import degraded
from emotion_ros.training.hands.hand_photos import HandPatch
from emotion_ros.types import Image, Points

EMPTY_SHARE, MISPLACED_SHARE = 0.2, 0.06
"""Shares of the crops without a hand, and of those with a hand far from the middle or far too large."""

ROTATION_DEG, ANY_ROTATION_SHARE = 15.0, 0.15
"""Standard deviation of the rotation, and share of the crops with any rotation: a detector's points may be wrong."""

SCALE_RANGE, MAX_SHIFT = (0.8, 1.35), 0.12
"""Range of the crop's side relative to that of the landmarks, and largest shift as a share of it."""

PASTE_SHARE, COVER_SHARE = 0.2, 0.2
"""Shares of the hands whose surroundings are replaced, and of which a part is covered."""

MASK_PALMS = 0.42
"""Thickness of a finger in the mask of a pasted hand, in palm lengths."""

STRAIGHT = 0.5
"""Extension of a finger from which on it counts as straight, in the gap between straight and curled fingers, see
:data:`emotion_ros.perception.gestures.EXTENSION_RANGES`."""

RARITY = 0.25
"""A hand's share falls with the number of hands of its pose to this power; 0: all hands alike, 1: all poses alike. With
0.5 more thumbs up, and fewer fists, were recognized in the photos of data/hands."""

BONES = tuple((first, first + 1) for finger in range(5) for first in range(4 * finger + 1, 4 * finger + 4))
PALM = (0, 1, 2, 5, 9, 13, 17)
"""Landmarks of the palm's outline."""


def pose_shares(patches: Sequence[HandPatch]) -> NDArray[np.float64]:
    """Return the probability with which each hand is drawn, so that rare poses are drawn more often than they occur.

    Hands whose fingers are straight and bent alike have the same pose.
    """
    poses = [tuple(extension(patch.points, finger) > STRAIGHT for finger in FINGERS) for patch in patches]
    counts = Counter(poses)
    weights = np.array([counts[pose] ** -RARITY for pose in poses])
    return weights / weights.sum()  # type: ignore[no-any-return]


def training_crop(
    patches: Sequence[HandPatch],
    shares: NDArray[np.float64],
    empty: Sequence[HandPatch],
    rng: np.random.Generator,
) -> tuple[Image, NDArray[np.float32]]:
    """Return a random crop and its target.

    Args:
        patches: with hands.
        shares: probability with which each of them is drawn, see :func:`pose_shares`.
        empty: without hands.
        rng: random numbers.

    Returns:
        BGR, uint8, 128 × 128 × 3; and 44 float32: landmarks in pixels of the crop, 1 if there is a hand, 1 if it is the
        person's right one.
    """
    kind = rng.random()
    if kind < EMPTY_SHARE and empty:
        return degraded(_turned(empty[rng.integers(len(empty))], rng), rng), np.zeros(RIGHT + 1, np.float32)
    patch = patches[rng.choice(len(patches), p=shares)]
    if kind < EMPTY_SHARE + MISPLACED_SHARE:
        crop = _misplaced(crop_of_landmarks(patch.points), rng)
        return degraded(_mirrored(crop.pixels(patch.image), rng), rng), np.zeros(RIGHT + 1, np.float32)
    image, points, is_right = _hand(patch, rng)
    if rng.random() < PASTE_SHARE and empty:
        image = _pasted(image, points, _turned(empty[rng.integers(len(empty))], rng))
    if rng.random() < COVER_SHARE and empty:
        image = _covered(image, _turned(empty[rng.integers(len(empty))], rng), rng)
    return degraded(image, rng), np.concatenate([points.ravel(), [1, is_right]]).astype(np.float32)


def plain_crop(patch: HandPatch, rng: np.random.Generator) -> tuple[Image, NDArray[np.float32]]:
    """Return a crop as at run time, only slightly rotated, scaled and shifted, and its target; for evaluation."""
    if not len(patch.points):
        return _turned(patch, rng), np.zeros(RIGHT + 1, np.float32)
    crop = _moved(crop_of_landmarks(patch.points), rng, 0.5)
    points = _to_crop(patch.points, crop)
    target = np.concatenate([points.ravel(), [1, patch.is_right]])
    return crop.pixels(patch.image), target.astype(np.float32)


def _hand(patch: HandPatch, rng: np.random.Generator) -> tuple[Image, Points, bool]:
    """Return a moved crop of a hand, its landmarks, and whether it is a right hand; half of them mirrored."""
    crop = _moved(crop_of_landmarks(patch.points), rng, 1.0)
    image, points, is_right = crop.pixels(patch.image), _to_crop(patch.points, crop), patch.is_right
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
        points = np.stack([CROP_SIZE_PX - points[:, 0], points[:, 1]], 1)
        is_right = not is_right
    return image, points, is_right


def _moved(crop: HandCrop, rng: np.random.Generator, strength: float) -> HandCrop:
    side = crop.side * float(np.exp(rng.uniform(*np.log(SCALE_RANGE)) * strength))
    x, y = rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * side * strength
    degrees = rng.normal(0, ROTATION_DEG) * strength
    if strength == 1 and rng.random() < ANY_ROTATION_SHARE:
        degrees = rng.uniform(-180, 180)
    return HandCrop(crop.x + x, crop.y + y, side, crop.radians + math.radians(degrees))


def _misplaced(crop: HandCrop, rng: np.random.Generator) -> HandCrop:
    """Return a crop that shows a part of a hand only."""
    turned = replace(crop, radians=rng.uniform(-math.pi, math.pi))
    if rng.random() < 0.5:
        return replace(turned, side=crop.side * rng.uniform(0.2, 0.38))
    angle, distance = rng.uniform(-math.pi, math.pi), rng.uniform(0.6, 0.9) * crop.side
    return replace(turned, x=crop.x + math.cos(angle) * distance, y=crop.y + math.sin(angle) * distance)


def _to_crop(points: Points, crop: HandCrop) -> Points:
    matrix = crop.matrix()
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)  # type: ignore[no-any-return]


def _turned(patch: HandPatch, rng: np.random.Generator) -> Image:
    """Return a patch's middle, rotated at random and mirrored in half of the cases."""
    side = patch.image.shape[0]
    crop = HandCrop(side / 2, side / 2, side / 2 * rng.uniform(0.7, 1.3), rng.uniform(-math.pi, math.pi))
    return _mirrored(crop.pixels(patch.image), rng)


def _mirrored(image: Image, rng: np.random.Generator) -> Image:
    return np.ascontiguousarray(image[:, ::-1]) if rng.random() < 0.5 else image


def _pasted(image: Image, points: Points, surroundings: Image) -> Image:
    """Return the hand over other surroundings; its mask is drawn along the bones, with a part of the forearm."""
    mask = np.zeros(image.shape[:2], np.uint8)
    unit = palm_length(points)
    thick, white = max(round(unit * MASK_PALMS), 1), (255,)
    whole = np.round(points).astype(np.int32)
    cv2.fillPoly(mask, [whole[list(PALM)]], white)
    cv2.polylines(mask, [whole[list(PALM)]], True, white, thick)
    forearm = np.round(points[0] + (points[0] - points[9]) * 2).astype(int)
    cv2.line(mask, whole[0].tolist(), forearm.tolist(), white, max(round(unit * 0.75), 1))
    for first, second in BONES:
        cv2.line(mask, whole[first].tolist(), whole[second].tolist(), white, thick)
    soft = cv2.blur(mask, (5, 5))[..., None] / np.float32(255)
    return (image * soft + surroundings * (1 - soft)).astype(np.uint8)  # type: ignore[no-any-return]


def _covered(image: Image, cover: Image, rng: np.random.Generator) -> Image:
    """Return a crop of which a rectangle of up to two fifths of each side shows something else."""
    width, height = rng.integers(CROP_SIZE_PX // 10, CROP_SIZE_PX * 2 // 5, 2)
    x, y = rng.integers(0, CROP_SIZE_PX - width), rng.integers(0, CROP_SIZE_PX - height)
    result = image.copy()
    result[y : y + height, x : x + width] = cover[y : y + height, x : x + width]
    return result
