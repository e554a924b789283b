"""The square of an image that the hand landmark network gets: around a hand, rotated so that the hand points up."""

from __future__ import annotations

import math

from emotion_ros.perception.rotated_crop import RotatedCrop
from emotion_ros.types import Points

CROP_SIZE_PX = 128
"""Side of the landmark network's input."""

CROP_SCALE = 1.6
"""Side of the crop as a multiple of the longer side of the landmarks' upright box."""

DETECTION_SCALE, DETECTION_SHIFT = 1.2, 0.1
"""Side of the crop of a detection relative to :data:`CROP_SCALE` times the box, and its shift towards the fingers as a
share of the latter: the detector's box often leaves out a finger that is stretched alone (models/emotion_hands.md)."""

WRIST, MIDDLE_KNUCKLE = 0, 9
"""Landmarks whose direction gives the hand's rotation."""

MIN_SIDE_PX = 4.0
"""Lower limit of the crop's side in the image."""


class HandCrop(RotatedCrop):
    """A rotated square around a hand, in which the hand points up."""

    size_px = CROP_SIZE_PX


def crop_of_landmarks(points: Points, scale: float = 1.0) -> HandCrop:
    """Return the crop of a hand from its landmarks, 21 × 2 pixels; ``scale``: of its side."""
    low, high = points.min(0), points.max(0)
    x, y = ((low + high) / 2).tolist()
    return _crop(x, y, scale * float((high - low).max()), points[WRIST], points[MIDDLE_KNUCKLE])


def crop_of_detection(x: float, y: float, side: float, wrist: Points, knuckle: Points) -> HandCrop:
    """Return the crop of a detected hand.

    Args:
        x: of the box's middle, pixels.
        y: likewise.
        side: the box's longer side, pixels.
        wrist: x, y.
        knuckle: x, y of the middle finger's knuckle.
    """
    crop = _crop(x, y, side, wrist, knuckle)
    shift = DETECTION_SHIFT * crop.side
    x, y = crop.x + math.sin(crop.radians) * shift, crop.y - math.cos(crop.radians) * shift
    return HandCrop(x, y, DETECTION_SCALE * crop.side, crop.radians)


def _crop(x: float, y: float, side: float, wrist: Points, knuckle: Points) -> HandCrop:
    right, down = (knuckle - wrist).tolist()
    return HandCrop(x, y, max(CROP_SCALE * side, MIN_SIDE_PX), math.atan2(right, -down))
