"""Measures hand detectors on labelled, annotated and empty photos."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emotion_ros.config.package_files import default_gestures
from emotion_ros.errors import DatasetError
from emotion_ros.inference.timing import median_ms
from emotion_ros.perception.detection import HandDetector
from emotion_ros.perception.gesture_rules import Gestures, read_gestures
from emotion_ros.perception.gestures import HandObservation, palm_length, recognize_gesture
from emotion_ros.training.csv_table import ENCODING
from emotion_ros.training.detector.photos import is_held_out
from emotion_ros.training.hands.hand_photos import LABELS, PhotoHands, read_labels
from emotion_ros.training.photo_archive import ARCHIVE_ERRORS, read_archive, read_picture
from emotion_ros.types import Box, Hand, Image, Points

MIN_OVERLAP = 0.4
"""Intersection over union of the landmarks' boxes from which a hand is found."""

MIN_PALM_WIDTH = 0.5
"""Lower limit of a palm's width in palm lengths, for hands that are seen from the edge."""

ANNOTATED = "boxes.csv"
"""File with the hands of ``images.zip`` in pixels: ``file``, ``gesture``, ``xmin``, ``ymin``, ``xmax``, ``ymax``."""

HINTS = "sources.csv"
"""Optional file beside ``photos.zip`` with columns ``file`` and ``hint``: the gesture that a photo was taken for."""


@dataclass
class HandFigures:
    """Figures of a detector.

    Attributes:
        found: by folder of the archive: for each of the teacher's hands, whether it was found.
        errors: mean distance of the landmarks of each found hand from the teacher's, in palm widths.
        sides: for each found hand, whether its side is the teacher's.
        same_gesture: for each found hand, whether the rules recognize the same gesture as in the teacher's landmarks.
        annotated: for each annotated box, whether the middle of a detected hand lies in it.
        gestures: annotated gesture to the recognized ones of the hands in its boxes; hint to those of all hands of its
            photos.
        empty_photos: number of photos without hands, and ``false_hands``: hands detected in them.
        image_ms: median time to search an image of 640 × 480, and ``tracked_ms``: for a tracked hand in it.
    """

    found: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    errors: list[float] = field(default_factory=list)
    sides: list[bool] = field(default_factory=list)
    same_gesture: list[bool] = field(default_factory=list)
    annotated: list[bool] = field(default_factory=list)
    gestures: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    empty_photos: int = 0
    false_hands: int = 0
    image_ms: float = float("nan")
    tracked_ms: float = float("nan")

    def summary(self) -> dict[str, Any]:
        """Return the figures as shares, medians and counts; NaN for what was not measured."""
        everything = [found for of_folder in self.found.values() for found in of_folder]
        return {
            "hands": len(everything),
            "found": _mean(everything),
            "found_by_folder": {name: [len(of_folder), _mean(of_folder)] for name, of_folder in self.found.items()},
            "landmark_error": float(np.median(self.errors)) if self.errors else float("nan"),
            "right_side": _mean(self.sides),
            "same_gesture": _mean(self.same_gesture),
            "annotated": len(self.annotated),
            "annotated_found": _mean(self.annotated),
            "gestures": {name: dict(row.most_common()) for name, row in self.gestures.items()},
            "empty_photos": self.empty_photos,
            "false_per_100": 100 * self.false_hands / self.empty_photos if self.empty_photos else float("nan"),
            "image_ms": self.image_ms,
            "tracked_ms": self.tracked_ms,
        }


def measure_hands(detector: HandDetector, folders: Sequence[Path], every_photo_of: str = "") -> HandFigures:
    """Run a detector on the photos of folders.

    Args:
        detector: any hand detector of this package.
        folders: each with ``photos.zip`` and :data:`LABELS`, whose held-out photos are measured; with ``photos.zip``
            only, whose photos show no hands; or with ``images.zip`` and :data:`ANNOTATED`.
        every_photo_of: folder of the archives whose photos are all measured, and no others: one without which the
            detector was trained; with the gestures by :data:`HINTS`. Empty: the held-out photos.

    Raises:
        DatasetError: a file is missing or cannot be read.
    """
    figures, gestures = HandFigures(), read_gestures(default_gestures())
    for folder in folders:
        if (folder / ANNOTATED).is_file() and (folder / "images.zip").is_file():
            _measure_annotated(detector, folder, gestures, figures)
        elif (folder / LABELS).is_file():
            _measure_labelled(detector, folder, every_photo_of, gestures, figures)
        else:
            for _, image in read_archive(folder / "photos.zip"):
                figures.empty_photos += 1
                figures.false_hands += len(detector.detect(image))
    return figures


