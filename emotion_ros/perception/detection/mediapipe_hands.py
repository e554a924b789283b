"""Hands by MediaPipe Hands (Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020)."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np

from emotion_ros.perception.detection.mediapipe_faces import DRAWING
from emotion_ros.perception.stub_modules import stub_modules
from emotion_ros.types import Box, Hand, Image

OTHER_SIDE = {"Left": "right", "Right": "left"}
"""MediaPipe names the side as if the picture were mirrored, like a selfie; a robot's camera is not."""

MIN_HAND_CONFIDENCE = 0.3
"""Minimum confidence of MediaPipe's palm detector."""

BOX_MARGIN = 0.1
"""Landmarks lie on joints inside the hand: the box around them grows by this share on each side."""


class MediaPipeHands:
    """Hands with 21 landmarks.

    Each image is searched on its own (no tracking between images), so that pictures of a folder, frames of a video and
    images of several cameras all give the same result.
    """

    def __init__(self, max_hands: int) -> None:
        with stub_modules(*DRAWING):
            from mediapipe.python.solutions.hands import Hands

        self._graph: Any = Hands(
            static_image_mode=True, max_num_hands=max_hands, min_detection_confidence=MIN_HAND_CONFIDENCE
        )
        self._lock = threading.Lock()

    def detect(self, image: Image) -> list[Hand]:
        """See :class:`emotion_ros.perception.detection.HandDetector`."""
        with self._lock:
            result = self._graph.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        height, width = image.shape[:2]
        pairs = zip(result.multi_hand_landmarks or (), result.multi_handedness or (), strict=True)
        hands = [_hand(points, side.classification[0], width, height) for points, side in pairs]
        return sorted((hand for hand in hands if hand.box.area > 0), key=lambda hand: hand.box.x)

    def close(self) -> None:
        """Free the graph."""
        self._graph.close()


def _hand(points: Any, side: Any, width: int, height: int) -> Hand:
    landmarks = np.array([(point.x * width, point.y * height) for point in points.landmark], np.float32)
    (left, top), (right, bottom) = landmarks.min(0).tolist(), landmarks.max(0).tolist()
    grow = BOX_MARGIN * max(right - left, bottom - top)
    box = Box(left - grow, top - grow, right - left + 2 * grow, bottom - top + 2 * grow)
    return Hand(OTHER_SIDE.get(side.label, "unknown"), box.clipped(width, height), float(side.score), landmarks)
