"""Decodes the output of the detectors of this package.

A cell has 5 + 2 p values for p landmarks: score (a logit), x and y of the box's centre, logarithms of its width and
height, x and y of each landmark. Lengths are in strides. The centre and the landmarks are relative to the cell's
centre. The landmarks of a face are the person's right eye, left eye, nose tip, right and left corner of the mouth.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

STRIDES = (8, 16, 32)
"""Pixels between neighbouring cells of each of the network's grids."""

MAX_OVERLAP = 0.4
"""Intersection over union above which two boxes are one face; the one with the higher confidence stays."""

MAX_LOG_SIZE = 6.0
"""Limit of a box's logarithmic size, e⁶ = 403 strides: no overflow for untrained networks."""


def values_per_cell(points: int) -> int:
    """Return the number of a cell's values for a number of landmarks."""
    return 5 + 2 * points


def cell_centres(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the centres of all cells, cells × 2 (x, y in pixels), and their strides, cells, in the network's order.

    Args:
        height: of the network's input in pixels, a multiple of 32.
        width: likewise.
    """
    points, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        points.append((np.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(np.full(points[-1].shape[0], stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decode_cells(values: NDArray[np.float32], height: int, width: int, min_confidence: float) -> NDArray[np.float32]:
    """Return the objects in one image by descending confidence, overlapping ones suppressed.

    Args:
        values: the network's output, cells × (5 + 2 p).
        height: of the network's input in pixels, a multiple of 32.
        width: likewise.
        min_confidence: minimum confidence, above 0.

    Returns:
        objects × (5 + 2 p), float32: x, y, width and height of the box, x and y of each landmark, confidence 0…1; in
        pixels.
    """
    # Scores are compared as logits: the sigmoid is computed for the few cells that remain.
    min_logit = np.log(min_confidence / max(1 - min_confidence, 1e-6))
    confident = np.nonzero(values[:, 0] >= min_logit)[0]
    cells = values[confident]
    middles, strides = (grid[confident] for grid in _grid(height, width))
    scores = 1 / (1 + np.exp(-cells[:, 0]))
    size = np.exp(np.minimum(cells[:, 3:5], MAX_LOG_SIZE)) * strides
    boxes = np.concatenate([middles + cells[:, 1:3] * strides - size / 2, size], 1)
    points = np.tile(middles, cells.shape[1] // 2 - 2) + cells[:, 5:] * strides
    order = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, MAX_OVERLAP)
    remaining = np.asarray(order, int).ravel()
    return np.concatenate([boxes, points, scores[:, None]], 1)[remaining].astype(np.float32)  # type: ignore[no-any-return]


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return centres, cells × 2, and strides, cells × 1; callers must not write to them."""
    points, strides = cell_centres(height, width)
    return points, strides[:, None]
