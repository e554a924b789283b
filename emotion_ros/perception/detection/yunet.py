"""Faces by YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023) in OpenCV."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.perception.detection.face_rows import face, kept
from emotion_ros.types import Box, Face, Image

LOWEST_CONFIDENCE = 0.3
"""What the detector itself lets through; the caller's threshold, which may change at run time, comes after it."""

SUPPRESSION_OVERLAP = 0.3
"""Boxes that overlap more are one face; the value of OpenCV Zoo's example for this model."""


class YuNetFaces:
    """Faces with six landmarks: right eye, left eye, nose tip, middle, right and left corner of the mouth."""

    engine = ""

    def __init__(self, model: Path | None) -> None:
        if model is None or not model.is_file():
            raise ModelError(
                f"yunet: expected its ONNX file, found none at {model}; get it with: emotion-ros models fetch"
            )
        try:
            self._net = cv2.FaceDetectorYN.create(
                str(model), "", (320, 320), LOWEST_CONFIDENCE, SUPPRESSION_OVERLAP, top_k=1000
            )
        except cv2.error as error:
            raise ModelError(f"{model}: expected a YuNet ONNX file that OpenCV can read: {error.err}") from error
        self._lock = threading.Lock()

    def detect(self, image: Image, confidence: float, minimum: float, near: Sequence[Box] = ()) -> list[Face]:
        """See :class:`emotion_ros.perception.detection.FaceDetector`; it looks at all of the image."""
        height, width = image.shape[:2]
        with self._lock:
            self._net.setInputSize((width, height))
            found = self._net.detect(image)[1]
        rows: list[NDArray[np.float32]] = [] if found is None else [row for row in found if row[14] >= confidence]
        return kept((face(row, width, height) for row in rows), minimum)

    def close(self) -> None:
        """Nothing to free: OpenCV does it with the object."""
