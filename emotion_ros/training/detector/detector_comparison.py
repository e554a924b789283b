"""Face detectors side by side on the same pictures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from emotion_ros.config import PipelineConfig
from emotion_ros.config.options import build
from emotion_ros.perception.loaded_models import create_face_detector
from emotion_ros.training.detector.detector_evaluation import HEIGHTS, measure, milliseconds, photos_of, scenes_of, yolo
from emotion_ros.training.detector.photos import read_backgrounds, read_photos

WIDTHS = (320, 640, 1280)
"""Of the images that are timed, pixels; their height is three quarters of it."""

SCENES, SIDE = 300, 640
"""How many scenes are composed, and their side in pixels."""


def compare(names: Sequence[str], data: Path, backgrounds: str, confidence: float) -> list[dict[str, Any]]:
    """Figures of each detector on each kind of picture.

    Args:
        names: of :data:`emotion_ros.perception.detection.FACE_DETECTORS`, as ``name`` or ``name=model``.
        data: a folder with ``photos.zip`` (held-out photos and scenes of them are looked at), or with labels of YOLO.
        backgrounds: folder of pictures without people for behind the faces of scenes, or nothing.
        confidence: from which a detection counts.

    Raises:
        ConfigError: there is no such detector.
        DatasetError: the data cannot be read.
        ModelError: a model cannot be used.
    """
    behind = read_backgrounds(backgrounds)
    if (data / "photos.zip").is_file():
        photos = read_photos(data, only_held_out=True)
        kinds = {"photos": list(photos_of(photos)), "scenes": list(scenes_of(photos, behind, SIDE, SCENES))}
    else:
        kinds = {"pictures": list(yolo(data))}
    rows = []
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # YuNet's, as the others take one
    for name in names:
        detector, _, model = name.partition("=")
        opened = create_face_detector(
            build(PipelineConfig, {"face_detector": detector, "face_model": model, "threads": 1})
        )
        times = {width: milliseconds(opened, width) for width in WIDTHS}
        for kind, pictures in kinds.items():
            figures = measure(opened, pictures, confidence)
            rows.append({"detector": detector, "pictures": kind, **dataclasses.asdict(figures), "ms": times})
        opened.close()
    cv2.setNumThreads(threads)
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The figures as Markdown; of each height recall, then precision."""
    heights = [f"≥ {least} px" for least in HEIGHTS]
    columns = ["detector", "pictures", *heights, "false", "AP", "landmarks", *(f"ms at {width}" for width in WIDTHS)]
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for row in rows:
        pairs = (f"{_share(row['recall'][least])} / {_share(row['precision'][least])}" for least in HEIGHTS)
        cells = [row["detector"], row["pictures"], *pairs]
        cells += [str(row["false"]), f"{row['average_precision']:.3f}", _share(row["landmark_error"])]
        cells += [f"{row['ms'][width]:.1f}" for width in WIDTHS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
