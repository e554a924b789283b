"""Labelled faces of photos, also turned by their meshes, cut into the squares from which training crops are taken."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError
from emotion_ros.perception.face_crop import FaceCrop, crop_of_face
from emotion_ros.perception.head_pose import Rotation, to_pose, to_rotation
from emotion_ros.training.detector.photos import is_held_out
from emotion_ros.training.faces.mean_face import mean_face, points_of, rotation_of, shape_to_face
from emotion_ros.training.faces.mesh_labels import LABELS, FaceMeshes, Mesh, labelled_photos, read_labels
from emotion_ros.training.faces.turned_faces import skin_triangles, turned
from emotion_ros.types import HeadPose, Image, Points

PATCH_SCALE, PATCH_SIZE_PX = 1.5, 112
"""Side of a patch as a multiple of the crop's side, and in pixels: rotated and shifted crops stay inside."""

TURNED_PER_FACE = 2
"""Turned faces per labelled face."""

MAX_YAW, MAX_PITCH = math.radians(75), math.radians(35)
"""Largest angles of turned faces."""

FRONTAL = math.radians(12)
"""Yaw up to which both sides of a face are seen: it is turned to either side, others only further away."""

MEAN_FACES = 3000
"""Faces from which the mean face is made, evenly spaced."""


@dataclass(frozen=True)
class FacePatch:
    """A square of a photo, upright.

    Attributes:
        name: of the photo.
        image: grey, uint8, 112 × 112.
        points: landmarks, 70 × 2, in pixels of the patch.
        rotation: pose of the head in the patch.
        landmarks: right eye, left eye, nose tip, middle of the mouth, as a face detector gives them, 4 × 2.
    """

    name: str
    image: Image
    points: Points
    rotation: Rotation
    landmarks: Points

    @property
    def held_out(self) -> bool:
        """True if the photo is for evaluation only."""
        return is_held_out(self.name)


@dataclass(frozen=True)
class HeadModel:
    """The mean face: ``points``, see :func:`mean_face`, and the ``triangles`` of its skin."""

    points: NDArray[np.float64]
    triangles: NDArray[np.int32]


def head_model(labels: Sequence[FaceMeshes]) -> HeadModel:
    """Return the mean of labelled faces."""
    meshes = np.concatenate([each.meshes for each in labels])
    meshes = meshes[:: max(len(meshes) // MEAN_FACES, 1)]
    points = mean_face(points_of(meshes))
    frontal = np.mean([shape_to_face(mesh, points) for mesh in meshes], 0)
    return HeadModel(points, skin_triangles(frontal))


def read_all_labels(folders: Sequence[Path]) -> list[FaceMeshes]:
    """Read the labels of folders.

    Raises:
        DatasetError: a file is missing or cannot be read, or there are too few faces.
    """
    labels = [read_labels(folder / LABELS) for folder in folders]
    held_out = [is_held_out(name) for each in labels for name in each.names]
    if not any(held_out) or all(held_out):
        raise DatasetError(f"{', '.join(map(str, folders))}: expected some hundred faces, got {len(held_out)}")
    return labels


def read_patches(folder: Path, labels: FaceMeshes, model: HeadModel, turned_per_face: int) -> Iterator[FacePatch]:
    """Yield the labelled faces of a folder, each followed by turned copies; of held-out photos only as they are.

    Raises:
        DatasetError: the photos cannot be read, or some that the labels name are missing.
    """
    for name, image, numbers in labelled_photos(folder, labels):
        for number in numbers:
            yield from _patches(name, image, labels.landmarks[number], labels.meshes[number], model, turned_per_face)


def _patches(
    name: str, image: Image, landmarks: Points, mesh: Mesh, model: HeadModel, turned_per_face: int
) -> Iterator[FacePatch]:
    crop = crop_of_face(landmarks)
    square = FaceCrop(crop.x, crop.y, crop.side * PATCH_SCALE, 0.0)
    patch = cv2.cvtColor(square.pixels(image, PATCH_SIZE_PX), cv2.COLOR_BGR2GRAY)
    matrix = square.matrix(PATCH_SIZE_PX)
    moved = mesh * np.float32(matrix[0, 0])
    moved[:, :2] += matrix[:, 2].astype(np.float32)
    points = points_of(moved)
    rotation = rotation_of(points, model.points)
    detected = (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    yield FacePatch(name, patch, points[:, :2], rotation, detected)  # type: ignore[arg-type]
    if is_held_out(name):
        return
    rng = np.random.default_rng((crc32(name.encode()), int(crop.x) % 2**32))  # x < 0 for a face at the left border
    for _ in range(turned_per_face):
        other = to_rotation(_further(to_pose(rotation), rng))
        image_turned, mesh_turned = turned(patch, moved, other @ rotation.T, model.triangles)  # type: ignore[arg-type]
        yield _recentred(name, image_turned, points_of(mesh_turned), other)


def _further(pose: HeadPose, rng: np.random.Generator) -> HeadPose:
    """Return a random pose in which no side of the face is seen that is hidden in the given one."""
    yaw = float(rng.uniform(-MAX_YAW, MAX_YAW))
    if abs(pose.yaw) > FRONTAL:
        yaw = math.copysign(max(abs(yaw), abs(pose.yaw)), pose.yaw)
    pitch = float(np.clip(pose.pitch + rng.normal(0, MAX_PITCH / 2), -MAX_PITCH, MAX_PITCH))
    return HeadPose(yaw, pitch, pose.roll)


def _recentred(name: str, image: Image, points: NDArray[np.float32], rotation: Rotation) -> FacePatch:
    """Return the patch of a turned face, whose landmarks are those of the mesh."""
    mouth = points[[48, 54]].mean(0)
    landmarks = np.stack([points[68], points[69], points[30], mouth])[:, :2]
    return FacePatch(name, image, points[:, :2], rotation, landmarks)
