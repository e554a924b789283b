"""How much of a face a model wants to see: the crop's margin and shift, by measurement.

Training pictures are crops that somebody else made, tight or wide. On the robot the crop is made around the landmarks
that a detector found. Here both meet: each picture is enlarged into a wider canvas, a face detector finds the face in
it, and the model classifies crops of several margins and shifts. The best crop is the one the model is most often
right on, over all detectors.
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
from emotion_ros.perception.loaded_models import create_face_detector
from emotion_ros.training.data.datasets import check_classes, read_split
from emotion_ros.training.data.region_crop import View
from emotion_ros.types import Box, Image, Points

SIDE, BORDER = 240, 120
"""Pixels of the enlarged picture, and of the border around it that repeats its edge: faces a detector finds well."""

MARGINS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
SHIFTS = (-0.2, -0.15, -0.1, -0.05, 0.0, 0.05)

CONFIDENCE, SMALLEST = 0.5, 24
"""Of a face that counts: the defaults of the pipeline."""


def measure_crop(model: Path, data: Path, split: str, detectors: Sequence[str], pictures: int) -> dict[str, Any]:
    """Accuracy for each margin and shift on up to ``pictures`` of a split.

    Args:
        model: ONNX file whose region is ``face``.
        data: see :func:`emotion_ros.training.data.datasets.read_split`.
        split: ``train``, ``val`` or ``test``.
        detectors: names of face detectors, or ``name=model`` for one that needs a model file.
        pictures: spread evenly over the split.

    Returns:
        ``margin`` and ``shift`` (the best), ``whole`` (accuracy on the pictures as they are), ``faces`` per
        detector, ``margins``, ``shifts``, and ``accuracy`` per detector (rows are margins, columns are shifts).

    Raises:
        ModelError: the model, or a detector's, cannot be used.
        DatasetError: the data cannot be used, or a detector finds no face in them.
    """
    classifier = EmotionClassifier(model, "cpu")
    images, truth = _pictures(classifier, data, split, pictures)
    grids, faces = {}, {}
    for name in detectors:
        found = _single_faces(name, images)
        if not found:
            raise DatasetError(f"{data}: expected faces, {name} finds none in {len(images)} pictures of {split}")
        grids[name] = _accuracies(classifier, images, found, truth)
        faces[name] = len(found)
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
    """Accuracy on tilted faces, with and without turning the crop so that the eyes are level.

    Args:
        model, data, split, detectors, pictures: as of :func:`measure_crop`.
        tilts: degrees; each picture is turned to both sides.

    Returns:
        Per detector and tilt: ``faces`` (share of the pictures in which one face was found), and the accuracy on those
        as they ``stand`` and ``aligned``.

    Raises:
        ModelError: the model, or a detector's, cannot be used.
        DatasetError: the data cannot be used.
    """
    classifier = EmotionClassifier(model, "cpu")
    images, truth = _pictures(classifier, data, split, pictures)
    about, rows = classifier.contract, []
    for name in detectors:
        for tilt in tilts:
            right: dict[str, list[bool]] = {"stand": [], "aligned": []}
            for side in sorted({tilt, -tilt}):
                turned = [_tilted(image, side) for image in images]
                found = _single_landmarks(name, turned)
                for way, turn in (("stand", 0), ("aligned", 1)):
                    made = [
                        crop_square(turned[index], face_square(points), about.margin, about.shift, turn * roll(points))
                        for index, points in found.items()
                    ]
                    if made:
                        right[way] += (_predict(classifier, made) == truth[list(found)]).tolist()
            total = len(images) * len({tilt, -tilt})
            shares = {way: round(float(np.mean(each)), 4) if each else float("nan") for way, each in right.items()}
            rows.append({"detector": name, "tilt": tilt, "faces": round(len(right["stand"]) / total, 4), **shares})
    return rows


def _pictures(
    classifier: EmotionClassifier, data: Path, split: str, pictures: int
) -> tuple[list[Image], NDArray[np.int64]]:
    """Enlarged pictures, spread evenly over a split, and their classes."""
    samples = read_split(data, split, View(SIDE, "bgr", crop="no"))
    check_classes(f"{data}, {split}", samples.labels, classifier.contract.labels)
    chosen = np.unique(np.linspace(0, len(samples) - 1, pictures).astype(int))
    images = [np.ascontiguousarray(samples.pixels[index].transpose(1, 2, 0)) for index in chosen]
    classes = [classifier.contract.labels.index(samples.labels[samples.classes[index]]) for index in chosen]
    return images, np.array(classes)


def _tilted(image: Image, degrees: float) -> Image:
    """A picture in the middle of a wider canvas, turned clockwise."""
    canvas = cv2.copyMakeBorder(image, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
    side = len(canvas)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), -degrees, 1.0)
    return cv2.warpAffine(canvas, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def _single_faces(name: str, images: Sequence[Image]) -> dict[int, Box]:
    """The face square, in pixels of the picture, of each picture in which a detector sees exactly one face."""
    canvases = [_tilted(image, 0.0) for image in images]
    return {
        index: face_square(points - np.float32(BORDER)) for index, points in _single_landmarks(name, canvases).items()
    }


def _single_landmarks(name: str, canvases: Sequence[Image]) -> dict[int, Points]:
    """The landmarks of the face of each image in which a detector sees exactly one."""
    backend, _, file = name.partition("=")
    detector = create_face_detector(build(PipelineConfig, {"face_detector": backend, "face_model": file}))
    found = {index: detector.detect(canvas, CONFIDENCE, SMALLEST) for index, canvas in enumerate(canvases)}
    detector.close()
    return {index: faces[0].landmarks for index, faces in found.items() if len(faces) == 1}


def _accuracies(
    classifier: EmotionClassifier, images: Sequence[Image], squares: dict[int, Box], truth: NDArray[np.int64]
) -> NDArray[np.float64]:
    right = truth[list(squares)]
    grid = np.zeros((len(MARGINS), len(SHIFTS)))
    for row, margin in enumerate(MARGINS):
        for column, shift in enumerate(SHIFTS):
            crops = [crop_square(images[index], square, margin, shift) for index, square in squares.items()]
            grid[row, column] = (_predict(classifier, crops) == right).mean()
    return grid


def _predict(classifier: EmotionClassifier, crops: Sequence[Image]) -> NDArray[np.int64]:
    parts = [classifier.classify(crops[start : start + 64], "folder") for start in range(0, len(crops), 64)]
    return np.asarray(np.concatenate(parts).argmax(1))
