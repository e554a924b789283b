"""Detects hands with MediaPipe Hands (Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from emotion_ros.perception.detection.mediapipe_solutions import import_solution
from emotion_ros.types import Box, Hand, Image

OTHER_SIDE = {"Left": "right", "Right": "left"}
"""MediaPipe's name of a side to the person's own: MediaPipe expects a mirrored image, like a selfie."""

MIN_HAND_CONFIDENCE = 0.3
"""Minimum confidence of MediaPipe's palm detector; its own default is 0.5.

With 0.3, distant hands are found more often, at the same number of false ones. Of 149 hands in 134 pictures (640×480,
every fifth of 668 webcam pictures, MediaPipe 0.10.21), scaled down around a grey border:

===================  ====  ====
hands found at        0.3   0.5
===================  ====  ====
full size             149   149
a third of it         146   146
a quarter of it       116   108
a fifth               35    21
===================  ====  ====

In 100 photos of rooms, both thresholds gave one false hand.
"""

BOX_MARGIN = 0.1
"""Growth of the box on each side, as a share of its longer side: the landmarks lie on joints inside the hand."""


class MediaPipeHands:
    """Hands with 21 landmarks.

    MediaPipe's tracking between images is off: photos, video frames and images of several cameras give the same
    result in any order.
    """

    engine_status = ""

    def __init__(self, max_hands: int) -> None:
        """Create MediaPipe's graph for at most ``max_hands`` hands per image.

        Raises:
            ModelError: mediapipe is not installed.
        """
        hands = import_solution("hands", "Hands", "hand_detector: emotion_hands")
        self._graph: Any = hands(
            static_image_mode=True, max_num_hands=max_hands, min_detection_confidence=MIN_HAND_CONFIDENCE
        )
        self._lock = threading.Lock()  # guards _graph, which processes one image at a time; held by detect

    def detect(self, image: Image, tracked: Sequence[Hand] = ()) -> list[Hand]:
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
    """Return a hand in pixels; MediaPipe's coordinates are shares of the image's sides."""
    landmarks = np.array([(point.x * width, point.y * height) for point in points.landmark], np.float32)
    (left, top), (right, bottom) = landmarks.min(0).tolist(), landmarks.max(0).tolist()
    margin = BOX_MARGIN * max(right - left, bottom - top)
    box = Box(left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin)
    return Hand(OTHER_SIDE.get(side.label, "unknown"), box.clipped(width, height), float(side.score), landmarks)
