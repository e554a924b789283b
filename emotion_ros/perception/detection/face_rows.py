"""What several face detectors do with what they found."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import Box, Face


def face(row: NDArray[np.float32], width: int, height: int) -> Face:
    """A face with six landmarks: right eye, left eye, nose tip, middle, right and left corner of the mouth.

    Args:
        row: x, y, width and height of the box, five landmarks (the middle of the mouth is missing), confidence.
        width: of the image, to which the box is clipped; so is ``height``.
    """
    box = Box(*(float(value) for value in row[:4]))
    eyes_and_nose, mouth = np.split(row[4:14].reshape(5, 2), [3])
    landmarks = np.concatenate([eyes_and_nose, mouth.mean(0, keepdims=True), mouth])
    return Face(box.clipped(width, height), float(min(row[14], 1.0)), landmarks)


def kept(faces: Iterable[Face], minimum: float) -> list[Face]:
    """Those whose shorter side has ``minimum`` pixels and at least one, from left to right."""
    large = [each for each in faces if min(each.box.width, each.box.height) >= max(minimum, 1)]
    return sorted(large, key=lambda each: each.box.x)
