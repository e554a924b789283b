"""Where a face is in front of the camera, from its place in the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emotion_ros.types import Face, Position

EYES_APART = 0.063
"""Metres between the pupils of an adult, the mean; 0.052 to 0.078 for nearly all (Dodgson, "Variation and extrema of
human interpupillary distance", 2004). A child's are nearer to each other: it seems farther away than it is."""


@dataclass(frozen=True)
class CameraIntrinsics:
    """A pinhole camera: focal lengths and principal point in pixels of an image of ``width`` × ``height``."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int


def position(face: Face, lens: CameraIntrinsics | None, width: int, height: int) -> Position | None:
    """Metres from the camera to the point between the eyes: x to the right, y down, z forward (optical frame, REP-103).

    The direction is as good as the lens; the distance supposes an adult who faces the camera: a head that is turned by
    30° seems 15 % farther away. Distortion is not taken out.

    Args:
        face: with right and left eye as its first landmarks.
        lens: None where it is not known.
        width: of the image that the face is in, in pixels; the lens may know it at another size.
        height: likewise.

    Returns:
        None where lens or eyes are not known.
    """
    if lens is None or len(face.landmarks) < 2 or min(lens.fx, lens.fy, lens.width, lens.height) <= 0:
        return None
    across, down = lens.width / width, lens.height / height
    eyes = face.landmarks[:2].astype(float) * (across, down)
    apart = float(np.linalg.norm((eyes[1] - eyes[0]) / (lens.fx, lens.fy)))
    if apart <= 0:
        return None
    x, y = ((eyes.mean(0) - (lens.cx, lens.cy)) / (lens.fx, lens.fy)).tolist()
    z = EYES_APART / apart
    return x * z, y * z, z
