"""Estimates the position of a face relative to the camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emotion_ros.types import Face, Position

PUPIL_DISTANCE_M = 0.063
"""Mean distance between an adult's pupils; 0.052 to 0.078 m for nearly all (Dodgson, "Variation and extrema of human
interpupillary distance", 2004). Children's are smaller: their distance is overestimated."""


@dataclass(frozen=True)
class CameraIntrinsics:
    """A pinhole camera: focal lengths and principal point in pixels of an image of ``width`` × ``height``."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int


def face_position(face: Face, intrinsics: CameraIntrinsics | None, width: int, height: int) -> Position | None:
    """Return the midpoint of the eyes in metres: x to the right, y down, z forward (optical frame, REP-103).

    The distance assumes an adult who faces the camera; a head turned by 30° gives a distance 15 % too large. Lens
    distortion is not corrected.

    Args:
        face: with right and left eye as its first landmarks, in pixels.
        intrinsics: the camera's; their image size may differ from the image's.
        width: of the image in pixels.
        height: of the image in pixels.

    Returns:
        None if the intrinsics are None or not positive, or if the face has no two different eyes.
    """
    if intrinsics is None or len(face.landmarks) < 2:
        return None
    if min(intrinsics.fx, intrinsics.fy, intrinsics.width, intrinsics.height) <= 0:
        return None
    scale = intrinsics.width / width, intrinsics.height / height
    eyes = face.landmarks[:2].astype(float) * scale
    focal, centre = (intrinsics.fx, intrinsics.fy), (intrinsics.cx, intrinsics.cy)
    pupil_distance = float(np.linalg.norm((eyes[1] - eyes[0]) / focal))  # at a depth of 1 m
    if pupil_distance <= 0:
        return None
    x, y = ((eyes.mean(0) - centre) / focal).tolist()
    z = PUPIL_DISTANCE_M / pupil_distance
    return x * z, y * z, z
