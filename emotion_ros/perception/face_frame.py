"""Orientation of a face as a coordinate frame."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.head_pose import rotation_in_camera
from emotion_ros.types import HeadPose, Position

Quaternion: TypeAlias = tuple[float, float, float, float]
"""Rotation as x, y, z, w; of norm 1."""

FACING_THE_CAMERA = np.array([(0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (-1.0, 0.0, 0.0)])
"""Axes, as columns in an optical frame, of a face that looks straight into a camera: x towards the camera, y to the
right of the image (the person's left), z up."""


def face_rotation(position: Position, pose: HeadPose) -> NDArray[np.float64]:
    """Return the axes of a face in the camera's optical frame (REP-103), as the columns of a 3 × 3 rotation.

    x points out of the face, y to the person's left, z to the top of the head (REP-155).

    Args:
        position: of the face, metres, in front of the camera.
        pose: relative to the line from the camera to that position.
    """
    return np.asarray(rotation_in_camera(pose, position) @ FACING_THE_CAMERA)


def quaternion(rotation: NDArray[np.float64]) -> Quaternion:
    """Return a 3 × 3 rotation as a quaternion with w ≥ 0.

    The quaternion is the eigenvector of the largest eigenvalue of a symmetric matrix (Bar-Itzhack, "New method for
    extracting the quaternion from a rotation matrix", 2000), which is stable for every angle.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    matrix = [
        (xx - yy - zz, yx + xy, zx + xz, zy - yz),
        (yx + xy, yy - xx - zz, zy + yz, xz - zx),
        (zx + xz, zy + yz, zz - xx - yy, yx - xy),
        (zy - yz, xz - zx, yx - xy, xx + yy + zz),
    ]
    x, y, z, w = np.linalg.eigh(np.array(matrix))[1][:, -1].tolist()
    sign = -1.0 if w < 0 else 1.0
    return sign * x, sign * y, sign * z, sign * w
