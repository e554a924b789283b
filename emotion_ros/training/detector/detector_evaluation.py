"""Recall, precision, landmark error and time of a face detector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError, ImageError
from emotion_ros.inference.timing import median_ms
from emotion_ros.io.frames import PICTURES
from emotion_ros.io.pictures import read_picture
from emotion_ros.perception.detection import FaceDetector
from emotion_ros.training.detector.matching import CONFIDENCE_COLUMN, average_precision, match_faces
from emotion_ros.training.detector.object_kinds import FACES
from emotion_ros.training.detector.photos import STATE_COLUMN, Backgrounds, Photo, counted
from emotion_ros.training.detector.scenes import compose_scene
from emotion_ros.types import Face, Image

MIN_HEIGHTS_PX = (96, 48, 24, 16)
"""Recall and precision are given for faces of at least each of these heights."""

MIN_OVERLAP = 0.4
"""Intersection over union from which a face counts as found. Detectors differ in how much of a head their box holds."""

MIN_CONFIDENCE = 0.02
"""Confidence from which detections count for the average precision."""

MIN_EYE_DISTANCE_SHARE = 0.25
"""Distance of the eyes, as a share of the box's width, from which landmark errors are measured: those of a profile,
divided by a distance of almost nothing, would hide all others."""

SCENE_SEED = 7
"""First part of the seed of each scene; training uses others."""

WARM_UP_RUNS = 2
"""Runs before those that are timed."""


@dataclass(frozen=True)
class LabelledImage:
    """An image and its faces.

    ``image``: BGR, uint8, h × w × 3. ``faces``: n × 15, float32, pixels: x, y, width and height of the box; x and y of
    five landmarks (NaN if they are not labelled); state (see
    :data:`emotion_ros.training.detector.photos.STATE_COLUMN`).
    """

    image: Image
    faces: NDArray[np.float32]


@dataclass(frozen=True)
class Figures:
    """Figures of a detector on some images.

    ``recall``: by minimum height in pixels, share of the faces that are found (NaN if there are none). ``precision``:
    by minimum height of a detection, share that is a face. ``faces``: number of faces by minimum height. ``false``:
    number of detections that are no face. ``images``: number of images. ``average_precision``: over all confidences
    (NaN if there are no faces). ``landmark_error``: mean distance of eyes and nose tip from the labelled ones, in
    distances between the eyes; profiles are left out.
    """

    recall: dict[int, float]
    precision: dict[int, float]
    faces: dict[int, int]
    false: int
    images: int
    average_precision: float
    landmark_error: float


@dataclass
class _Tally:
    """One value per labelled face, or per detection, of all images."""

    face_heights: list[float] = field(default_factory=list)
    face_found: list[bool] = field(default_factory=list)
    detection_heights: list[float] = field(default_factory=list)
    detection_is_face: list[bool] = field(default_factory=list)
    landmark_errors: list[float] = field(default_factory=list)

    def add(self, detections: NDArray[np.float32], faces: NDArray[np.float32]) -> None:
        match, present = match_faces(detections, faces, MIN_OVERLAP), counted(faces)
        self.face_heights += present[:, 3].tolist()
        self.face_found += np.isin(np.arange(len(present)), match.face_index).tolist()
        self.detection_heights += match.detections[:, 3].tolist()
        self.detection_is_face += match.is_face.tolist()
        found = match.face_index[match.is_face]
        self.landmark_errors += _landmark_errors(match.detections[match.is_face], present[found])


def measure(detector: FaceDetector, images: Iterable[LabelledImage], confidence: float) -> Figures:
    """Run a detector on images and compare its detections with their faces.

    Args:
        detector: any face detector of this package.
        images: images with their faces.
        confidence: confidence from which a detection counts, for all figures except the average precision.
    """
    tally, matches = _Tally(), []
    for image in images:
        detections = _to_rows(detector.detect(image.image, MIN_CONFIDENCE, 1))
        matches.append(match_faces(detections, image.faces, MIN_OVERLAP))
        tally.add(detections[detections[:, CONFIDENCE_COLUMN] >= confidence], image.faces)
    face_heights, face_found = np.array(tally.face_heights), np.array(tally.face_found, bool)
    detection_heights, is_face = np.array(tally.detection_heights), np.array(tally.detection_is_face, bool)
    return Figures(
        {height: _share(face_found[face_heights >= height]) for height in MIN_HEIGHTS_PX},
        {height: _share(is_face[detection_heights >= height]) for height in MIN_HEIGHTS_PX},
        {height: int((face_heights >= height).sum()) for height in MIN_HEIGHTS_PX},
        int((~is_face).sum()),
        len(matches),
        average_precision(matches) if tally.face_heights else float("nan"),
        float(np.mean(tally.landmark_errors)) if tally.landmark_errors else float("nan"),
    )


def share_found(
    detector: FaceDetector, photos: Sequence[Photo], groups: Mapping[str, Mapping[str, str]], confidence: float
) -> dict[str, dict[str, float]]:
    """Return the share of photos with a detection, by kind of group and group.

    Args:
        detector: any face detector of this package.
        photos: of one face each.
        groups: see :func:`emotion_ros.training.photo_archive.read_groups`.
        confidence: confidence from which a detection counts.
    """
    found: dict[str, dict[str, list[bool]]] = {"all": {"all": []}}
    for photo in photos:
        is_found = bool(detector.detect(photo.image, confidence, 1))
        for kind, group in {"all": "all", **groups.get(photo.name, {})}.items():
            found.setdefault(kind, {}).setdefault(group, []).append(is_found)
    return {
        kind: {group: float(np.mean(values)) for group, values in sorted(by_group.items())}
        for kind, by_group in found.items()
    }


def milliseconds(detector: FaceDetector, width: int) -> float:
    """Return the median time for an image of noise, ``width`` × 3/4 ``width`` pixels."""
    image = np.random.default_rng(0).integers(0, 256, (width * 3 // 4, width, 3), np.uint8)
    for _ in range(WARM_UP_RUNS):
        detector.detect(image, 0.5, 1)
    return median_ms(lambda: detector.detect(image, 0.5, 1))


def scenes_of(photos: Sequence[Photo], backgrounds: Backgrounds, side: int, count: int) -> Iterator[LabelledImage]:
    """Yield ``count`` scenes of side × side pixels, always the same for the same photos and backgrounds."""
    for number in range(count):
        yield LabelledImage(*compose_scene(photos, backgrounds, side, np.random.default_rng((SCENE_SEED, number))))


def photos_of(photos: Sequence[Photo]) -> Iterator[LabelledImage]:
    """Yield photos as they are, with their true faces."""
    for photo in photos:
        yield LabelledImage(photo.image, photo.truth)


def read_yolo(folder: Path) -> Iterator[LabelledImage]:
    """Yield images with labels in YOLO's format.

    The labels of ``a/images/b.jpg`` are in ``a/labels/b.txt`` or ``a/images/b.txt``: a line per face with class, middle
    x and y, width and height as shares of the image.

    Raises:
        DatasetError: there are no pictures, or one or its labels cannot be read.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    if not paths:
        raise DatasetError(f"{folder}: expected pictures with labels of YOLO, found no picture")
    for path in paths:
        try:
            image = read_picture(path)
        except ImageError as error:
            raise DatasetError(f"{path}: {error}") from error
        parts = ["labels" if part == "images" else part for part in path.with_suffix(".txt").parts]
        labels = next((text for text in (Path(*parts), path.with_suffix(".txt")) if text.is_file()), None)
        if labels is None:
            raise DatasetError(f"{path}: expected its labels in {Path(*parts)}, found none")
        yield LabelledImage(image, _yolo_faces(labels, image.shape[1], image.shape[0]))


