"""Regions of an image to search for faces, and their resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import Box, Image

SEARCH_MARGIN = 0.5
"""Margin around a known face on each side, as a share of its box's longer side. A face that moves by half its width
per image, 15 widths per second at 30 Hz, stays inside."""

MAX_WORK_SHARE = 0.6
"""Share of the whole image's pixels above which the whole image is searched instead of regions."""

SUFFICIENT_FACE_SIZE_PX = 64.0
"""Shorter side of a face above which the detector gains nothing from a higher resolution (models/emotion_faces.md)."""

CUT_DISTANCE_PX = 2.0
"""Distance to a region's edge below which a box counts as cut by the edge."""


@dataclass(frozen=True)
class ImageRegion:
    """A rectangle of an image and the factor by which it is scaled down before the search.

    Attributes:
        left, top, right, bottom: edges in pixels of the image; right and bottom are exclusive.
        downscale: divisor of the region's sides, 1 or more.
    """

    left: int
    top: int
    right: int
    bottom: int
    downscale: float

    @property
    def work_px(self) -> float:
        """Pixels of the scaled region: the measure of the search's cost."""
        return (self.right - self.left) * (self.bottom - self.top) / self.downscale**2

    def pixels(self, image: Image) -> Image:
        """Return the region of an image, scaled down.

        Halved with INTER_AREA as often as possible, which is OpenCV's cheapest way; the rest (a factor below 2 on at
        least one side) is interpolated.
        """
        part = image[self.top : self.bottom, self.left : self.right]
        sides = self.right - self.left, self.bottom - self.top
        width, height = (max(round(side / self.downscale), 1) for side in sides)
        while part.shape[1] >= 2 * width and part.shape[0] >= 2 * height:
            half = (part.shape[1] // 2, part.shape[0] // 2)
            part = cv2.resize(part, half, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        if part.shape[:2] != (height, width):
            part = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
        return part

    def overlaps(self, other: ImageRegion) -> bool:
        """Return True if both regions have a pixel in common."""
        beside = self.left >= other.right or other.left >= self.right
        return not (beside or self.top >= other.bottom or other.top >= self.bottom)

    def union(self, other: ImageRegion) -> ImageRegion:
        """Return the smallest region that contains both, at the higher resolution of the two."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        right, bottom = max(self.right, other.right), max(self.bottom, other.bottom)
        return ImageRegion(left, top, right, bottom, min(self.downscale, other.downscale))

    def contains(self, rows: NDArray[np.float32], width: int, height: int) -> NDArray[np.bool_]:
        """Return a mask, n, of the boxes that no edge of the region cuts; the image's own edges may cut.

        Args:
            rows: n × 4 or more: x, y, width and height of each box in pixels of the image.
            width: of the image in pixels.
            height: of the image in pixels.
        """
        ends = rows[:, :2] + rows[:, 2:4]
        return (  # type: ignore[no-any-return]
            ((rows[:, 0] > self.left + CUT_DISTANCE_PX) | (self.left == 0))
            & ((rows[:, 1] > self.top + CUT_DISTANCE_PX) | (self.top == 0))
            & ((ends[:, 0] < self.right - CUT_DISTANCE_PX) | (self.right == width))
            & ((ends[:, 1] < self.bottom - CUT_DISTANCE_PX) | (self.bottom == height))
        )


def search_regions(boxes: Sequence[Box], whole: ImageRegion) -> list[ImageRegion]:
    """Return regions around boxes that do not overlap each other.

    Args:
        boxes: known faces, in pixels of the image.
        whole: region of the whole image.

    Returns:
        An empty list if searching the whole image costs about as little (:data:`MAX_WORK_SHARE`), or if a box lies
        outside the image, as after a change of the camera's resolution.
    """
    inside = [box.clipped(whole.right, whole.bottom) for box in boxes]
    if any(min(box.width, box.height) < 1 for box in inside):
        return []
    regions: list[ImageRegion] = []
    for box in boxes:
        regions = _merged(_around(box, whole), regions)
    return regions if sum(region.work_px for region in regions) < MAX_WORK_SHARE * whole.work_px else []


def _merged(new: ImageRegion, regions: Sequence[ImageRegion]) -> list[ImageRegion]:
    """Return disjoint regions with one more, united with those that it overlaps until none does."""
    apart = list(regions)
    while overlapping := [region for region in apart if region.overlaps(new)]:
        apart = [region for region in apart if not region.overlaps(new)]
        for region in overlapping:
            new = new.union(region)
    return [*apart, new]


def _around(box: Box, whole: ImageRegion) -> ImageRegion:
    """Return a box with its margin, scaled down by a whole multiple of the image's factor.

    Whole multiples keep the number of different input shapes small.
    """
    margin = SEARCH_MARGIN * max(box.width, box.height)
    wide = Box(box.x - margin, box.y - margin, box.width + 2 * margin, box.height + 2 * margin)
    x, y, width, height = wide.clipped(whole.right, whole.bottom).rounded()
    multiple = max(int(min(box.width, box.height) / whole.downscale / SUFFICIENT_FACE_SIZE_PX), 1)
    return ImageRegion(x, y, x + width, y + height, multiple * whole.downscale)
