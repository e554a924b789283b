"""The pose of the head of a face mesh: its rotation against the mean shape of a face."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.head_pose import Rotation, to_pose, to_rotation
from emotion_ros.training.faces.mesh_labels import MIRRORED_POINTS, POINT_VERTICES
from emotion_ros.types import HeadPose

RIGID_POINTS = (0, 1, 2, 14, 15, 16, *range(27, 37), 39, 42, 45)
"""Points that expressions hardly move: outline at the ears, nose, corners of the eyes."""

ROUNDS = 8
"""Rounds of aligning all faces to their mean; the mean changes by less than 0.001 from the sixth on."""


def rotation_of(points: NDArray[Any], shape: NDArray[np.float64]) -> Rotation:
    """Return the rotation from a shape to points, each 70 × 3; least squares over the rigid points.

    Kabsch, "A solution for the best rotation to relate two sets of vectors", 1976.
    """
    rigid = list(RIGID_POINTS)
    first, second = shape[rigid] - shape[rigid].mean(0), points[rigid] - points[rigid].mean(0)
    u, _, v = np.linalg.svd(second.T @ first)
    return u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v  # type: ignore[no-any-return]


def mean_face(points: NDArray[Any]) -> NDArray[np.float64]:
    """Return the symmetric mean shape of faces, 70 × 3, in units of the distance of the pupils, looking at the viewer.

    Args:
        points: n × 70 × 3, of any poses. The pose without yaw and roll is given by symmetry; the one without pitch is
            their median: of portraits, in which people look at the camera.
    """
    rigid = list(RIGID_POINTS)
    shape = points[0].astype(float)
    for _ in range(ROUNDS):
        aligned = []
        for each in points:
            centred = (each - each[rigid].mean(0)) @ rotation_of(each, shape)
            aligned.append(centred / np.linalg.norm(centred[68] - centred[69]))
        shape = _symmetric(np.mean(aligned, 0))
    pitch = float(np.median([to_pose(rotation_of(each, shape)).pitch for each in points]))
    return shape @ to_rotation(HeadPose(0.0, pitch, 0.0)).T  # type: ignore[no-any-return]


def _symmetric(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of a shape and its mirror image; x is across the plane of symmetry."""
    across = rotation_of(_mirrored(shape), shape)
    half = cv2.Rodrigues(cv2.Rodrigues(across)[0] / 2)[0]
    straight = shape @ half.T
    return (straight + _mirrored(straight)) / 2  # type: ignore[no-any-return]


def _mirrored(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points[list(MIRRORED_POINTS)] * (-1, 1, 1)


def points_of(meshes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the landmarks of meshes, … × 70 × 3."""
    return meshes[..., list(POINT_VERTICES), :]  # type: ignore[no-any-return]


def shape_to_face(mesh: NDArray[np.float32], shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a mesh, 478 × 3, turned, scaled and shifted to a mean shape."""
    points, rigid = points_of(mesh), list(RIGID_POINTS)
    centred = (mesh - points[rigid].mean(0)) @ rotation_of(points, shape)
    return centred / np.linalg.norm(points[68] - points[69])  # type: ignore[no-any-return]
