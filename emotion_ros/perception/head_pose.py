"""The pose of a head as angles and as a rotation matrix. Axes: x to the right, y down, z away from the viewer."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import HeadPose, Position

Rotation = NDArray[np.float64]
"""3 × 3: turns a head that looks straight at the viewer, its nose along −z, into its pose."""


def to_rotation(pose: HeadPose) -> Rotation:
    """Return the rotation of a pose, relative to the line of sight."""
    return about(1, -pose.yaw) @ about(0, -pose.pitch) @ about(2, pose.roll)  # type: ignore[no-any-return]


def to_pose(rotation: Rotation) -> HeadPose:
    """Return the angles of a rotation. Yaw and roll are not unique if the nose points straight up or down."""
    return HeadPose(
        yaw=math.atan2(-rotation[0, 2], rotation[2, 2]),
        pitch=math.asin(min(max(float(rotation[1, 2]), -1.0), 1.0)),
        roll=math.atan2(rotation[1, 0], rotation[1, 1]),
    )


def rotation_in_camera(pose: HeadPose, position: Position) -> Rotation:
    """Return the rotation of a head in the camera's optical frame (REP-103) instead of relative to the line of sight.

    Args:
        pose: relative to the line of sight.
        position: of the head; only its direction matters.
    """
    return view_rotation(np.array(position)).T @ to_rotation(pose)  # type: ignore[no-any-return]


def view_rotation(direction: NDArray[np.float64]) -> Rotation:
    """Return the smallest rotation that turns a direction, 3 values with a positive z, to +z: the line of sight."""
    x, y, z = (direction / np.linalg.norm(direction)).tolist()
    factor = 1 / (1 + z)
    return np.array([[1 - x * x * factor, -x * y * factor, -x], [-x * y * factor, 1 - y * y * factor, -y], [x, y, z]])


def angle_between(first: Rotation, second: Rotation) -> float:
    """Return the angle of the rotation from one pose to another, radians."""
    return math.acos(min(max((float(np.trace(first.T @ second)) - 1) / 2, -1.0), 1.0))


def about(axis: int, angle: float) -> Rotation:
    """Return the rotation about an axis (0: x, 1: y, 2: z) in radians; it turns the next axis to the one after it."""
    rotation = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotation[first, first] = rotation[second, second] = math.cos(angle)
    rotation[first, second], rotation[second, first] = -math.sin(angle), math.sin(angle)
    return rotation
