"""Search for the crop margin and shift with the best accuracy.

Training pictures are crops by somebody else, tight or wide; on the robot a crop is made from the landmarks of a face
detector. The search pastes each picture into a wider canvas, detects the face and classifies crops of several margins
and shifts. The best pair has the highest mean accuracy over all detectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.config import PipelineConfig
from emotion_ros.config.options import build
from emotion_ros.errors import DatasetError
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.emotion.preprocess import crop_square, face_square, roll
from emotion_ros.perception.face_points import refined
from emotion_ros.perception.loaded_models import create_face_detector, create_face_points
from emotion_ros.training.data.datasets import check_classes, read_split
from emotion_ros.training.data.region_crop import View
from emotion_ros.types import Box, Image, Points

PICTURE_SIZE_PX, BORDER_PX = 240, 120
"""Side of the enlarged picture, and width of the border around it that repeats its edge. Detectors find such faces."""

MARGINS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
SHIFTS = (-0.2, -0.15, -0.1, -0.05, 0.0, 0.05)

MIN_CONFIDENCE, MIN_FACE_SIZE_PX = 0.5, 24
"""Of a detected face: the defaults of the pipeline."""

BATCH_SIZE = 64
"""Crops that are classified at once."""


def measure_crop(model: Path, data: Path, split: str, detectors: Sequence[str], pictures: int) -> dict[str, Any]:
    """Measure the accuracy for each margin and shift.

    Args:
        model: ONNX file whose region is ``face``.
        data: see :func:`emotion_ros.training.data.datasets.read_split`.
        split: ``train``, ``val`` or ``test``.
        detectors: names of face detectors, or ``name=model`` for one that needs a model file.
        pictures: largest number of pictures, evenly spaced in the split.

    Returns:
        ``margin`` and ``shift`` (the best), ``whole`` (accuracy on the pictures without detection), ``faces`` (number
        per detector), ``margins``, ``shifts``, and ``accuracy`` per detector (rows are margins, columns are shifts).

    Raises:
        ModelError: the classifier's or a detector's model cannot be used.
        DatasetError: the data cannot be used, or a detector finds no face in them.
    """
    classifier = EmotionClassifier(model, "cpu")
    images, truth = _pictures(classifier, data, split, pictures)
    grids, faces = {}, {}
    for name in detectors:
        squares = _single_faces(name, images)
        if not squares:
            raise DatasetError(f"{data}: expected faces, {name} finds none in {len(images)} pictures of {split}")
        grids[name] = _accuracies(classifier, images, squares, truth)
        faces[name] = len(squares)
    mean = np.mean(list(grids.values()), axis=0)
    row, column = np.unravel_index(int(mean.argmax()), mean.shape)
    return {
        "model": classifier.name,
        "split": split,
        "pictures": len(images),
        "margin": MARGINS[int(row)],
        "shift": SHIFTS[int(column)],
        "whole": round(float((_predict(classifier, images) == truth).mean()), 4),
        "faces": faces,
        "margins": MARGINS,
        "shifts": SHIFTS,
        "accuracy": {name: grid.round(4).tolist() for name, grid in grids.items()},
    }


def measure_alignment(
    model: Path, data: Path, split: str, detectors: Sequence[str], pictures: int, tilts: Sequence[float]
) -> list[dict[str, Any]]:
    """Measure the accuracy on tilted faces, with and without rotating the crop so that the eyes are level.

    Args:
        model, data, split, detectors, pictures: see :func:`measure_crop`.
        tilts: degrees; each picture is rotated by them to both sides.

    Returns:
        A row per detector and tilt: ``faces`` (share of the pictures with exactly one detected face), and the accuracy
        on these ``upright`` (crops that are not rotated) and ``aligned``.

    Raises:
        ModelError: the classifier's or a detector's model cannot be used.
        DatasetError: the data cannot be used.
    """
    classifier = EmotionClassifier(model, "cpu")
    images, truth = _pictures(classifier, data, split, pictures)
    return [_alignment(classifier, name, tilt, images, truth) for name in detectors for tilt in tilts]


def _alignment(
    classifier: EmotionClassifier, detector: str, tilt: float, images: Sequence[Image], truth: NDArray[np.int64]
) -> dict[str, Any]:
    correct: dict[str, list[bool]] = {"upright": [], "aligned": []}
    angles = sorted({tilt, -tilt})
    for angle in angles:
        rotated = [_tilted(image, angle) for image in images]
        landmarks = _single_landmarks(detector, rotated)
        for name, predictions in _predict_rotated(classifier, rotated, landmarks).items():
            correct[name] += (predictions == truth[list(landmarks)]).tolist()
    shares = {name: round(float(np.mean(each)), 4) if each else None for name, each in correct.items()}
    faces = round(len(correct["upright"]) / (len(images) * len(angles)), 4)
    return {"detector": detector, "tilt": tilt, "faces": faces, **shares}


def _predict_rotated(
    classifier: EmotionClassifier, images: Sequence[Image], landmarks: dict[int, Points]
) -> dict[str, NDArray[np.int64]]:
    """Classify the face of each image, in a crop that is not rotated and in one with level eyes."""
    if not landmarks:
        return {}
    margin, shift = classifier.metadata.margin, classifier.metadata.shift
    return {
        name: _predict(
            classifier,
            [
                crop_square(images[index], face_square(points), margin, shift, roll(points) if aligned else 0.0)
                for index, points in landmarks.items()
            ],
        )
        for name, aligned in (("upright", False), ("aligned", True))
    }


def _pictures(
    classifier: EmotionClassifier, data: Path, split: str, pictures: int
) -> tuple[list[Image], NDArray[np.int64]]:
    """Return enlarged pictures, evenly spaced in a split, and their classes."""
    samples = read_split(data, split, View(PICTURE_SIZE_PX, "bgr", crop="no"))
    labels = classifier.metadata.labels
    check_classes(f"{data}, {split}", samples.labels, labels)
    chosen = np.unique(np.linspace(0, len(samples) - 1, pictures).astype(int))
    images = [np.ascontiguousarray(samples.pixels[index].transpose(1, 2, 0)) for index in chosen]
    classes = [labels.index(samples.labels[samples.classes[index]]) for index in chosen]
    return images, np.array(classes)


def _tilted(image: Image, degrees: float) -> Image:
    """Rotate a picture clockwise in the middle of a wider canvas."""
    canvas = cv2.copyMakeBorder(image, BORDER_PX, BORDER_PX, BORDER_PX, BORDER_PX, cv2.BORDER_REPLICATE)
    side = len(canvas)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), -degrees, 1.0)
    return cv2.warpAffine(canvas, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def _single_faces(name: str, images: Sequence[Image]) -> dict[int, Box]:
    """Return index and face square (pixels of the picture) of each picture with exactly one detected face."""
    canvases = [_tilted(image, 0.0) for image in images]
    return {
        index: face_square(points - np.float32(BORDER_PX))
        for index, points in _single_landmarks(name, canvases).items()
    }


def _single_landmarks(name: str, canvases: Sequence[Image]) -> dict[int, Points]:
    """Return index and landmarks (pixels of the canvas) of each canvas with exactly one detected face.

    The landmarks are those of the face landmark network, as at run time.
    """
    backend, _, file = name.partition("=")
    config = build(PipelineConfig, {"face_detector": backend, "face_model": file})
    detector, network = create_face_detector(config), create_face_points(config)
    landmarks = {}
    for index, canvas in enumerate(canvases):
        found = detector.detect(canvas, MIN_CONFIDENCE, MIN_FACE_SIZE_PX)
        if len(found) == 1:
            landmarks[index] = refined(found[0], network(canvas, found)[0]).landmarks
    detector.close()
    return landmarks


def _accuracies(
    classifier: EmotionClassifier, images: Sequence[Image], squares: dict[int, Box], truth: NDArray[np.int64]
) -> NDArray[np.float64]:
    expected = truth[list(squares)]
    grid = np.zeros((len(MARGINS), len(SHIFTS)))
    for row, margin in enumerate(MARGINS):
        for column, shift in enumerate(SHIFTS):
            crops = [crop_square(images[index], square, margin, shift) for index, square in squares.items()]
            grid[row, column] = (_predict(classifier, crops) == expected).mean()
    return grid


def _predict(classifier: EmotionClassifier, crops: Sequence[Image]) -> NDArray[np.int64]:
    starts = range(0, len(crops), BATCH_SIZE)
    parts = [classifier.classify(crops[start : start + BATCH_SIZE]) for start in starts]
    return np.asarray(np.concatenate(parts).argmax(1))
