"""Detects faces with YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023) in OpenCV."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.perception.detection.face_rows import face_from_row, filter_faces
from emotion_ros.types import Box, Face, Image

MIN_NET_CONFIDENCE = 0.3
"""Threshold inside OpenCV's detector, fixed at creation; detect applies the caller's, which may change, after it."""

MAX_OVERLAP = 0.3
"""Intersection over union above which two boxes are one face; value of OpenCV Zoo's example for this model."""

MAX_CANDIDATES = 1000
"""Boxes before suppression, by confidence."""


class YuNetFaces:
    """Faces with six landmarks: right eye, left eye, nose tip, middle, right and left corner of the mouth.

    Always searches the whole image.
    """

    engine_status = ""

    def __init__(self, model: Path | None) -> None:
        """Load a model.

        Raises:
            ModelError: the file is missing or OpenCV cannot read it.
        """
        if model is None or not model.is_file():
            raise ModelError(
                f"yunet: expected its ONNX file, found none at {model}; get it with: emotion-ros models fetch"
            )
        try:
            self._net = cv2.FaceDetectorYN.create(
                str(model), "", (320, 320), MIN_NET_CONFIDENCE, MAX_OVERLAP, top_k=MAX_CANDIDATES
            )
        except cv2.error as error:
            raise ModelError(f"{model}: expected a YuNet ONNX file that OpenCV can read: {error.err}") from error
        self._lock = threading.Lock()  # guards _net, whose input size belongs to one image at a time; held by detect

    def detect(self, image: Image, min_confidence: float, min_size: float, regions: Sequence[Box] = ()) -> list[Face]:
        """See :class:`emotion_ros.perception.detection.FaceDetector`."""
        height, width = image.shape[:2]
        with self._lock:
            self._net.setInputSize((width, height))
            detections = self._net.detect(image)[1]
        rows: list[NDArray[np.float32]] = [] if detections is None else list(detections)
        confident = (row for row in rows if row[14] >= min_confidence)
        return filter_faces((face_from_row(row, width, height) for row in confident), min_size)

    def close(self) -> None:
        """Do nothing: OpenCV frees its memory with the object."""
