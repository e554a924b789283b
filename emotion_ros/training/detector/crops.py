"""Random crops of photos, with the objects in them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from emotion_ros.training.detector.camera_effects import simulate_camera
from emotion_ros.training.detector.label_geometry import downscale, mirrored, pixel_warp, warped
from emotion_ros.training.detector.object_kinds import ObjectKind
from emotion_ros.training.detector.photos import STATE_COLUMN, Photo, counted
from emotion_ros.types import Image

MIN_SIZE_PX, MAX_SIZE_SHARE = 10.0, 0.9
"""Longer side of the object to which a crop is scaled: least in pixels, and most as a share of the crop's side."""

MAX_ENLARGEMENT = 2.5
"""Largest scale: more only blurs."""

MIN_COVERED_SHARE = 0.7
"""Longer side of the scaled photo, as a share of the crop's side, at least: the border shows nothing."""

MIN_LABELLED_SIDE_PX = 5.6
"""Shorter side from which an object counts; a smaller one is ignored by the loss."""

MIN_VISIBLE_SHARE, MIN_PRESENT_SHARE = 0.5, 0.05
"""Share of an object's box inside the crop from which it counts, and below which it is left out; ignored between."""

TILTED_SHARE, MAX_TILT_DEGREES, USUAL_TILT_DEGREES = 0.15, 45.0, 8.0
"""Share of crops that are rotated by a uniform angle, its limit, and the standard deviation of all other angles."""

INSIDE_SHARE = 0.8
"""Share of crops that are shifted into the photo as far as it is large enough."""


def random_crop(photo: Photo, kind: ObjectKind, side: int, random: Generator) -> tuple[Image, NDArray[np.float32]]:
    """Return a crop of a photo, scaled to a random size of one of its objects, mirrored, rotated, degraded.

    The same arguments and state of ``random`` give the same crop.

    Args:
        photo: with or without objects.
        kind: of the objects.
        side: width and height of the crop in pixels.
        random: source of all choices.

    Returns:
        The crop, side × side × 3 (BGR, uint8), and the labels of the objects in it, n × (5 + 2 · landmarks).
    """
    image, labels = mirrored(photo, kind) if random.random() < 0.5 else (photo.image, photo.faces)
    height, width = image.shape[:2]
    middle, size = _target(labels, width, height, random)
    scale = min(np.exp(random.uniform(np.log(MIN_SIZE_PX), np.log(MAX_SIZE_SHARE * side))) / size, MAX_ENLARGEMENT)
    if not len(labels):
        scale = side / size * random.uniform(0.7, 2.5)
    scale = max(scale, MIN_COVERED_SHARE * side / max(width, height))
    angle = random.normal(0, USUAL_TILT_DEGREES)
    if random.random() < TILTED_SHARE:
        angle = random.uniform(-MAX_TILT_DEGREES, MAX_TILT_DEGREES)
    warp: NDArray[Any] = cv2.getRotationMatrix2D(middle, angle, scale)
    warp[:, 2] += random.uniform(0.1 * side, 0.9 * side, 2) - middle
    if random.random() < INSIDE_SHARE:
        warp[:, 2] += _shift_inside(warp, width, height, side)
    small, small_warp = downscale(image, warp, scale)
    border = cv2.BORDER_REPLICATE if random.random() < 0.4 else cv2.BORDER_CONSTANT
    color = [float(value) for value in random.integers(0, 256, 3)] if random.random() < 0.5 else [0.0, 0.0, 0.0]
    crop = cv2.warpAffine(small, pixel_warp(small_warp), (side, side), borderMode=border, borderValue=color)
    crop = simulate_camera(crop, random)  # type: ignore[arg-type]
    return crop, _visible(warped(labels, warp, angle, scale), side)


def _target(
    labels: NDArray[np.float32], width: int, height: int, random: Generator
) -> tuple[tuple[float, float], float]:
    """Return middle (x, y) and longer side, in pixels, of a random object, or of a random place if there is none."""
    present = counted(labels)
    if not len(present):
        return (random.uniform(0, width), random.uniform(0, height)), float(min(width, height))
    x, y, box_width, box_height = present[int(random.integers(len(present))), :4].tolist()
    return (x + box_width / 2, y + box_height / 2), max(box_width, box_height)


def _shift_inside(warp: NDArray[Any], width: int, height: int, side: int) -> NDArray[Any]:
    """Return the shift (x, y) that moves the photo's warped bounds over the crop, as far as they are large enough."""
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ warp[:, :2].T + warp[:, 2]
    low, high = corners.min(0), corners.max(0)
    is_large = high - low >= side
    return np.where(is_large, np.minimum(-low, 0) + np.maximum(side - high, 0), 0.0)


def _visible(labels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return the labels of the objects in a crop; those that are too small or half outside are ignored."""
    low, high = labels[:, :2].clip(0, side), (labels[:, :2] + labels[:, 2:4]).clip(0, side)
    share = (high - low).prod(1) / np.maximum(labels[:, 2:4].prod(1), 1e-6)
    counts = (share >= MIN_VISIBLE_SHARE) & (labels[:, 2:4].min(1) >= MIN_LABELLED_SIDE_PX)
    labels = labels.copy()
    labels[:, STATE_COLUMN] *= counts
    return labels[share >= MIN_PRESENT_SHARE]  # type: ignore[no-any-return]
