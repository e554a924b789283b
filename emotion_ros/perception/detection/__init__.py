"""Detects faces and hands in an image.

To add a backend, write one file here with a class that has the methods of :class:`FaceDetector` or
:class:`HandDetector`, and add one line to the dictionary :data:`FACE_DETECTORS` or :data:`HAND_DETECTORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from emotion_ros.perception.detection.emotion_faces import EmotionFaces
from emotion_ros.perception.detection.emotion_hands import EmotionHands
from emotion_ros.perception.detection.mediapipe_faces import MediaPipeFaces
from emotion_ros.perception.detection.mediapipe_hands import MediaPipeHands
from emotion_ros.perception.detection.yunet import YuNetFaces
from emotion_ros.types import Box, Face, Hand, Image


class FaceDetector(Protocol):
    """Finds faces. A detector stores nothing between images."""

    @property
    def engine_status(self) -> str:
        """State of the TensorRT engine as text; empty if it is in use or was not requested."""
        ...

    def detect(
        self, image: Image, min_confidence: float, min_size: float, regions: Sequence[Box] = ()
    ) -> Sequence[Face]:
        """Return the faces in an image from left to right, their boxes clipped to the image.

        Args:
            image: BGR, uint8, height × width × 3.
            min_confidence: minimum confidence of a face, 0…1.
            min_size: minimum length of the shorter side of a face's box in pixels of the image.
            regions: boxes of the faces in the camera's previous image, in pixels; empty: search the whole image. A
                detector may search only around them, to save time. If it finds fewer faces than there are boxes, it
                must search the whole image.
        """
        ...

    def close(self) -> None:
        """Free the backend's resources. The detector must not be used afterwards."""
        ...


class HandDetector(Protocol):
    """Finds hands. A detector stores nothing between images."""

    @property
    def engine_status(self) -> str:
        """See :attr:`FaceDetector.engine_status`."""
        ...

    def detect(self, image: Image, tracked: Sequence[Hand] = ()) -> Sequence[Hand]:
        """Return the hands in an image from left to right, their boxes clipped to the image.

        Args:
            image: BGR, uint8, height × width × 3.
            tracked: hands in an earlier image of the camera; empty: search the whole image. A detector may search only
                around them, to save time. If it finds fewer hands than these, it must search the whole image.
        """
        ...

    def close(self) -> None:
        """Free the backend's resources. The detector must not be used afterwards."""
        ...


@dataclass(frozen=True)
class FaceSettings:
    """Settings of a face detector. A backend ignores those that it does not support.

    Attributes:
        model: model file; None for a backend that includes its model.
        provider: execution provider, see :func:`emotion_ros.inference.ort_session.open_session`.
        threads: CPU threads; 0: ONNX Runtime's choice.
        max_side: longer side of the network's input in pixels; larger images are scaled down to it.
    """

    model: Path | None = None
    provider: str = "auto"
    threads: int = 1
    max_side: int = 640


@dataclass(frozen=True)
class HandSettings:
    """Settings of a hand detector. A backend ignores those that it does not support.

    Attributes:
        max_hands: maximum number of hands per image.
        provider: execution provider, see :func:`emotion_ros.inference.ort_session.open_session`.
        threads: CPU threads; 0: ONNX Runtime's choice.
        detector_model: model file that finds hands; None for a backend that includes its model.
        landmark_model: model file that finds a hand's landmarks; None likewise.
    """

    max_hands: int = 4
    provider: str = "auto"
    threads: int = 1
    detector_model: Path | None = None
    landmark_model: Path | None = None


FACE_DETECTORS: dict[str, Callable[[FaceSettings], FaceDetector]] = {
    "emotion_faces": lambda settings: EmotionFaces(
        settings.model, settings.provider, settings.threads, settings.max_side
    ),
    "mediapipe": lambda settings: MediaPipeFaces(full_range=False),
    "mediapipe_full": lambda settings: MediaPipeFaces(full_range=True),
    "yunet": lambda settings: YuNetFaces(settings.model, settings.provider, settings.threads, settings.max_side),
}
"""Value of the parameter ``face_detector`` to a function that creates the detector. It raises ModelError if a model or
a library is missing, ProviderError if the execution provider is not available."""

HAND_DETECTORS: dict[str, Callable[[HandSettings], HandDetector]] = {
    "emotion_hands": lambda settings: EmotionHands(
        settings.detector_model, settings.landmark_model, settings.max_hands, settings.provider, settings.threads
    ),
    "mediapipe": lambda settings: MediaPipeHands(settings.max_hands),
}
"""Value of the parameter ``hand_detector`` to a function that creates the detector. It raises ModelError if a model or
a library is missing, ProviderError if the execution provider is not available."""
