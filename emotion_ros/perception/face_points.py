"""Finds 70 landmarks of each face and the pose of its head with the network of this package."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.detection.network_input import open_network
from emotion_ros.perception.face_crop import CROP_SIZE_PX, FaceCrop, crop_of_face
from emotion_ros.perception.geometry import CameraIntrinsics, line_of_sight
from emotion_ros.perception.head_pose import Rotation, about, to_pose
from emotion_ros.types import FACE_POINTS, Face, HeadPose, Image, Points

NETWORK_KIND = "face_landmarks"
"""Value of ``kind`` in the metadata of the model file."""

LANDMARKS = (68,), (69,), (30,), (48, 54), (48,), (54,)
"""Points whose mean is each of :attr:`Face.landmarks`: pupils, nose tip, middle and corners of the mouth."""

MAX_FACES = 16
"""Faces per run of the network."""


@dataclass(frozen=True)
class FacePose:
    """Result for a face: ``points``, 70 × 2 pixels of the image, see :data:`FACE_POINTS`; ``pose`` of the head."""

    points: Points
    pose: HeadPose


class FacePointsNetwork:
    """Finds landmarks and pose of faces."""

    def __init__(self, model: Path, provider: str = "auto", threads: int = 1) -> None:
        """Load a model and run it once.

        Args:
            model: the ONNX file.
            provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
            threads: CPU threads; 0: ONNX Runtime's choice.

        Raises:
            ModelError: the file is missing, or is no such model of this package.
            ProviderError: the provider is not available.
        """
        profile = _shape(1), _shape(2), _shape(MAX_FACES)
        self._session = open_network(model, provider, threads, NETWORK_KIND, ("pixels", "faces"), profile)
        self._lock = threading.Lock()  # guards _session, which serves one image at a time; held by __call__
        self._run(np.zeros(_shape(1), np.float32))

    @property
    def engine_status(self) -> str:
        """See :class:`emotion_ros.inference.ort_session.Session`."""
        return self._session.engine_status

    def __call__(
        self, image: Image, faces: Sequence[Face], intrinsics: CameraIntrinsics | None = None
    ) -> list[FacePose | None]:
        """Return landmarks and pose of each face of an image; None for a face without the detector's landmarks.

        Args:
            image: BGR, uint8, height × width × 3; is only read.
            faces: with their first four landmarks.
            intrinsics: of the camera; None: see :func:`line_of_sight`.
        """
        height, width = image.shape[:2]
        crops = [
            crop_of_face(face.landmarks[:4], line_of_sight(face.box.centre, intrinsics, width, height))
            for face in faces
            if len(face.landmarks) >= 4
        ]
        rows = iter(self._rows(image, crops))
        found = iter(crops)
        return [_result(next(found), next(rows)) if len(face.landmarks) >= 4 else None for face in faces]

    def _rows(self, image: Image, crops: Sequence[FaceCrop]) -> list[NDArray[np.float32]]:
        rows: list[NDArray[np.float32]] = []
        for first in range(0, len(crops), MAX_FACES):
            grey = [crop.grey_pixels(image) for crop in crops[first : first + MAX_FACES]]
            with self._lock:
                rows += [*self._run(np.stack(grey)[:, None].astype(np.float32))]
        return rows

    def _run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._session.run(["faces"], {"pixels": pixels})[0], np.float32)


def refined(face: Face, found: FacePose | None) -> Face:
    """Return a face with its landmarks, also those of the detector, replaced by what the network found, if anything.

    Those of small detectors hardly follow a tilted head: of a portrait tilted by 15°, ``emotion_faces`` sees 0.3°.
    """
    if found is None:
        return face
    landmarks = np.stack([points.mean(0) for points in (found.points[list(part)] for part in LANDMARKS)])
    landmarks.setflags(write=False)  # a face leaves the pipeline in a frozen value
    return replace(face, points=found.points, landmarks=landmarks)


def rotation_of_columns(columns: NDArray[np.float32]) -> Rotation:
    """Return the rotation matrix from its first two columns, 6 values, which need not be orthonormal.

    Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", 2019.
    """
    first, second = columns.reshape(2, 3).astype(float)
    first = first / np.linalg.norm(first)
    second = second - (second @ first) * first
    second = second / np.linalg.norm(second)
    third = first[[1, 2, 0]] * second[[2, 0, 1]] - first[[2, 0, 1]] * second[[1, 2, 0]]
    return np.stack([first, second, third], 1)


def _result(crop: FaceCrop, row: NDArray[np.float32]) -> FacePose:
    points = crop.to_image(row[: 2 * FACE_POINTS].reshape(FACE_POINTS, 2))
    points.setflags(write=False)
    rotation = about(2, crop.radians) @ rotation_of_columns(row[2 * FACE_POINTS :])
    return FacePose(points, to_pose(rotation))


def _shape(faces: int) -> tuple[int, int, int, int]:
    return faces, 1, CROP_SIZE_PX, CROP_SIZE_PX
