"""Compares face detectors on the same images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from emotion_ros.config import PipelineConfig
from emotion_ros.config.options import build
from emotion_ros.errors import DatasetError
from emotion_ros.perception.detection import FaceDetector
from emotion_ros.perception.loaded_models import create_face_detector
from emotion_ros.training.detector.detector_evaluation import (
    MIN_HEIGHTS_PX,
    LabelledImage,
    measure,
    milliseconds,
    photos_of,
    read_yolo,
    scenes_of,
    share_found,
)
from emotion_ros.training.detector.photos import Photo, read_backgrounds, read_photos
from emotion_ros.training.photo_archive import read_groups

TIMED_WIDTHS_PX = (320, 640, 1280)
"""Widths of the images that are timed; their height is three quarters of the width."""

SCENE_COUNT, SCENE_SIDE_PX = 300, 640
"""Number and side of the scenes that are composed."""


@dataclass(frozen=True)
class _Pictures:
    """Pictures of one folder: labelled ones, or one face in each with the groups to which its person belongs."""

    name: str
    labelled: Sequence[LabelledImage] = ()
    faces: Sequence[Photo] = ()
    groups: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)


def compare(names: Sequence[str], folders: Sequence[Path], backgrounds: str, confidence: float) -> list[dict[str, Any]]:
    """Measure each detector on each kind of image.

    Args:
        names: of :data:`emotion_ros.perception.detection.FACE_DETECTORS`, as ``name`` or ``name=model``.
        folders: folders with ``photos.zip``: with labels, see :func:`read_photos`; with ``groups.csv``, see
            :func:`read_groups`; or with neither, photos without faces. Only held-out photos are used of all but those
            with groups. Or folders with labels in YOLO's format. Scenes of the photos with one face are the last kind.
        backgrounds: folder of pictures without people for the scenes; empty: drawn shapes.
        confidence: confidence from which a detection counts.

    Returns:
        A row per detector and kind of image: ``detector``, ``pictures``, the fields of
        :class:`~emotion_ros.training.detector.detector_evaluation.Figures` or ``groups`` (share of faces found by kind
        of group and group), and ``ms`` by width.

    Raises:
        ConfigError: there is no such detector.
        DatasetError: the data cannot be read.
        ModelError: a model cannot be used.
    """
    kinds = _read(folders, backgrounds)
    with _one_opencv_thread():
        return [row for name in names for row in _measure_all(name, kinds, confidence)]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures as Markdown tables.

    The columns of heights have recall / precision. A second table, if there are groups, has the share of faces found.
    """
    heights = [f"≥ {height} px" for height in MIN_HEIGHTS_PX]
    times = [f"ms at {width}" for width in TIMED_WIDTHS_PX]
    columns = ["pictures", "detector", *heights, "false per 100", "AP", "landmarks", *times]
    measured = [row for row in rows if "groups" not in row]
    by_pictures = [
        row for name in dict.fromkeys(row["pictures"] for row in rows) for row in measured if row["pictures"] == name
    ]
    lines = [*map(_line, [columns, ["---"] * len(columns), *map(_cells, by_pictures)])]
    return "\n".join([*lines, *_group_lines([row for row in rows if "groups" in row])])


def _read(folders: Sequence[Path], backgrounds: str) -> list[_Pictures]:
    kinds, single = [], []
    for folder in folders:
        if not (folder / "photos.zip").is_file():
            kinds.append(_Pictures(folder.name, list(read_yolo(folder))))
        elif groups := read_groups(folder):
            kinds.append(_Pictures(folder.name, (), read_photos(folder), groups))
        else:
            photos = read_photos(folder, only_held_out=True)
            if not photos:
                raise DatasetError(f"{folder}: expected photos that are held out, about one in ten; found none")
            kinds.append(_Pictures(folder.name, list(photos_of(photos))))
            single += [photo for photo in photos if len(photo.faces) == 1]
    if single:
        scenes = list(scenes_of(single, read_backgrounds(backgrounds), SCENE_SIDE_PX, SCENE_COUNT))
        kinds.append(_Pictures("scenes", scenes))
    return kinds


def _measure_all(name: str, kinds: Sequence[_Pictures], confidence: float) -> list[dict[str, Any]]:
    detector_name, _, model = name.partition("=")
    settings = {"face_detector": detector_name, "face_model": model, "threads": 1}
    detector = create_face_detector(build(PipelineConfig, settings))
    times = {width: milliseconds(detector, width) for width in TIMED_WIDTHS_PX}
    rows = [
        {"detector": detector_name, "pictures": kind.name, **_figures(detector, kind, confidence), "ms": times}
        for kind in kinds
    ]
    detector.close()
    return rows


def _figures(detector: FaceDetector, kind: _Pictures, confidence: float) -> dict[str, Any]:
    if kind.groups:
        return {"groups": share_found(detector, kind.faces, kind.groups, confidence)}
    return dataclasses.asdict(measure(detector, kind.labelled, confidence))


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
    pairs = [(row["recall"][height], row["precision"][height]) for height in MIN_HEIGHTS_PX]
    shares = ["" if math.isnan(recall) else f"{_share(recall)} / {_share(precision)}" for recall, precision in pairs]
    figures = [
        f"{100 * row['false'] / row['images']:.1f}",
        _share(row["average_precision"]),
        _share(row["landmark_error"]),
    ]
    return [
        row["pictures"],
        row["detector"],
        *shares,
        *figures,
        *(f"{row['ms'][width]:.1f}" for width in TIMED_WIDTHS_PX),
    ]


def _group_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of the share of faces found, with a column per detector."""
    if not rows:
        return []
    columns = ["share of faces found", *(row["detector"] for row in rows)]
    groups = [(kind, group) for kind, shares in rows[0]["groups"].items() for group in shares]
    cells = [[f"{kind}: {group}", *(_share(row["groups"][kind][group]) for row in rows)] for kind, group in groups]
    return ["", *map(_line, [columns, ["---"] * len(columns), *cells])]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
