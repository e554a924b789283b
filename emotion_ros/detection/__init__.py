"""Faces and hands in an image. A new backend is one file here and one line in a dictionary below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from emotion_ros.detection import mediapipe_faces, mediapipe_hands, yunet
from emotion_ros.types import Face, Hand, Image


class FaceDetector(Protocol):
    """Finds faces. ``minimum`` is the smallest confidence and the shortest side in pixels that count as found."""

    def detect(self, image: Image, confidence: float, minimum: float) -> Sequence[Face]:
        """Faces in the image, boxes clipped to it, from left to right."""
        ...

    def close(self) -> None:
        """Free what the backend holds."""
        ...


class HandDetector(Protocol):
    """Finds hands."""

    def detect(self, image: Image) -> Sequence[Hand]:
        """Hands in the image, boxes clipped to it, from left to right."""
        ...

    def close(self) -> None:
        """Free what the backend holds."""
        ...


FACE_DETECTORS: dict[str, Callable[[Path | None], FaceDetector]] = {
    "mediapipe": lambda _: mediapipe_faces.MediaPipeFaces(full_range=False),
    "mediapipe_full": lambda _: mediapipe_faces.MediaPipeFaces(full_range=True),
    "yunet": yunet.YuNetFaces,
}
"""Name to a function of the model file (None where the backend brings its own)."""

HAND_DETECTORS: dict[str, Callable[[float, int], HandDetector]] = {
    "mediapipe": mediapipe_hands.MediaPipeHands,
}
"""Name to a function of the smallest confidence and the largest number of hands."""
