"""The square of an image that the eye network gets: around an eye, rotated so that its corners are level."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from emotion_ros.perception.rotated_crop import RotatedCrop
from emotion_ros.types import Image, Points

CROP_SIZE_PX = 32
"""Side of the network's input."""

CROP_SCALE = 1.8
"""Side of the crop as a multiple of the eye's width: the upper edge of the brow is outside."""

RIGHT_CORNERS, LEFT_CORNERS = (39, 36), (42, 45)
"""Points at the inner and at the outer corner of the person's eyes, see :data:`emotion_ros.types.FACE_POINTS`."""

MIN_WIDTH_PX = 1.0
"""Lower limit of an eye's width in the image."""


@dataclass(frozen=True)
class EyeCrop(RotatedCrop):
    """A rotated square around an eye.

    Attributes:
        mirrored: for a right eye, so that the nose is on the left in the crop of either eye.
    """

    size_px = CROP_SIZE_PX
    mirrored: bool = False

    def network_pixels(self, image: Image, size: int = 0) -> Image:
        """Return the crop of a BGR or grey image as the network gets it: grey, size × size; 0: 32 × 32."""
        pixels = self.grey_pixels(image, size)
        return pixels[:, ::-1] if self.mirrored else pixels


def crops_of_eyes(points: Points) -> tuple[EyeCrop, EyeCrop]:
    """Return the crops of the right and of the left eye of a face with the given landmarks, 70 × 2 pixels."""
    return _crop(points, RIGHT_CORNERS, True), _crop(points, LEFT_CORNERS, False)


def eye_width(points: Points) -> float:
    """Return the mean width of both eyes in pixels; ``points``: landmarks of the face, 70 × 2."""
    corners = points[[*RIGHT_CORNERS, *LEFT_CORNERS]]
    return float(np.hypot(*(corners[::2] - corners[1::2]).T).mean())


def _crop(points: Points, corners: tuple[int, int], mirrored: bool) -> EyeCrop:
    (x0, y0), (x1, y1) = points[list(corners)].tolist()
    across = (x0 - x1, y0 - y1) if mirrored else (x1 - x0, y1 - y0)
    width = max(math.hypot(*across), MIN_WIDTH_PX)
    return EyeCrop((x0 + x1) / 2, (y0 + y1) / 2, CROP_SCALE * width, math.atan2(across[1], across[0]), mirrored)
