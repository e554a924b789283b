"""Head pose from the landmarks of a face detector alone, to compare the network with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.head_pose import Rotation
from emotion_ros.types import Points


def rotation_of_landmarks(landmarks: Points, shape: NDArray[np.float64]) -> Rotation:
    """Return the rotation that shows a mean face's eyes, nose tip and mouth where the landmarks are.

    Scaled orthography: the first two rows of the scaled rotation are a linear least squares fit. Four points of three
    dimensions determine them.

    Args:
        landmarks: at least four points in pixels: right eye, left eye, nose tip, middle of the mouth.
        shape: the mean face, 70 × 3.
    """
    model = np.stack([shape[68], shape[69], shape[30], shape[[48, 54]].mean(0)])
    model = model - model.mean(0)
    seen = landmarks[:4].astype(float) - landmarks[:4].mean(0)
    rows = np.linalg.lstsq(model, seen, rcond=None)[0].T
    u, _, v = np.linalg.svd(rows, full_matrices=False)
    first, second = u @ v
    return np.stack([first, second, np.cross(first, second)])
