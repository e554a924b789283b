"""Labels the faces in photos with MediaPipe Face Mesh, the teacher, and keeps those that it sees reliably."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError, OutputError
from emotion_ros.io.atomic_file import replacing
from emotion_ros.perception.detection import FaceDetector
from emotion_ros.perception.detection.mediapipe_solutions import import_solution
from emotion_ros.perception.emotion.preprocess import face_square
from emotion_ros.training.detector.label_geometry import pixel_warp
from emotion_ros.training.photo_archive import photos_archive, read_archive
from emotion_ros.types import Face, Image, Points

LABELS = "face_meshes.npz"
"""Name of the file with the faces of ``photos.zip``, see :class:`FaceMeshes`."""

Mesh: TypeAlias = NDArray[np.float32]
"""478 × 3: x and y in pixels, and depth in pixels away from the camera, relative to the head's middle. The numbering is
that of MediaPipe Face Mesh with irises (Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on
Mobile GPUs", 2019; Grishchenko et al., "Attention Mesh", 2020)."""

# fmt: off
POINT_VERTICES = (
    127, 234, 93, 132, 58, 172, 150, 148, 152, 377, 379, 397, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178,
    468, 473,
)
"""Vertex of the mesh for each of :data:`emotion_ros.types.FACE_POINTS`."""

MIRRORED_POINTS = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65, 69, 68,
)
"""For each of the points, the one that takes its place in a mirrored image."""
# fmt: on

VIEW_SCALE, VIEW_SIZE_PX = 3.0, 256
"""Side of the teacher's view as a multiple of that of :func:`face_square`, and its side in pixels."""

MIN_TEACHER_CONFIDENCE = 0.3
"""Of the teacher's face detector, which sees a view that has a face."""

MIN_SIDE_PX = 32.0
"""Side of :func:`face_square` from which a face is labelled: below, the teacher's landmarks are guesses."""

MIN_FACE_CONFIDENCE = 0.5

MAX_DEVIATION = 0.05
"""Mean distance of the landmarks from those in the mirrored view, as a share of the side of :func:`face_square`, up to
which a face is kept."""

MAX_EYE_DISTANCE = 0.2
"""Largest distance of the eyes from the detector's, in the same unit: else the teacher sees another face."""


@dataclass(frozen=True)
class FaceMeshes:
    """The faces of an archive, one row each.

    ``names``: photo of the face. ``landmarks``: n × 4 × 2, right eye, left eye, nose tip and middle of the mouth of the
    face detector. ``meshes``: n × 478 × 3, see :data:`Mesh`. All in pixels of the photo.
    """

    names: NDArray[np.str_]
    landmarks: NDArray[np.float32]
    meshes: NDArray[np.float32]


class MeshTeacher:
    """MediaPipe Face Mesh on one face of an image."""

    def __init__(self) -> None:
        """Load the teacher.

        Raises:
            ModelError: mediapipe is not installed.
        """
        mesh = import_solution("face_mesh", "FaceMesh", "another teacher")
        self._graph: Any = mesh(
            static_image_mode=True,
            max_num_faces=1,
            refine_landmarks=True,
            min_detection_confidence=MIN_TEACHER_CONFIDENCE,
        )

    def __call__(self, image: Image, landmarks: Points) -> Mesh | None:
        """Return the mesh of the face with the given landmarks of a detector; None if the teacher is not sure."""
        square = face_square(landmarks)
        matrix = _view(square.centre, VIEW_SCALE * square.width)
        view = cv2.warpAffine(image, pixel_warp(matrix), (VIEW_SIZE_PX,) * 2, flags=cv2.INTER_LINEAR)
        mesh, mirrored = self._mesh_of(view), self._mesh_of(view[:, ::-1])  # type: ignore[arg-type]
        if mesh is None or mirrored is None:
            return None
        vertices = list(POINT_VERTICES)
        other = mirrored[vertices][list(MIRRORED_POINTS)] * (-1, 1, 1) + (VIEW_SIZE_PX, 0, 0)
        deviation = np.hypot(*(mesh[vertices] - other)[:, :2].T).mean() * VIEW_SCALE / VIEW_SIZE_PX
        mesh[:, :2] = (mesh[:, :2] - matrix[:, 2]) / matrix[0, 0]
        mesh[:, 2] /= matrix[0, 0]
        eyes = np.hypot(*(mesh[list(POINT_VERTICES[-2:]), :2] - landmarks[:2]).T).max() / square.width
        return mesh if deviation <= MAX_DEVIATION and eyes <= MAX_EYE_DISTANCE else None

    def _mesh_of(self, view: Image) -> Mesh | None:
        found = self._graph.process(cv2.cvtColor(view, cv2.COLOR_BGR2RGB)).multi_face_landmarks
        if not found:
            return None
        points = [(point.x, point.y, point.z) for point in found[0].landmark]
        return np.array(points, np.float32) * np.float32(VIEW_SIZE_PX)


