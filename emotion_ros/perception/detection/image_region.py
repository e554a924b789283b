"""Where faces are looked for, and how closely, while it is known where they were a moment ago."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import Box, Image

MARGIN = 0.5
"""Of a box's longer side that is looked at on each side of it: at 30 images per second who moves by fifteen of his own
widths in a second stays in sight."""

WORTH = 0.6
"""Share of the work for the whole image from which on looking at parts of it is not worth the trouble."""

ENOUGH = 64.0
"""Pixels of a face's shorter side with which it is found as well as with more (models/emotion_faces.md)."""

EDGE = 2.0
"""Pixels from the edge of a part within which a box is taken to be cut by it."""


@dataclass(frozen=True)
class ImageRegion:
    """A part of an image: its edges in pixels, and what its sides are divided by before faces are looked for."""

    left: int
    top: int
    right: int
    bottom: int
    shrink: float

    @property
    def work(self) -> float:
        """Pixels that are looked at."""
        return (self.right - self.left) * (self.bottom - self.top) / self.shrink**2

    def shrunk(self, image: Image) -> Image:
        """What is looked at: halved as often as it can be, which costs least, the rest between two pixels."""
        seen = image[self.top : self.bottom, self.left : self.right]
        width, height = (max(round(side / self.shrink), 1) for side in (self.right - self.left, self.bottom - self.top))
        while seen.shape[1] >= 2 * width and seen.shape[0] >= 2 * height:
            half = (seen.shape[1] // 2, seen.shape[0] // 2)
            seen = cv2.resize(seen, half, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        if seen.shape[:2] != (height, width):
            seen = cv2.resize(seen, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
        return seen

    def meets(self, other: ImageRegion) -> bool:
        """Whether they share pixels."""
        beside = self.left >= other.right or other.left >= self.right
        return not (beside or self.top >= other.bottom or other.top >= self.bottom)

    def joined(self, other: ImageRegion) -> ImageRegion:
        """One that holds both, as close as the closer look of the two."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        right, bottom = max(self.right, other.right), max(self.bottom, other.bottom)
        return ImageRegion(left, top, right, bottom, min(self.shrink, other.shrink))

    def holds(self, rows: NDArray[np.float32], width: int, height: int) -> NDArray[np.bool_]:
        """Which boxes (n × x, y, width, height, …) are not cut by an edge that is none of the image's."""
        ends = rows[:, :2] + rows[:, 2:4]
        return (  # type: ignore[no-any-return]
            ((rows[:, 0] > self.left + EDGE) | (self.left == 0))
            & ((rows[:, 1] > self.top + EDGE) | (self.top == 0))
            & ((ends[:, 0] < self.right - EDGE) | (self.right == width))
            & ((ends[:, 1] < self.bottom - EDGE) | (self.bottom == height))
        )


def parts(boxes: Sequence[Box], whole: ImageRegion) -> list[ImageRegion]:
    """Parts of an image that hold boxes and what is around them, apart from each other.

    Args:
        boxes: of faces.
        whole: all of the image.

    Returns:
        None of them where the whole image is as good, or where a box is outside: a camera may change its size.
    """
    found: list[ImageRegion] = []
    inside = [box.clipped(whole.right, whole.bottom) for box in boxes]
    if any(min(box.width, box.height) < 1 for box in inside):
        return found
    for box in boxes:
        new = _around(box, whole)
        while meeting := [each for each in found if each.meets(new)]:
            found = [each for each in found if not each.meets(new)]
            for each in meeting:
                new = new.joined(each)
        found.append(new)
    return found if sum(each.work for each in found) < WORTH * whole.work else []


def _around(box: Box, whole: ImageRegion) -> ImageRegion:
    """Divided by the whole's divisor times a whole number, so that the shapes are few."""
    margin = MARGIN * max(box.width, box.height)
    wide = Box(box.x - margin, box.y - margin, box.width + 2 * margin, box.height + 2 * margin)
    x, y, width, height = wide.clipped(whole.right, whole.bottom).rounded()
    more = max(int(min(box.width, box.height) / whole.shrink / ENOUGH), 1)
    return ImageRegion(x, y, x + width, y + height, more * whole.shrink)
