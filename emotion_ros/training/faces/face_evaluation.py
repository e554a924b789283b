"""Measures head pose and face landmarks: against the teacher, and on faces that are turned by known angles."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.inference.timing import median_ms
from emotion_ros.perception.attention import attention_of
from emotion_ros.perception.detection import FaceDetector
from emotion_ros.perception.detection.network_input import read_metadata_of_kind
from emotion_ros.perception.emotion.preprocess import face_square
from emotion_ros.perception.face_points import NETWORK_KIND, FacePointsNetwork
from emotion_ros.perception.geometry import CameraIntrinsics
from emotion_ros.perception.head_pose import Rotation, to_pose, to_rotation
from emotion_ros.training.detector.label_geometry import pixel_warp
from emotion_ros.training.detector.photos import is_held_out
from emotion_ros.training.faces.face_patches import MEAN_FACES, HeadModel
from emotion_ros.training.faces.five_points import rotation_of_landmarks
from emotion_ros.training.faces.mean_face import points_of, rotation_of, shape_to_face
from emotion_ros.training.faces.mesh_labels import LABELS, FaceMeshes, Mesh, MeshTeacher, labelled_photos, read_labels
from emotion_ros.training.faces.turned_faces import skin_triangles, turned
from emotion_ros.types import Face, HeadPose, Image

TURNS_DEG = (
    *((yaw, 0) for yaw in (-45, -30, -20, -10, 10, 20, 30, 45)),
    *((0, pitch) for pitch in (-25, -15, 15, 25)),
)
"""Yaw and pitch by which frontal faces are turned."""

ROLLS_DEG = (-30, -15, 15, 30)
"""Angles by which photos are rotated."""

FRONTAL_DEG, MIN_TURNED_SIDE_PX, TURNED_FACES = 12.0, 60.0, 60
"""Largest yaw and pitch of the faces that are turned, the smallest side of their :func:`face_square`, and how many of
them per folder."""

SIZES_PX = {"under 64 px": (0, 64), "64 to 127 px": (64, 128), "128 px and more": (128, math.inf)}
"""Ranges of the side of :func:`face_square`; a face box is 1.1 to 1.3 times as high."""

ANGLES = ("yaw", "pitch", "roll")

FAR_PX = 1e6
"""Focal length with which perspective has no effect."""

MIN_CONFIDENCE = 0.3
"""Of a face in a turned image."""

UNKNOWN = np.full((3, 3), np.nan)
"""Rotation that a method does not give."""

PoseOf = Callable[[Image, Face], tuple[Rotation, NDArray[np.float32] | None]]
"""From an image and a face to the head's rotation and the landmarks, 70 × 2; None: it gives none."""

Turn = tuple[float, float]
"""Error of the change of an angle, degrees, and attention after it, 0…1. NaN: the face was not found."""


