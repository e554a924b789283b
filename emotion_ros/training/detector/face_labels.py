"""Labels the faces in photos with another face detector, the teacher."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emotion_ros.perception.detection import FaceDetector
from emotion_ros.training.detector.object_kinds import FACES
from emotion_ros.training.photo_archive import label_writer, photos_archive, read_archive
from emotion_ros.types import Face, Image

ENLARGEMENT = 1.6
"""Factor by which photos are enlarged for the teacher, which then finds smaller faces."""

MAX_SIDE_PX = 2048
"""Longer side of an enlarged photo at most: larger ones are reduced to it for the teacher."""

MIN_SCORE = 0.55
"""Score from which a face is written. Training ignores those that are not sure, see ``photos.MIN_SURE_SCORE``."""

COLUMNS = ("file", "width", "height", *FACES.columns, "score")
"""Columns of the CSV file. Lengths are in pixels of the photo. A photo without faces has one row without values."""

LANDMARKS = (0, 1, 2, 4, 5)
"""Those of a :class:`Face` in the order of :data:`FACES`; the middle of the mouth is left out."""


def label_photos(data: Path, output: Path, teacher: FaceDetector) -> tuple[int, int]:
    """Label the photos of an archive.

    Args:
        data: folder with ``photos.zip``.
        output: the CSV file, see :data:`COLUMNS`.
        teacher: finds the faces.

    Returns:
        Number of photos and number of faces.

    Raises:
        DatasetError: the archive is missing or a photo cannot be read.
        OutputError: the CSV file cannot be written.
    """
    photos = faces = 0
    archive = photos_archive(data)
    with label_writer(output, COLUMNS) as writer:
        for name, image in read_archive(archive):
            found = [_row(name, image, face) for face in _detect(image, teacher)]
            writer.writerows(found or [[name, *image.shape[1::-1]]])
            photos, faces = photos + 1, faces + len(found)
    return photos, faces


def _detect(image: Image, teacher: FaceDetector) -> Iterator[Face]:
    large = cv2.resize(image, None, fx=ENLARGEMENT, fy=ENLARGEMENT, interpolation=cv2.INTER_LINEAR)
    yield from teacher.detect(large, MIN_SCORE, 1)  # type: ignore[arg-type]


def _row(name: str, image: Image, face: Face) -> list[Any]:
    box = (face.box.x, face.box.y, face.box.width, face.box.height)
    values = np.concatenate([box, face.landmarks[list(LANDMARKS)].ravel()]) / ENLARGEMENT
    return [name, *image.shape[1::-1], *np.round(values, 2).tolist(), round(face.confidence, 3)]
