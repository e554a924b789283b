"""How many faces a detector finds, and how many that are none."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError
from emotion_ros.io.frames import PICTURES
from emotion_ros.perception.detection import FaceDetector
from emotion_ros.training.detector.photos import Backgrounds, Photo
from emotion_ros.training.detector.scenes import scene
from emotion_ros.types import Face, Image

HEIGHTS = (96, 48, 24, 16)
"""Least heights of faces, pixels, that figures are given for."""

LEAST_OVERLAP = 0.4
"""Intersection over union from which a face counts as found: detectors differ in how much of a head they call face."""

LOWEST = 0.02
"""Confidence from which detections count for the average precision."""

SEED = 7
"""Of the scenes that detectors are compared on; training uses others."""


@dataclass(frozen=True)
class Match:
    """Of one image: the rows found that count, the surest first; whether each is a face; the place in the truth of the
    face that it found, or −1; and how many true faces there are."""

    found: NDArray[np.float32]
    right: NDArray[np.bool_]
    which: NDArray[np.int64]
    there: int


def overlaps(found: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of boxes (x, y, width, height, …), found × truth."""
    low = np.maximum(found[:, None, :2], truth[None, :, :2])
    high = np.minimum(found[:, None, :2] + found[:, None, 2:4], truth[None, :, :2] + truth[None, :, 2:4])
    shared = np.clip(high - low, 0, None).prod(-1)
    union = found[:, None, 2:4].prod(-1) + truth[None, :, 2:4].prod(-1) - shared
    return shared / np.maximum(union, 1e-6)  # type: ignore[no-any-return]


def matches(
    found: NDArray[np.float32], truth: NDArray[np.float32], overlap: float, doubtful: NDArray[np.float32]
) -> Match:
    """Which of the faces found are there; each true face is found once.

    Args:
        found: n × 15: boxes first, the confidence last.
        truth: faces that count, boxes first.
        overlap: least intersection over union with a true face.
        doubtful: faces that count neither as found nor as missed.
    """
    found = found[np.argsort(-found[:, 14], kind="stable")]
    shares, beside = overlaps(found, truth), overlaps(found, doubtful)
    which, counts = [], []
    taken: set[int] = set()
    for row, others in zip(shares, beside, strict=True):
        free = [index for index in np.argsort(-row).tolist() if index not in taken and row[index] >= overlap]
        which.append(free[0] if free else -1)
        taken.update(free[:1])
        counts.append(bool(free) or not (others >= overlap / 2).any())
    kept, places = np.array(counts, bool), np.array(which, int)
    return Match(found[kept], places[kept] >= 0, places[kept], len(truth))


def average_precision(tried: Sequence[Match]) -> float:
    """Area under precision over recall, precision made monotonous as PASCAL VOC does since 2010."""
    total = sum(match.there for match in tried)
    scores = np.concatenate([match.found[:, 14] for match in tried] or [np.zeros(0, np.float32)])
    if not total or not len(scores):
        return 0.0
    right = np.concatenate([match.right for match in tried])[np.argsort(-scores, kind="stable")]
    precision = np.maximum.accumulate((np.cumsum(right) / np.arange(1, len(right) + 1))[::-1])[::-1]
    return float((precision * right).sum() / total)


@dataclass(frozen=True)
class Picture:
    """An image (BGR, uint8) and its faces, n × 15: box, landmarks (NaN where nobody gave them), and 1, or 0 for a face
    that counts neither as found nor as missed."""

    image: Image
    faces: NDArray[np.float32]


@dataclass(frozen=True)
class Figures:
    """What a detector does on some pictures.

    ``recall`` per least height of a face in pixels, 0…1 (NaN where there are none so high); ``faces`` how many there
    are. ``precision`` per least height of what was found. ``false``: how many of the found are no faces.
    ``average_precision`` over all confidences. ``landmark_error``: mean distance of eyes and nose from where they are,
    as a share of the distance of the eyes.
    """

    recall: dict[int, float]
    precision: dict[int, float]
    faces: dict[int, int]
    false: int
    average_precision: float
    landmark_error: float