def _yolo_faces(labels: Path, width: int, height: int) -> NDArray[np.float32]:
    try:
        rows = [[float(value) for value in line.split()[1:5]] for line in labels.read_text().splitlines() if line]
        boxes = np.array(rows, np.float32).reshape(-1, 4) * np.array([width, height, width, height])
    except ValueError as error:
        raise DatasetError(f"{labels}: expected lines of class, x, y, width, height: {error}") from error
    faces = np.full((len(boxes), len(FACES.columns) + 1), np.nan, np.float32)
    faces[:, :4] = np.c_[boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]]
    faces[:, STATE_COLUMN] = 1
    return faces


def _to_rows(faces: Sequence[Face]) -> NDArray[np.float32]:
    """Return n × 15: box, eyes and nose tip, NaN for the corners of the mouth, confidence."""
    rows = np.full((len(faces), len(FACES.columns) + 1), np.nan, np.float32)
    for row, face in zip(rows, faces, strict=True):
        row[:4] = face.box.x, face.box.y, face.box.width, face.box.height
        row[4:10] = face.landmarks[:3].ravel()
        row[CONFIDENCE_COLUMN] = face.confidence
    return rows


def _landmark_errors(detections: NDArray[np.float32], faces: NDArray[np.float32]) -> list[float]:
    """Return the error of eyes and nose tip of each detection; none for profiles and faces without landmarks."""
    detected, labelled = detections[:, 4:10].reshape(-1, 3, 2), faces[:, 4:10].reshape(-1, 3, 2)
    eye_distance = np.hypot(*(labelled[:, 1] - labelled[:, 0]).T)
    errors = np.hypot(*(detected - labelled).transpose(2, 0, 1)).mean(1) / eye_distance
    is_frontal = eye_distance >= MIN_EYE_DISTANCE_SHARE * faces[:, 2]  # False for NaN
    return errors[is_frontal & np.isfinite(errors)].tolist()  # type: ignore[no-any-return]


def _share(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")