def _measure_labelled(
    detector: HandDetector, folder: Path, every_photo_of: str, gestures: Gestures, figures: HandFigures
) -> None:
    labels = read_labels(folder / LABELS)
    hints = _read_hints(folder / HINTS) if every_photo_of else {}
    for name, image in read_archive(folder / "photos.zip"):
        source = name.split("/")[0] if "/" in name else folder.name
        is_measured = source == every_photo_of if every_photo_of else is_held_out(name)
        if name in labels and is_measured and labels[name].points:
            hands = detector.detect(image)
            if name in hints:
                figures.gestures[hints[name]].update(_gesture(hand.landmarks, gestures) for hand in hands)
            _compare(hands, labels[name], source, gestures, figures)
            if np.isnan(figures.tracked_ms) and hands:
                _time(detector, image, hands, figures)


def _read_hints(path: Path) -> Mapping[str, str]:
    """Return the hint of each photo; none if there is no such file."""
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding=ENCODING) as file:
            return {row["file"]: row["hint"] for row in csv.DictReader(file)}
    except (KeyError, OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"{path}: expected columns file and hint, cannot read them: {error!r}") from error


def _compare(hands: Sequence[Hand], labels: PhotoHands, source: str, gestures: Gestures, figures: HandFigures) -> None:
    """Add the hands of one photo to the figures."""
    for points, is_right in zip(labels.points, labels.is_right, strict=True):
        best = max(hands, key=lambda hand: _bounds(hand.landmarks).overlap(_bounds(points)), default=None)
        found = best is not None and _bounds(best.landmarks).overlap(_bounds(points)) >= MIN_OVERLAP
        figures.found[source].append(found)
        if best is not None and found:
            distances = np.hypot(*(best.landmarks - points).T)
            figures.errors.append(float(distances.mean()) / palm_width(points))
            figures.sides.append((best.side == "right") == is_right)
            figures.same_gesture.append(_gesture(best.landmarks, gestures) == _gesture(points, gestures))


def _time(detector: HandDetector, image: Image, hands: Sequence[Hand], figures: HandFigures) -> None:
    large = cv2.resize(image, (640, 480))
    hands = detector.detect(large)  # type: ignore[arg-type]
    figures.image_ms = median_ms(lambda: detector.detect(large))  # type: ignore[arg-type]
    if hands:
        figures.tracked_ms = median_ms(lambda: detector.detect(large, hands[:1]))  # type: ignore[arg-type]


def _gesture(points: Points, gestures: Gestures) -> str:
    return recognize_gesture(HandObservation(points), gestures)[0]


def _measure_annotated(detector: HandDetector, folder: Path, gestures: Gestures, figures: HandFigures) -> None:
    for image, boxes in _annotated(folder):
        hands = detector.detect(image)
        for gesture, box in boxes:
            inside = [hand for hand in hands if _contains(box, hand.box.centre)]
            figures.annotated.append(bool(inside))
            for hand in inside:
                figures.gestures[gesture][_gesture(hand.landmarks, gestures)] += 1


def _annotated(folder: Path) -> Iterator[tuple[Image, list[tuple[str, Box]]]]:
    """Yield the images of an archive with the gesture and the box of each hand."""
    boxes: dict[str, list[tuple[str, Box]]] = defaultdict(list)
    try:
        with (folder / ANNOTATED).open(newline="") as file:
            for row in csv.DictReader(file):
                left, top, right, bottom = (float(row[edge]) for edge in ("xmin", "ymin", "xmax", "ymax"))
                boxes[row["file"]].append((row["gesture"], Box(left, top, right - left, bottom - top)))
        with zipfile.ZipFile(folder / "images.zip") as archive:
            for name, of_image in sorted(boxes.items()):
                yield read_picture(archive, name), of_image
    except (KeyError, TypeError, *ARCHIVE_ERRORS) as error:
        raise DatasetError(f"{folder}: expected images.zip and {ANNOTATED}, cannot read them: {error!r}") from error


def palm_width(points: Points) -> float:
    """Return the distance between the knuckles of index and little finger, pixels; at least half the palm's length."""
    width = float(np.hypot(*(points[5] - points[17])))
    return max(width, MIN_PALM_WIDTH * palm_length(points))


def table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the summaries of detectors as a Markdown table, and what each recognized of each gesture."""
    lines = [
        "| detector | hands | found | landmark error | side | gesture | annotated | found | false per 100 | ms "
        "| ms, tracked |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in figures.items():
        lines.append(
            f"| {name} | {row['hands']} | {row['found']:.3f} | {row['landmark_error']:.3f} | {row['right_side']:.3f} | "
            f"{row['same_gesture']:.3f} | "
            f"{row['annotated']} | {row['annotated_found']:.3f} | {row['false_per_100']:.1f} | {row['image_ms']:.1f} | "
            f"{row['tracked_ms']:.1f} |"
        )
    for name, row in figures.items():
        lines += ["", f"{name}, found by folder: {row['found_by_folder']}"]
        lines += [f"{name}, {gesture}: {recognized}" for gesture, recognized in sorted(row["gestures"].items())]
    return "\n".join(lines)


def _bounds(points: Points) -> Box:
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    return Box(left, top, right - left, bottom - top)


def _contains(box: Box, point: tuple[float, float]) -> bool:
    return box.x <= point[0] <= box.x + box.width and box.y <= point[1] <= box.y + box.height


def _mean(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")
