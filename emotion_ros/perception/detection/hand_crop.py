"""The square of an image that the hand landmark network gets: around a hand, rotated so that the hand points up."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import Image, Points

CROP_SIZE_PX = 96
"""Side of the landmark network's input."""

CROP_SCALE = 1.6
"""Side of the crop as a multiple of the longer side of the landmarks' upright box."""

WRIST, MIDDLE_KNUCKLE = 0, 9
"""Landmarks whose direction gives the hand's rotation."""

MIN_SIDE_PX = 4.0
"""Lower limit of the crop's side in the image."""


@dataclass(frozen=True)
class HandCrop:
    """A rotated square of an image.

    Attributes:
        x, y: of its middle, pixels of the image.
        side: pixels of the image.
        radians: angle by which the hand is turned clockwise from pointing up.
    """

    x: float
    y: float
    side: float
    radians: float

    def matrix(self, size: int = CROP_SIZE_PX) -> NDArray[np.float64]:
        """Return the matrix, 2 × 3, from pixels of the image to pixels of a crop of size × size."""
        scale = size / self.side
        cos, sin = math.cos(self.radians) * scale, math.sin(self.radians) * scale
        rotation = np.array([[cos, sin], [-sin, cos]])
        matrix: NDArray[np.float64] = np.c_[rotation, size / 2 - rotation @ (self.x, self.y)]
        return matrix

    def pixels(self, image: Image, size: int = CROP_SIZE_PX) -> Image:
        """Return the crop, size × size × 3; black outside the image.

        A pixel's middle lies half a pixel from its corner, in the image and in the crop.
        """
        matrix = self.matrix(size)
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
        factor = int(self.side / size)
        if factor >= 2:  # bilinear interpolation would skip pixels
            image, matrix = _reduced(image, matrix, self, factor)
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)  # type: ignore[return-value]

    def to_image(self, points: Points, size: int = CROP_SIZE_PX) -> Points:
        """Convert points from pixels of the crop to pixels of the image, n × 2."""
        back = cv2.invertAffineTransform(self.matrix(size))
        return (points @ back[:, :2].T + back[:, 2]).astype(np.float32)  # type: ignore[no-any-return]


def crop_of_landmarks(points: Points) -> HandCrop:
    """Return the crop of a hand from its landmarks, 21 × 2 pixels."""
    low, high = points.min(0), points.max(0)
    x, y = ((low + high) / 2).tolist()
    return crop_of_box(x, y, float((high - low).max()), points[WRIST], points[MIDDLE_KNUCKLE])


def crop_of_box(x: float, y: float, side: float, wrist: Points, knuckle: Points) -> HandCrop:
    """Return the crop of a hand from its box.

    Args:
        x: of the box's middle, pixels.
        y: likewise.
        side: the box's longer side, pixels.
        wrist: x, y.
        knuckle: x, y of the middle finger's knuckle.
    """
    right, down = (knuckle - wrist).tolist()
    return HandCrop(x, y, max(CROP_SCALE * side, MIN_SIDE_PX), math.atan2(right, -down))


def _reduced(
    image: Image, matrix: NDArray[np.float64], crop: HandCrop, factor: int
) -> tuple[Image, NDArray[np.float64]]:
    """Return the surroundings of a crop, reduced by a whole factor, and the matrix from there to the crop."""
    height, width = image.shape[:2]
    half = crop.side * math.sqrt(0.5) + factor
    left, top = max(int(crop.x - half), 0), max(int(crop.y - half), 0)
    right, bottom = min(int(crop.x + half), width), min(int(crop.y + half), height)
    columns, rows = (right - left) // factor, (bottom - top) // factor
    if columns < 1 or rows < 1:
        return image, matrix
    part = image[top : top + rows * factor, left : left + columns * factor]
    reduced = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    offset = np.array([left, top]) + (factor - 1) / 2
    return reduced, np.c_[matrix[:, :2] * factor, matrix[:, 2] + matrix[:, :2] @ offset]  # type: ignore[return-value]
