"""Matches detected with labelled faces, and computes the average precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_ros.training.detector.photos import counted, ignored, intersection_over_union

CONFIDENCE_COLUMN = -1
"""Last column of a detection, after box and landmarks."""


@dataclass(frozen=True)
class Match:
    """Detections of one image, compared with its labelled faces.

    ``detections``: n × 15 float32, those that count, in descending order of confidence. ``is_face``: n, bool, the
    detection overlaps a face that no earlier one did. ``face_index``: n, int64, index of that face among those that
    count, or −1. ``face_count``: number of faces that count.
    """

    detections: NDArray[np.float32]
    is_face: NDArray[np.bool_]
    face_index: NDArray[np.int64]
    face_count: int


def match_faces(detections: NDArray[np.float32], faces: NDArray[np.float32], min_overlap: float) -> Match:
    """Match detections with faces, in descending order of confidence. Each face is found once.

    A detection without a face is left out if it overlaps an ignored face by half of ``min_overlap`` or more.

    Args:
        detections: n × 15: box (x, y, width, height), landmarks, confidence; pixels.
        faces: m × 15: box, landmarks, state (see :data:`emotion_ros.training.detector.photos.STATE_COLUMN`).
        min_overlap: intersection over union from which a face counts as found.
    """
    detections = detections[np.argsort(-detections[:, CONFIDENCE_COLUMN], kind="stable")]
    present = counted(faces)
    overlaps = intersection_over_union(detections, present)
    ignored_overlaps = intersection_over_union(detections, ignored(faces))
    face_index, counts = [], []
    taken: set[int] = set()
    for row, ignored_row in zip(overlaps, ignored_overlaps, strict=True):
        free = [index for index in np.argsort(-row).tolist() if index not in taken and row[index] >= min_overlap]
        face_index.append(free[0] if free else -1)
        taken.update(free[:1])
        counts.append(bool(free) or not (ignored_row >= min_overlap / 2).any())
    kept, indices = np.array(counts, bool), np.array(face_index, np.int64)
    return Match(detections[kept], indices[kept] >= 0, indices[kept], len(present))


def average_precision(matches: Sequence[Match]) -> float:
    """Return the area under precision over recall, 0…1, of the detections of all images.

    Precision is made monotonous first, as PASCAL VOC does since 2010. 0 without faces or detections.
    """
    face_count = sum(match.face_count for match in matches)
    scores = np.concatenate([match.detections[:, CONFIDENCE_COLUMN] for match in matches] or [np.zeros(0, np.float32)])
    if not face_count or not len(scores):
        return 0.0
    is_face = np.concatenate([match.is_face for match in matches])[np.argsort(-scores, kind="stable")]
    precision = np.maximum.accumulate((np.cumsum(is_face) / np.arange(1, len(is_face) + 1))[::-1])[::-1]
    return float((precision * is_face).sum() / face_count)
