"""Detects faces with MediaPipe's BlazeFace (Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on
Mobile GPUs", 2019). The mediapipe package contains the models.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from emotion_ros.perception.detection.face_rows import filter_faces
from emotion_ros.perception.detection.mediapipe_solutions import import_solution
from emotion_ros.types import Box, Face, Image

MIN_GRAPH_CONFIDENCE = 0.1
"""Threshold inside MediaPipe's graph, fixed at creation; detect applies the caller's, which may change, after it."""


class MediaPipeFaces:
    """Faces up to about 2 m (short range) or 5 m (full range) from a usual camera, with six landmarks.

    The landmarks are right eye, left eye, nose tip, middle of the mouth, right ear, left ear. Always searches the whole
    image.
    """

    engine_status = ""

    def __init__(self, full_range: bool) -> None:
        """Create MediaPipe's graph.

        Raises:
            ModelError: mediapipe is not installed.
        """
        detection = import_solution("face_detection", "FaceDetection", "face_detector: emotion_faces")
        self._graph: Any = detection(MIN_GRAPH_CONFIDENCE, model_selection=int(full_range))
        self._lock = threading.Lock()  # guards _graph, which processes one image at a time; held by detect

    def detect(self, image: Image, min_confidence: float, min_size: float, regions: Sequence[Box] = ()) -> list[Face]:
        """See :class:`emotion_ros.perception.detection.FaceDetector`."""
        with self._lock:
            detections = self._graph.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).detections or ()
        height, width = image.shape[:2]
        confident = (detection for detection in detections if detection.score[0] >= min_confidence)
        return filter_faces((_face(detection, width, height) for detection in confident), min_size)

    def close(self) -> None:
        """Free the graph."""
        self._graph.close()


def _face(detection: Any, width: int, height: int) -> Face:
    """Return a face in pixels; MediaPipe's coordinates are shares of the image's sides."""
    data = detection.location_data
    relative = data.relative_bounding_box
    box = Box(relative.xmin * width, relative.ymin * height, relative.width * width, relative.height * height)
    points = [(point.x * width, point.y * height) for point in data.relative_keypoints]
    return Face(box.clipped(width, height), float(detection.score[0]), np.array(points, np.float32))