@dataclass
class PoseFigures:
    """Figures of one method.

    Attributes:
        labels: by range of sizes: errors of yaw, pitch and roll in degrees, against the teacher.
        points: mean distance of the landmarks of each face from the teacher's, in distances of the pupils.
        turns: by kind and angle in degrees, of each turned face.
        face_ms: median time per face.
    """

    labels: dict[str, list[tuple[float, float, float]]] = field(default_factory=lambda: defaultdict(list))
    points: list[float] = field(default_factory=list)
    turns: dict[str, dict[int, list[Turn]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    face_ms: float = float("nan")

    def summary(self) -> dict[str, Any]:
        """Return medians and 90th percentiles of the absolute errors, and the bias of each turn."""
        everything = [row for rows in self.labels.values() for row in rows]
        sizes = {"all": everything, **{name: self.labels[name] for name in SIZES_PX if name in self.labels}}
        return {
            "labels": {name: {"faces": len(rows), **_angles(rows)} for name, rows in sizes.items() if rows},
            "points": [float(value) for value in np.percentile(self.points, [50, 90])] if self.points else None,
            "turns": {
                kind: {str(angle): _spread(errors) for angle, errors in sorted(by_angle.items())}
                for kind, by_angle in self.turns.items()
            },
            "face_ms": self.face_ms,
        }


def measure_poses(network: Path, detector: FaceDetector, folders: Sequence[Path]) -> dict[str, PoseFigures]:
    """Measure a network, pose from the detector's landmarks alone, and the teacher, on the held-out photos of folders.

    Args:
        network: its ONNX file, which has the mean face of its training in its metadata.
        detector: finds the faces in turned images, as at run time.
        folders: each with ``photos.zip`` and the file of ``emotion-ros label-meshes``.

    Raises:
        DatasetError: a file is missing or cannot be read.
        ModelError: the network cannot be used, or mediapipe, the teacher, is not installed.
    """
    shape = np.array(read_metadata_of_kind(network, NETWORK_KIND).get("shape", ()), float)
    if shape.shape != (70, 3):
        raise ModelError(f"{network}: expected a face landmark network of emotion-ros export")
    loaded = FacePointsNetwork(network, "cpu", 1)
    methods: dict[str, PoseOf] = {
        "network": lambda image, face: _by_network(loaded, image, face),
        "detector's landmarks": lambda _, face: (rotation_of_landmarks(face.landmarks, shape), None),
    }
    teacher = MeshTeacher()
    of_turns = {**methods, "teacher": lambda image, face: _by_teacher(teacher, image, face, shape)}
    figures = {name: PoseFigures() for name in of_turns}
    for folder in folders:
        labels = read_labels(folder / LABELS)
        model = HeadModel(shape, _triangles(labels, shape))
        remaining = TURNED_FACES
        for image, face, mesh in _held_out(folder, labels):
            rotation = rotation_of(points_of(mesh), shape)
            for name, method in methods.items():
                _compare(figures[name], method(image, face), face, rotation, points_of(mesh))
            if remaining and _can_turn(face, rotation):
                remaining -= 1
                _measure_turns(figures, of_turns, detector, image, face, mesh, model)
    _time(figures["network"], loaded)
    return figures


def _by_network(network: FacePointsNetwork, image: Image, face: Face) -> tuple[Rotation, NDArray[np.float32] | None]:
    height, width = image.shape[:2]
    # The teacher and the turned faces know no perspective: as from far away.
    far = CameraIntrinsics(FAR_PX, FAR_PX, width / 2, height / 2, width, height)
    (found,) = network(image, [face], far)
    assert found is not None  # all faces have landmarks
    return to_rotation(found.pose), found.points


def _by_teacher(
    teacher: MeshTeacher, image: Image, face: Face, shape: NDArray[np.float64]
) -> tuple[Rotation, NDArray[np.float32] | None]:
    mesh = teacher(image, face.landmarks)
    return (UNKNOWN, None) if mesh is None else (rotation_of(points_of(mesh), shape), points_of(mesh)[:, :2])


def _triangles(labels: FaceMeshes, shape: NDArray[np.float64]) -> NDArray[np.int32]:
    step = max(len(labels.meshes) // MEAN_FACES, 1)
    return skin_triangles(np.mean([shape_to_face(mesh, shape) for mesh in labels.meshes[::step]], 0))


def _held_out(folder: Path, labels: FaceMeshes) -> Iterator[tuple[Image, Face, Mesh]]:
    """Yield the faces of held-out photos as the detector saw them, with the teacher's mesh."""
    for name, image, numbers in labelled_photos(folder, labels):
        for number in numbers if is_held_out(name) else ():
            landmarks = labels.landmarks[number]
            yield image, Face(face_square(landmarks), 1.0, landmarks), labels.meshes[number]


def _compare(
    figures: PoseFigures,
    estimate: tuple[Rotation, NDArray[np.float32] | None],
    face: Face,
    rotation: Rotation,
    points: NDArray[np.float32],
) -> None:
    """Add the errors of one face against the teacher."""
    side = face.box.width
    name = next(name for name, (low, high) in SIZES_PX.items() if low <= side < high)
    figures.labels[name].append(_difference(estimate[0], rotation))
    if estimate[1] is not None:
        distances = np.hypot(*(estimate[1] - points[:, :2]).T)
        figures.points.append(float(distances.mean() / np.linalg.norm(points[68] - points[69])))


def _difference(first: Rotation, second: Rotation) -> tuple[float, float, float]:
    """Return the differences of yaw, pitch and roll in degrees."""
    one, other = to_pose(first), to_pose(second)
    angles = one.yaw - other.yaw, one.pitch - other.pitch, one.roll - other.roll
    yaw, pitch, roll = (math.degrees(math.remainder(angle, 2 * math.pi)) for angle in angles)
    return yaw, pitch, roll


def _can_turn(face: Face, rotation: Rotation) -> bool:
    pose = to_pose(rotation)
    return face.box.width >= MIN_TURNED_SIDE_PX and max(abs(pose.yaw), abs(pose.pitch)) <= math.radians(FRONTAL_DEG)


def _measure_turns(
    figures: Mapping[str, PoseFigures],
    methods: Mapping[str, PoseOf],
    detector: FaceDetector,
    image: Image,
    face: Face,
    mesh: Mesh,
    model: HeadModel,
) -> None:
    """Add the errors of a face's estimated changes when it is turned, or its photo rotated."""
    start = rotation_of(points_of(mesh), model.points)
    before = {name: method(image, face)[0] for name, method in methods.items()}
    for kind, angle, view, turn, middle in _views(image, mesh, model):
        found = _nearest(detector.detect(view, MIN_CONFIDENCE, 1), middle, face.box.width)
        true = _difference(turn @ start, start)[ANGLES.index(kind)]
        for name, method in methods.items():
            error = attention = float("nan")
            if found is not None:
                rotation, _ = method(view, found)
                error = _difference(rotation, before[name])[ANGLES.index(kind)] - true
                attention = attention_of(to_pose(rotation))
            figures[name].turns[kind][angle].append((error, attention))


def _views(
    image: Image, mesh: Mesh, model: HeadModel
) -> Iterator[tuple[str, int, Image, Rotation, NDArray[np.float64]]]:
    """Yield kind and degrees of each turn, the image after it, its rotation, and where the face is then."""
    middle = mesh[:, :2].mean(0).astype(float)
    for yaw, pitch in TURNS_DEG:
        turn = to_rotation(HeadPose(math.radians(yaw), math.radians(pitch), 0.0))
        view, turned_mesh = turned(image, mesh, turn, model.triangles)
        yield ("yaw", yaw, view, turn, turned_mesh[:, :2].mean(0)) if yaw else ("pitch", pitch, view, turn, middle)
    for roll in ROLLS_DEG:
        warp = cv2.getRotationMatrix2D(middle.tolist(), -roll, 1.0)
        rotated: Image = cv2.warpAffine(image, pixel_warp(warp), image.shape[1::-1])  # type: ignore[assignment]
        yield "roll", roll, rotated, to_rotation(HeadPose(0.0, 0.0, math.radians(roll))), middle


def _nearest(faces: Sequence[Face], middle: NDArray[np.float64], side: float) -> Face | None:
    """Return the face nearest to a point; None if there is none within half of ``side``."""
    distances = [float(np.hypot(*(np.array(face.box.centre) - middle))) for face in faces]
    if not distances or min(distances) > side / 2:
        return None
    return faces[distances.index(min(distances))]


def _time(figures: PoseFigures, network: FacePointsNetwork) -> None:
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    eyes_nose_mouth = np.array([(290, 220), (350, 220), (320, 255), (320, 285)], np.float32)
    face = Face(face_square(eyes_nose_mouth), 1.0, eyes_nose_mouth)
    figures.face_ms = median_ms(lambda: network(image, [face]))  # type: ignore[arg-type]


def _angles(rows: Sequence[tuple[float, float, float]]) -> dict[str, list[float]]:
    """Return median and 90th percentile of the absolute errors of each angle."""
    if not rows:
        return {}
    values = np.percentile(np.abs(rows), [50, 90], axis=0)
    return {name: values[:, column].tolist() for column, name in enumerate(ANGLES)}


def _spread(turns: Sequence[Turn]) -> dict[str, float]:
    """Return the share of found faces; of them bias, median and 90th percentile of the absolute errors, and the share
    that looks at the camera by its attention."""
    errors, attentions = np.array([turn for turn in turns if not math.isnan(turn[0])]).reshape(-1, 2).T
    if not len(errors):
        return {"found": 0.0}
    median, high = np.percentile(np.abs(errors), [50, 90]).tolist()
    figures = {"bias": float(np.median(errors)), "median": median, "p90": high}
    return {"found": len(errors) / len(turns), **figures, "looking": float((attentions >= 0.5).mean())}


def table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the summaries of methods as Markdown tables; errors in degrees as median / 90th percentile."""
    lines = ["| method | side of the face | faces | yaw | pitch | roll |", "| --- | --- | --- | --- | --- | --- |"]
    for name, row in figures.items():
        for size, errors in row["labels"].items():
            cells = [_pair(*errors[angle]) for angle in ANGLES if angle in errors]
            lines.append(f"| {name} | {size} | {errors['faces']} | {' | '.join(cells)} |")
    lines += ["", "| method | turned by | found | bias | error | looking |", "| --- | --- | --- | --- | --- | --- |"]
    for name, row in figures.items():
        for kind, by_angle in row["turns"].items():
            for angle, error in by_angle.items():
                cells = ["", "", ""]
                if error["found"]:
                    errors = _pair(error["median"], error["p90"])
                    cells = [f"{error['bias']:+.1f}", errors, f"{error['looking']:.2f}"]
                lines.append(f"| {name} | {kind} {angle}° | {error['found']:.2f} | {' | '.join(cells)} |")
    for name, row in figures.items():
        if row["points"]:
            median, high = row["points"]
            lines += ["", f"{name}: landmarks {median:.3f} / {high:.3f} pupil distances, {row['face_ms']:.2f} ms"]
    return "\n".join(lines)


def _pair(median: float, high: float) -> str:
    return f"{median:.1f} / {high:.1f}"
