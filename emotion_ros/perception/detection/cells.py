"""What the values of a face detector's cells mean."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

STRIDES = (8, 16, 32)
"""Pixels between the cells of each grid."""

VALUES = 15
"""Of each cell: score (a logit), the box's middle and the logarithm of its size, five landmarks.

All in strides: the middle and the landmarks from the cell's own middle, x before y. The landmarks are right eye, left
eye, nose tip, right and left corner of the mouth, the person's own.
"""

OVERLAP = 0.4
"""Intersection over union above which two boxes are one face: the surer stays."""


def centres(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Middles of all cells of an image, cells × 2, x and y in pixels, and their strides, in the network's order."""
    points, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        points.append((np.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(np.full(points[-1].shape[0], stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(strides).astype(np.float32)


def find(values: NDArray[np.float32], height: int, width: int, confidence: float) -> NDArray[np.float32]:
    """The faces that the cells of one image see, the surest first.

    Args:
        values: cells × 15.
        height: of the image that the network saw, in pixels, a multiple of 32; so is ``width``.
        confidence: the least, above 0.

    Returns:
        n × 15: x, y, width and height of the box, five landmarks, confidence; pixels.
    """
    sure = np.nonzero(values[:, 0] >= np.log(confidence / max(1 - confidence, 1e-6)))[0]
    chosen = values[sure]
    middles, strides = (each[sure] for each in _grid(height, width))
    scores = 1 / (1 + np.exp(-chosen[:, 0]))
    size = np.exp(np.minimum(chosen[:, 3:5], 6)) * strides
    boxes = np.concatenate([middles + chosen[:, 1:3] * strides - size / 2, size], 1)
    points = np.tile(middles, 5) + chosen[:, 5:] * strides
    order = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, OVERLAP)
    kept = np.asarray(order, int).ravel()
    return np.concatenate([boxes, points, scores[:, None]], 1)[kept].astype(np.float32)  # type: ignore[no-any-return]


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    points, strides = centres(height, width)
    return points, strides[:, None]
