"""The two networks of this package that find hands: one searches an image, one finds the landmarks in a crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.detection.cells import STRIDES, decode_cells
from emotion_ros.perception.detection.hand_crop import CROP_SIZE_PX, HandCrop, crop_of_detection
from emotion_ros.perception.detection.image_region import ImageRegion
from emotion_ros.perception.detection.network_input import NetworkInput, open_network
from emotion_ros.types import Image, Points

DETECTOR_KIND, LANDMARK_KIND = "hands", "hand_landmarks"
"""Values of ``kind`` in the metadata of the two model files."""

INPUT_SIZE_PX = 384
"""Longer side to which larger images are scaled down before the search."""

MIN_SCORE = 0.1
"""Minimum score of a detection; the landmark network decides whether it is a hand. Chosen on held-out photos, see
models/emotion_hands.md."""

POINTS = 21

PRESENCE, RIGHT = 2 * POINTS, 2 * POINTS + 1
"""Columns after the landmarks: the logits of presence, and of being the person's right hand."""


@dataclass(frozen=True)
class HandLandmarks:
    """A crop's result: ``points``, 21 × 2 pixels of the image; ``presence`` and ``right``, probabilities."""

    points: Points
    presence: float
    right: float


class HandSearch:
    """Finds the crops of hands in an image."""

    def __init__(self, model: Path, provider: str, threads: int) -> None:
        """Load a model; see :class:`emotion_ros.perception.detection.emotion_hands.EmotionHands`."""
        step, side = STRIDES[-1], INPUT_SIZE_PX
        profile = (1, 3, step, step), (1, 3, side * 3 // 4, side), (1, 3, side, side)
        self._to_input = NetworkInput()
        self.session = open_network(model, provider, threads, DETECTOR_KIND, ("pixels", "cells"), profile)

    def __call__(self, image: Image) -> list[HandCrop]:
        """Return the crops of the hands in an image by descending score."""
        height, width = image.shape[:2]
        whole = ImageRegion(0, 0, width, height, max(max(height, width) / INPUT_SIZE_PX, 1.0))
        pixels = self._to_input(whole.pixels(image))
        values = self.session.run(["cells"], {"pixels": pixels})[0][0]
        rows = decode_cells(values, pixels.shape[2], pixels.shape[3], MIN_SCORE)
        rows[:, :-1] *= whole.downscale
        return [_crop(row) for row in rows]


class HandLandmarkNetwork:
    """Finds 21 landmarks in each crop: the mean of those in the crop and in its mirror image.

    The mean errs less than either, and the side of a hand is more often right (models/emotion_hands.md). The mirror
    image of a crop without a hand is not examined.
    """

    def __init__(self, model: Path, provider: str, threads: int, max_hands: int) -> None:
        """Load a model; see :class:`emotion_ros.perception.detection.emotion_hands.EmotionHands`."""
        shapes = [(count, 3, CROP_SIZE_PX, CROP_SIZE_PX) for count in (1, 1, max_hands)]
        profile = shapes[0], shapes[1], shapes[2]
        self.session = open_network(model, provider, threads, LANDMARK_KIND, ("pixels", "hands"), profile)

    def __call__(self, image: Image, crops: Sequence[HandCrop]) -> list[HandLandmarks]:
        """Return the landmarks in each crop of an image."""
        if not crops:
            return []
        pixels = np.stack([crop.pixels(image).transpose(2, 0, 1) for crop in crops]).astype(np.float32)
        rows = self._run(pixels)
        present = rows[:, PRESENCE] > 0
        if present.any():
            rows[present] = (rows[present] + _mirrored(self._run(pixels[present][..., ::-1]))) / 2
        presence, right = 1 / (1 + np.exp(-rows[:, PRESENCE:].clip(-30, 30))).T
        return [
            HandLandmarks(crop.to_image(row[:PRESENCE].reshape(POINTS, 2)), float(share), float(side))
            for crop, row, share, side in zip(crops, rows, presence, right, strict=True)
        ]

    def _run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's values, n × 44, for n crops in NCHW."""
        return self.session.run(["hands"], {"pixels": np.ascontiguousarray(pixels)})[0]


def _mirrored(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the network's values, n × 44, for the mirror images of crops."""
    result = rows.copy()
    result[:, :PRESENCE:2] = CROP_SIZE_PX - rows[:, :PRESENCE:2]
    result[:, RIGHT] = -rows[:, RIGHT]
    return result


def _crop(row: NDArray[np.float32]) -> HandCrop:
    """Return the crop of a row of :func:`decode_cells`: box, wrist, middle knuckle, score."""
    x, y, width, height = row[:4].tolist()
    return crop_of_detection(x + width / 2, y + height / 2, max(width, height), row[4:6], row[6:8])
