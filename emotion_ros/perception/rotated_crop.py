"""A rotated square of an image, scaled to the input of a landmark network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import Image, Points

Matrix2: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
"""2 × 2, by rows."""

IDENTITY: Matrix2 = (1.0, 0.0), (0.0, 1.0)


@dataclass(frozen=True)
class RotatedCrop:
    """A rotated square of an image.

    Attributes:
        size_px: side of the network's input, pixels.
        x, y: of its middle, pixels of the image.
        side: pixels of the image.
        radians: angle by which the object is turned clockwise from upright.
    """

    size_px: ClassVar[int]
    x: float
    y: float
    side: float
    radians: float

    @property
    def view(self) -> Matrix2:
        """Matrix, 2 × 2, that is applied to the image around the crop's middle before it is rotated."""
        return IDENTITY

    def matrix(self, size: int = 0) -> NDArray[np.float64]:
        """Return the matrix, 2 × 3, from pixels of the image to pixels of a crop of size × size; 0: of ``size_px``."""
        size = size or self.size_px
        scale = size / self.side
        cos, sin = math.cos(self.radians) * scale, math.sin(self.radians) * scale
        (a, b), (c, d) = self.view
        # Numbers of Python: for so few of them it is eight times as fast as with arrays.
        xx, xy, yx, yy = cos * a + sin * c, cos * b + sin * d, cos * c - sin * a, cos * d - sin * b
        offsets = size / 2 - xx * self.x - xy * self.y, size / 2 - yx * self.x - yy * self.y
        return np.array([(xx, xy, offsets[0]), (yx, yy, offsets[1])])

    def pixels(self, image: Image, size: int = 0) -> Image:
        """Return the crop of an image, size × size × 3; black outside the image.

        A pixel's middle lies half a pixel from its corner, in the image and in the crop.
        """
        return self._warped(*self._surroundings(image), size or self.size_px)

    def grey_pixels(self, image: Image, size: int = 0) -> Image:
        """Return the crop of a BGR or grey image in grey, size × size."""
        part, corner = self._surroundings(image)
        grey = part if part.ndim == 2 else cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)  # before the warp: fewer channels
        return self._warped(grey, corner, size or self.size_px)  # type: ignore[arg-type]

    def _surroundings(self, image: Image) -> tuple[Image, tuple[int, int]]:
        """Return a part of the image that contains the crop, at least one pixel, and its left top corner."""
        height, width = image.shape[:2]
        corners = self.to_image(np.array([(0, 0), (0, 1), (1, 0), (1, 1)], np.float32) * self.size_px)
        margin = self.side / self.size_px + 1
        (left, top), (right, bottom) = (corners.min(0) - margin).tolist(), (corners.max(0) + margin).tolist()
        x0, y0 = min(max(int(left), 0), width - 1), min(max(int(top), 0), height - 1)
        x1, y1 = min(max(int(right), x0 + 1), width), min(max(int(bottom), y0 + 1), height)
        return image[y0:y1, x0:x1], (x0, y0)

    def _warped(self, part: Image, corner: tuple[int, int], size: int) -> Image:
        factor = min(int(self.side / size), *part.shape[:2])
        if factor >= 2:  # bilinear interpolation would skip pixels
            rows, columns = (length // factor for length in part.shape[:2])
            whole = part[: rows * factor, : columns * factor]
            part = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        factor = max(factor, 1)
        (xx, xy, x), (yx, yy, y) = self.matrix(size).tolist()
        first_x, first_y = corner[0] + factor / 2, corner[1] + factor / 2  # middle of the part's first pixel
        x, y = x + xx * first_x + xy * first_y - 0.5, y + yx * first_x + yy * first_y - 0.5
        matrix = np.array([(xx * factor, xy * factor, x), (yx * factor, yy * factor, y)])
        return cv2.warpAffine(part, matrix, (size, size), flags=cv2.INTER_LINEAR)  # type: ignore[return-value]

    def to_image(self, points: Points, size: int = 0) -> Points:
        """Convert points from pixels of the crop to pixels of the image, n × 2."""
        back = cv2.invertAffineTransform(self.matrix(size))
        return (points @ back[:, :2].T + back[:, 2]).astype(np.float32)  # type: ignore[no-any-return]