def measure(detector: FaceDetector, pictures: Iterable[Picture], confidence: float) -> Figures:
    """Run a detector over pictures.

    Args:
        detector: any of this package.
        pictures: images with their faces.
        confidence: from which a detection counts, but for the average precision.
    """
    tried, there, seen, found, right, errors = [], [], [], [], [], []
    for picture in pictures:
        truth, doubtful = picture.faces[picture.faces[:, 14] == 1], picture.faces[picture.faces[:, 14] == 0]
        rows = _rows(detector.detect(picture.image, LOWEST, 1))
        tried.append(matches(rows, truth, LEAST_OVERLAP, doubtful))
        sure = matches(rows[rows[:, 14] >= confidence], truth, LEAST_OVERLAP, doubtful)
        there += truth[:, 3].tolist()
        seen += [index in sure.which for index in range(len(truth))]
        found += sure.found[:, 3].tolist()
        right += sure.right.tolist()
        errors += _errors(sure.found[sure.right], truth[sure.which[sure.right]])
    heights, hits = np.array(there), np.array(seen, bool)
    sizes, fine = np.array(found), np.array(right, bool)
    return Figures(
        {least: _share(hits[heights >= least]) for least in HEIGHTS},
        {least: _share(fine[sizes >= least]) for least in HEIGHTS},
        {least: int((heights >= least).sum()) for least in HEIGHTS},
        int((~fine).sum()),
        average_precision(tried),
        float(np.mean(errors)) if errors else float("nan"),
    )


def milliseconds(detector: FaceDetector, width: int, rounds: int = 20) -> float:
    """Median time for an image of ``width`` × three quarters of it."""
    image = np.random.default_rng(0).integers(0, 256, (width * 3 // 4, width, 3), np.uint8)
    times = []
    for _ in range(rounds + 2):
        begin = time.perf_counter()
        detector.detect(image, 0.5, 1)
        times.append(1000 * (time.perf_counter() - begin))
    return float(np.median(times[2:]))


def scenes_of(photos: Sequence[Photo], backgrounds: Backgrounds, side: int, count: int) -> Iterator[Picture]:
    """Scenes composed of photos, always the same."""
    for number in range(count):
        yield Picture(*scene(photos, backgrounds, side, np.random.default_rng((SEED, number))))


def photos_of(photos: Sequence[Photo]) -> Iterator[Picture]:
    """Photos as they are."""
    for photo in photos:
        yield Picture(photo.image, np.c_[photo.faces, np.ones(len(photo.faces))].astype(np.float32))


def yolo(folder: Path) -> Iterator[Picture]:
    """Pictures with labels as YOLO has them: ``a/labels/b.txt`` for ``a/images/b.jpg``, or ``b.txt`` beside it; a line
    per face: class, middle x and y, width and height as shares of the image.

    Raises:
        DatasetError: there are no pictures, or one or its labels cannot be read.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
    if not paths:
        raise DatasetError(f"{folder}: expected pictures with labels of YOLO, found no picture")
    for path in paths:
        image = cv2.imread(str(path))
        parts = ["labels" if part == "images" else part for part in path.with_suffix(".txt").parts]
        labels = next((each for each in (Path(*parts), path.with_suffix(".txt")) if each.is_file()), None)
        if image is None or labels is None:
            raise DatasetError(f"{path}: expected a picture that can be read, and its labels in {Path(*parts)}")
        try:
            rows = [[float(value) for value in line.split()[1:5]] for line in labels.read_text().splitlines() if line]
            boxes = np.array(rows, np.float32).reshape(-1, 4) * (np.array(image.shape)[[1, 0, 1, 0]])
        except ValueError as error:
            raise DatasetError(f"{labels}: expected lines of class, x, y, width, height: {error}") from error
        faces = np.full((len(boxes), 15), np.nan, np.float32)
        faces[:, :4] = np.c_[boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]]
        faces[:, 14] = 1
        yield Picture(image, faces)  # type: ignore[arg-type]


def _rows(faces: Sequence[Face]) -> NDArray[np.float32]:
    rows = np.full((len(faces), 15), np.nan, np.float32)
    for row, face in zip(rows, faces, strict=True):
        row[:4] = face.box.x, face.box.y, face.box.width, face.box.height
        row[4:10] = face.landmarks[:3].ravel()
        row[14] = face.confidence
    return rows


def _errors(found: NDArray[np.float32], truth: NDArray[np.float32]) -> list[float]:
    """Of eyes and nose of each face that was found, beside that face; none where the truth has no landmarks."""
    points, wanted = found[:, 4:10].reshape(-1, 3, 2), truth[:, 4:10].reshape(-1, 3, 2)
    eyes = np.hypot(*(wanted[:, 1] - wanted[:, 0]).T)
    errors = np.hypot(*(points - wanted).transpose(2, 0, 1)).mean(1) / eyes
    return errors[np.isfinite(errors)].tolist()  # type: ignore[no-any-return]


def _share(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")