def label_photos(data: Path, output: Path, detector: FaceDetector) -> tuple[int, int]:
    """Label the photos of an archive.

    Args:
        data: folder with ``photos.zip``.
        output: the file, see :data:`LABELS`.
        detector: finds the faces.

    Returns:
        Numbers of photos and of labelled faces.

    Raises:
        DatasetError: the archive is missing, or a photo cannot be read.
        ModelError: mediapipe is not installed.
        OutputError: the file cannot be written.
    """
    teacher = MeshTeacher()
    photos, names, landmarks, meshes = 0, [], [], []
    for name, image in read_archive(photos_archive(data)):
        photos += 1
        for face, mesh in _labelled(image, detector, teacher):
            names.append(name)
            landmarks.append(face.landmarks[:4])
            meshes.append(mesh)
    try:
        with replacing(output) as partial, partial.open("wb") as file:
            arrays = np.array(names, np.str_), np.reshape(landmarks, (-1, 4, 2)), np.reshape(meshes, (-1, 478, 3))
            np.savez_compressed(file, names=arrays[0], landmarks=arrays[1], meshes=arrays[2])
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error}") from error
    return photos, len(names)


def read_labels(path: Path) -> FaceMeshes:
    """Return the faces of a file of :func:`label_photos`.

    Raises:
        DatasetError: the file is missing, or is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            names, landmarks, meshes = (file[name] for name in ("names", "landmarks", "meshes"))
        shapes = landmarks.shape, meshes.shape
        if shapes != ((len(names), 4, 2), (len(names), 478, 3)):
            raise ValueError(f"arrays of {shapes}")
        if not (np.isfinite(landmarks).all() and np.isfinite(meshes).all()):
            raise ValueError("values that are not finite")
    except Exception as error:  # NumPy and zipfile raise exceptions of many types for a corrupt file
        raise DatasetError(f"{path}: expected a file of emotion-ros label-meshes, cannot read it: {error!r}") from error
    return FaceMeshes(names, landmarks.astype(np.float32), meshes.astype(np.float32))


def labelled_photos(folder: Path, labels: FaceMeshes) -> Iterator[tuple[str, Image, list[int]]]:
    """Yield name and image (BGR, uint8, h × w × 3) of each photo with labelled faces, and the rows of these faces.

    Args:
        folder: with ``photos.zip``.
        labels: of the folder.

    Raises:
        DatasetError: the photos cannot be read, or some that the labels name are missing.
    """
    faces: dict[str, list[int]] = {}
    for number, name in enumerate(labels.names.tolist()):
        faces.setdefault(name, []).append(number)
    for name, image in read_archive(photos_archive(folder)):
        if name in faces:
            yield name, image, faces.pop(name)
    if faces:
        raise DatasetError(
            f"{folder}: expected the photos that {LABELS} names, {len(faces)} are missing in photos.zip; "
            "run emotion-ros label-meshes again"
        )


def _labelled(image: Image, detector: FaceDetector, teacher: MeshTeacher) -> Iterator[tuple[Face, Mesh]]:
    for face in detector.detect(image, MIN_FACE_CONFIDENCE, 1):
        if len(face.landmarks) >= 4 and face_square(face.landmarks).width >= MIN_SIDE_PX:
            mesh = teacher(image, face.landmarks)
            if mesh is not None:
                yield face, mesh


def _view(middle: tuple[float, float], side: float) -> NDArray[np.float64]:
    """Return the matrix, 2 × 3, from pixels of the photo to an upright square view."""
    scale = VIEW_SIZE_PX / side
    matrix: NDArray[np.float64] = np.array([[scale, 0, 0], [0, scale, 0]])
    matrix[:, 2] = VIEW_SIZE_PX / 2 - scale * np.array(middle)
    return matrix
