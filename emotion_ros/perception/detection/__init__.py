"""Faces and hands in an image. A new backend is one file here and one line in a dictionary below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from emotion_ros.perception.detection import mediapipe_faces, mediapipe_hands, yunet
from emotion_ros.perception.detection.emotion_faces import EmotionFaces
from emotion_ros.types import Box, Face, Hand, Image


class FaceDetector(Protocol):
    """Finds faces. ``minimum`` is the smallest confidence and the shortest side in pixels that count as found."""

    @property
    def engine(self) -> str:
        """How its TensorRT engine fares; empty where it runs, or where there is none."""
        ...

    def detect(self, image: Image, confidence: float, minimum: float, near: Sequence[Box] = ()) -> Sequence[Face]:
        """Faces in the image, boxes clipped to it, from left to right.

        Where it is known what was there a moment ago, ``near`` holds those boxes, and a detector that saves time by it
        may look only around them, as long as it finds as many.
        """
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


@dataclass(frozen=True)
class FaceSettings:
    """What a face detector is made with, as far as it has use for it: its model file (None where it brings its own),
    what runs it (see :func:`emotion_ros.inference.ort_session.open_session`) with how many threads, and the side of an
    image in pixels above which it is shrunk first."""

    model: Path | None = None
    provider: str = "auto"
    threads: int = 1
    longest: int = 640


FACE_DETECTORS: dict[str, Callable[[FaceSettings], FaceDetector]] = {
    "emotion_faces": lambda of: EmotionFaces(of.model, of.provider, of.threads, of.longest),
    "mediapipe": lambda of: mediapipe_faces.MediaPipeFaces(full_range=False),
    "mediapipe_full": lambda of: mediapipe_faces.MediaPipeFaces(full_range=True),
    "yunet": lambda of: yunet.YuNetFaces(of.model),
}
"""Name to what makes it."""

HAND_DETECTORS: dict[str, Callable[[int], HandDetector]] = {
    "mediapipe": mediapipe_hands.MediaPipeHands,
}
"""Name to a function of the maximum number of hands."""
