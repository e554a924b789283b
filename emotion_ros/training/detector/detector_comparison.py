"""Compares face detectors on the same images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from emotion_ros.config import PipelineConfig
from emotion_ros.config.options import build
from emotion_ros.perception.loaded_models import create_face_detector
from emotion_ros.training.detector.detector_evaluation import (
    MIN_HEIGHTS_PX,
    LabelledImage,
    measure,
    milliseconds,
    photos_of,
    read_yolo,
    scenes_of,
)
from emotion_ros.training.detector.photos import read_backgrounds, read_photos

TIMED_WIDTHS_PX = (320, 640, 1280)
"""Widths of the images that are timed; their height is three quarters of the width."""

SCENE_COUNT, SCENE_SIDE_PX = 300, 640
"""Number and side of the scenes that are composed."""


def compare(names: Sequence[str], data: Path, backgrounds: str, confidence: float) -> list[dict[str, Any]]:
    """Measure each detector on each kind of image.

    Args:
        names: of :data:`emotion_ros.perception.detection.FACE_DETECTORS`, as ``name`` or ``name=model``.
        data: a folder with ``photos.zip``, whose held-out photos are used as they are and in scenes, or with labels in
            YOLO's format.
        backgrounds: folder of pictures without people for the scenes; empty: drawn shapes.
        confidence: confidence from which a detection counts.

    Returns:
        A row per detector and kind of image: ``detector``, ``pictures``, the fields of
        :class:`~emotion_ros.training.detector.detector_evaluation.Figures`, and ``ms`` by width.

    Raises:
        ConfigError: there is no such detector.
        DatasetError: the data cannot be read.
        ModelError: a model cannot be used.
    """
    kinds = _images(data, backgrounds)
    with _one_opencv_thread():
        return [row for name in names for row in _measure_all(name, kinds, confidence)]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures as a Markdown table; the columns of heights have recall / precision."""
    heights = [f"≥ {height} px" for height in MIN_HEIGHTS_PX]
    times = [f"ms at {width}" for width in TIMED_WIDTHS_PX]
    columns = ["detector", "pictures", *heights, "false", "AP", "landmarks", *times]
    return "\n".join(map(_line, [columns, ["---"] * len(columns), *map(_cells, rows)]))


def _images(data: Path, backgrounds: str) -> dict[str, list[LabelledImage]]:
    if not (data / "photos.zip").is_file():
        return {"pictures": list(read_yolo(data))}
    photos = read_photos(data, only_held_out=True)
    scenes = scenes_of(photos, read_backgrounds(backgrounds), SCENE_SIDE_PX, SCENE_COUNT)
    return {"photos": list(photos_of(photos)), "scenes": list(scenes)}


def _measure_all(name: str, kinds: Mapping[str, Sequence[LabelledImage]], confidence: float) -> list[dict[str, Any]]:
    detector_name, _, model = name.partition("=")
    settings = {"face_detector": detector_name, "face_model": model, "threads": 1}
    detector = create_face_detector(build(PipelineConfig, settings))
    times = {width: milliseconds(detector, width) for width in TIMED_WIDTHS_PX}
    rows = []
    for kind, images in kinds.items():
        figures = measure(detector, images, confidence)
        rows.append({"detector": detector_name, "pictures": kind, **dataclasses.asdict(figures), "ms": times})
    detector.close()
    return rows


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Run OpenCV, and so YuNet, on one thread: the other detectors are timed on one too."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _cells(row: Mapping[str, Any]) -> list[str]:
    pairs = (f"{_share(row['recall'][height])} / {_share(row['precision'][height])}" for height in MIN_HEIGHTS_PX)
    figures = [str(row["false"]), f"{row['average_precision']:.3f}", _share(row["landmark_error"])]
    return [
        row["detector"],
        row["pictures"],
        *pairs,
        *figures,
        *(f"{row['ms'][width]:.1f}" for width in TIMED_WIDTHS_PX),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
