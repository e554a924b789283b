"""The whole flow, read from top to bottom: an image goes in, what was perceived comes out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.catalog import default_model, find_model
from emotion_ros.classification.classifier import EmotionClassifier
from emotion_ros.classification.preprocess import region_crop
from emotion_ros.config import PipelineConfig
from emotion_ros.detection import FACE_DETECTORS, HAND_DETECTORS
from emotion_ros.errors import ImageError
from emotion_ros.fusion import attach_hands, valence_arousal
from emotion_ros.tracking import Tracker
from emotion_ros.types import Emotion, Face, Hand, Image, Perception

UNKNOWN = "unknown"
"""Label of a person whose best probability is below the confidence floor."""


class Pipeline:
    """Detectors, classifier and tracker, loaded and warm. Not for two threads at once.

    ``config`` may be replaced between two images; of a replaced one only the live settings count.

    Raises:
        ModelError: a model is missing or cannot be used.
        ProviderError: the execution provider is not available.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self.config = config
        self._faces = FACE_DETECTORS[config.face_detector](find_model(config.face_model) if config.face_model else None)
        self._hands = HAND_DETECTORS["mediapipe"](config.hand_confidence, config.max_hands) if config.hands else None
        model = Path(config.model) if config.model else default_model()
        self.classifier = EmotionClassifier(model, config.provider, config.threads)
        self._tracker = Tracker()
        self.perceive(np.zeros((480, 640, 3), np.uint8), 0.0)

    def perceive(self, image: Image, stamp: float) -> Perception:
        """All people and hands in an image (BGR, uint8, h × w × 3) that was taken at ``stamp`` seconds.

        Raises:
            ImageError: the array is no such image.
            ModelError: the classifier's outputs are no finite numbers.
        """
        _check(image)
        clock = [time.perf_counter()]
        faces = self._faces.detect(image, self.config.face_confidence, self.config.min_face_size)
        clock.append(time.perf_counter())
        hands = self._hands.detect(image) if self._hands else ()
        clock.append(time.perf_counter())
        owned, loose = attach_hands(faces, hands)
        probabilities = self._classify(image, faces, owned)
        clock.append(time.perf_counter())
        ids = self._tracker.update([face.box for face in faces], stamp)
        people = tuple(map(self._person, ids, probabilities, faces, owned))
        timings = {
            stage: 1000 * (end - start)
            for stage, start, end in zip(("faces", "hands", "classify"), clock, clock[1:], strict=False)
        }
        height, width = image.shape[:2]
        return Perception(width, height, self.classifier.name, self.classifier.contract.labels, people, loose, timings)

    def close(self) -> None:
        """Free the detectors."""
        self._faces.close()
        if self._hands:
            self._hands.close()

    def _classify(self, image: Image, faces: Sequence[Face], owned: Sequence[tuple[Hand, ...]]) -> NDArray[np.float32]:
        about = self.classifier.contract
        crops = [
            region_crop(image, about.region, face, hands, about.margin, about.shift)
            for face, hands in zip(faces, owned, strict=True)
        ]
        return self.classifier.classify(crops)

    def _person(self, id: str, probabilities: NDArray[np.float32], face: Face, hands: tuple[Hand, ...]) -> Emotion:
        labels = self.classifier.contract.labels
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        label = labels[best] if confidence >= self.config.confidence_floor else UNKNOWN
        valence, arousal = valence_arousal(labels, probabilities)
        return Emotion(id, label, confidence, probabilities, valence, arousal, face, hands)


def _check(image: Image) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"expected a BGR image of height × width × 3 in uint8, got {image.shape} in {image.dtype}")
