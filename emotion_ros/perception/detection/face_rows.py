"""Converts the rows of face detectors to faces."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import Box, Face


def face_from_row(row: NDArray[np.float32], width: int, height: int) -> Face:
    """Return a face with six landmarks: right eye, left eye, nose tip, middle, right and left corner of the mouth.

    The middle of the mouth is the mean of its corners.

    Args:
        row: 15 values: x, y, width and height of the box; x and y of right eye, left eye, nose tip, right and left
            corner of the mouth; confidence. In pixels.
        width: of the image in pixels; the box is clipped to it.
        height: of the image in pixels.
    """
    box = Box(*(float(value) for value in row[:4]))
    eyes_and_nose, mouth = np.split(row[4:14].reshape(5, 2), [3])
    landmarks = np.concatenate([eyes_and_nose, mouth.mean(0, keepdims=True), mouth])
    return Face(box.clipped(width, height), float(min(row[14], 1.0)), landmarks)


def filter_faces(faces: Iterable[Face], min_size: float) -> list[Face]:
    """Return the faces whose shorter side has at least ``min_size`` pixels, and at least one, from left to right."""
    large = [face for face in faces if min(face.box.width, face.box.height) >= max(min_size, 1)]
    return sorted(large, key=lambda face: face.box.x)
