"""Faces by MediaPipe's BlazeFace (Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection", 2019).

The models come inside the mediapipe package: nothing is downloaded.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from emotion_ros.perception.detection.face_rows import kept
from emotion_ros.perception.stub_modules import stub_modules
from emotion_ros.types import Box, Face, Image

LOWEST_CONFIDENCE = 0.1
"""What the graph itself lets through; the caller's threshold, which may change at run time, comes after it."""

DRAWING = ("matplotlib", "matplotlib.pyplot")
"""What mediapipe imports for its own drawings alone: a third of a second and 28 MiB."""


class MediaPipeFaces:
    """Faces up to about 2 m (short range) or 5 m (full range) from a usual camera, with six landmarks.

    The landmarks are right eye, left eye, nose tip, middle of the mouth, right ear, left ear.
    """

    engine = ""

    def __init__(self, full_range: bool) -> None:
        with stub_modules(*DRAWING):
            from mediapipe.python.solutions.face_detection import FaceDetection

        self._graph: Any = FaceDetection(LOWEST_CONFIDENCE, model_selection=int(full_range))
        self._lock = threading.Lock()

    def detect(self, image: Image, confidence: float, minimum: float, near: Sequence[Box] = ()) -> list[Face]:
        """See :class:`emotion_ros.perception.detection.FaceDetector`; it looks at all of the image."""
        with self._lock:
            found = self._graph.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).detections or ()
        height, width = image.shape[:2]
        return kept((_face(each, width, height) for each in found if each.score[0] >= confidence), minimum)

    def close(self) -> None:
        """Free the graph."""
        self._graph.close()


def _face(detection: Any, width: int, height: int) -> Face:
    data = detection.location_data
    relative = data.relative_bounding_box
    box = Box(relative.xmin * width, relative.ymin * height, relative.width * width, relative.height * height)
    points = [(point.x * width, point.y * height) for point in data.relative_keypoints]
    return Face(box.clipped(width, height), float(detection.score[0]), np.array(points, np.float32))
