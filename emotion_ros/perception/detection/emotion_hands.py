"""Detects hands with the networks of this package, trained by ``emotion-ros train-detector`` and ``train-hands``."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from emotion_ros.errors import ModelError
from emotion_ros.perception.detection.hand_crop import HandCrop, crop_of_landmarks
from emotion_ros.perception.detection.hand_networks import HandLandmarkNetwork, HandLandmarks, HandSearch
from emotion_ros.perception.detection.mediapipe_hands import BOX_MARGIN
from emotion_ros.types import Box, Hand, Image

MIN_PRESENCE = 0.9
"""Minimum probability that a crop shows a hand. Chosen on held-out photos, see models/emotion_hands.md."""

MAX_OVERLAP = 0.5
"""Share of the smaller of two boxes on the other above which they are one hand; the higher presence stays."""

REFINING_SCALES = 1.1, 1.0
"""Scales of the two crops of landmarks that follow the crop of a detection: closer and closer, see
models/emotion_hands.md."""

CANDIDATES_PER_HAND = 2
"""Detections that are examined per hand that may be returned: some are no hands, or the same hand twice."""


class EmotionHands:
    """Hands with 21 landmarks.

    A detector searches the whole image; a landmark network runs on a rotated crop of each detection, and twice again on
    the crop of the landmarks that it found. A tracked hand needs only the last step.
    """

    def __init__(
        self,
        detector_model: Path | None,
        landmark_model: Path | None,
        max_hands: int,
        provider: str = "auto",
        threads: int = 1,
    ) -> None:
        """Load both models and run them once.

        Args:
            detector_model: the ONNX file that finds hands.
            landmark_model: the ONNX file that finds the landmarks of a hand.
            max_hands: maximum number of hands per image.
            provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
            threads: CPU threads; 0: ONNX Runtime's choice.

        Raises:
            ModelError: a file is missing, or is no such model of this package.
            ProviderError: the provider is not available.
        """
        if detector_model is None or landmark_model is None:
            raise ModelError("emotion_hands: expected its two ONNX files, got none; build the package again")
        self._max_hands = max_hands
        self._find_crops = HandSearch(detector_model, provider, threads)
        self._find_landmarks = HandLandmarkNetwork(landmark_model, provider, threads, CANDIDATES_PER_HAND * max_hands)
        self._lock = threading.Lock()  # guards both sessions, which serve one image at a time; held by detect
        blank = np.zeros((480, 640, 3), np.uint8)
        self.detect(blank)
        self._find_landmarks(blank, [HandCrop(320, 240, 200, 0.0)])

    @property
    def engine_status(self) -> str:
        """See :class:`emotion_ros.inference.ort_session.Session`; of the first engine that is not in use."""
        return self._find_crops.session.engine_status or self._find_landmarks.session.engine_status

    def detect(self, image: Image, tracked: Sequence[Hand] = ()) -> list[Hand]:
        """See :class:`emotion_ros.perception.detection.HandDetector`."""
        height, width = image.shape[:2]
        with self._lock:
            known = [hand for hand in tracked if hand.box.clipped(width, height).area > 0]
            found = self._present(image, [crop_of_landmarks(hand.landmarks) for hand in known])
            if not tracked or len(found) < len(tracked):
                found = _distinct([*found, *self._search(image)])
        hands = [_hand(result, width, height) for result in found[: self._max_hands]]
        return sorted((hand for hand in hands if hand.box.area > 0), key=lambda hand: hand.box.x)

    def _search(self, image: Image) -> list[HandLandmarks]:
        crops = self._find_crops(image)[: CANDIDATES_PER_HAND * self._max_hands]
        found = self._present(image, crops)
        for scale in REFINING_SCALES:
            found = self._present(image, [crop_of_landmarks(result.points, scale) for result in found])
        return found

    def _present(self, image: Image, crops: Sequence[HandCrop]) -> list[HandLandmarks]:
        """Return the landmarks of the crops that show a hand, each hand once."""
        return _distinct(result for result in self._find_landmarks(image, crops) if result.presence >= MIN_PRESENCE)

    def close(self) -> None:
        """Do nothing: ONNX Runtime frees its memory with the object."""


def _distinct(results: Iterable[HandLandmarks]) -> list[HandLandmarks]:
    """Return each hand once, by descending presence."""
    chosen: list[tuple[Box, HandLandmarks]] = []
    for result in sorted(results, key=lambda result: -result.presence):
        box = _box(result)
        if all(box.shared(other) <= MAX_OVERLAP * min(box.area, other.area) for other, _ in chosen):
            chosen.append((box, result))
    return [result for _, result in chosen]


def _box(result: HandLandmarks) -> Box:
    (left, top), (right, bottom) = result.points.min(0).tolist(), result.points.max(0).tolist()
    margin = BOX_MARGIN * max(right - left, bottom - top)
    return Box(left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin)


def _hand(result: HandLandmarks, width: int, height: int) -> Hand:
    """Return a hand in an image of that size; its confidence is that of being a hand of its side."""
    side, probability = ("right", result.right) if result.right >= 0.5 else ("left", 1 - result.right)
    return Hand(side, _box(result).clipped(width, height), result.presence * probability, result.points)
