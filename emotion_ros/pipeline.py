"""The whole flow, read from top to bottom: an image goes in, what was perceived comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emotion_ros.catalog import default_model, find_model
from emotion_ros.classification.classifier import EmotionClassifier
from emotion_ros.classification.preprocess import region_crop
from emotion_ros.config import PipelineConfig
from emotion_ros.detection import FACE_DETECTORS, HAND_DETECTORS
from emotion_ros.errors import ImageError
from emotion_ros.fusion import attach_hands, not_hands, valence_arousal
from emotion_ros.tracking import Tracker
from emotion_ros.types import Box, Emotion, Face, Hand, Image, Perception

R = TypeVar("R")

UNKNOWN = "unknown"
"""Label of a person whose best probability is below the confidence floor."""


class Pipeline:
    """Detectors, classifier and tracker, loaded and warm. Not for two threads at once.

    Hands take the longest: they are looked for in a thread beside faces and their classification.

    ``config`` may be replaced between two images; of a replaced one only the live settings count.

    Raises:
        ModelError: a model is missing or cannot be used.
        ProviderError: the execution provider is not available.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self.config = config
        self._faces = FACE_DETECTORS[config.face_detector](find_model(config.face_model) if config.face_model else None)
        self._hands = HAND_DETECTORS["mediapipe"](config.hand_confidence, config.max_hands) if config.hands else None
        model = find_model(config.model) if config.model else default_model()
        labels = Path(config.labels) if config.labels else None
        self.classifier = EmotionClassifier(model, config.provider, config.threads, labels=labels)
        self._tracker = Tracker()
        self._beside = ThreadPoolExecutor(1, "hands")
        self.perceive(np.zeros((480, 640, 3), np.uint8), 0.0)

    def perceive(self, image: Image, stamp: float) -> Perception:
        """All people and hands in an image (BGR, uint8, h × w × 3) that was taken at ``stamp`` seconds.

        Raises:
            ImageError: the array is no such image.
            ModelError: the classifier's outputs are no finite numbers.
        """
        _check(image)
        timings: dict[str, float] = {}
        begin = time.perf_counter()
        pending = self._beside.submit(_timed, timings, "hands", self._find_hands, image)
        faces = _timed(timings, "faces", self._find_faces, image)
        hands_matter = self.classifier.contract.region == "face_hands"
        if not hands_matter:
            probabilities = _timed(timings, "classify", self._classify, image, faces, [()] * len(faces))
        hands = pending.result()
        real = not_hands(faces, hands)
        faces = [faces[index] for index in real]
        owned, loose = attach_hands(faces, hands)
        if hands_matter:
            probabilities = _timed(timings, "classify", self._classify, image, faces, owned)
        else:
            probabilities = probabilities[real]
        ids = self._tracker.update([face.box for face in faces], stamp)
        people = tuple(map(self._person, ids, probabilities, faces, owned))
        timings["total"] = 1000 * (time.perf_counter() - begin)
        height, width = image.shape[:2]
        return Perception(width, height, self.classifier.name, self.classifier.contract.labels, people, loose, timings)

    def close(self) -> None:
        """Free the detectors."""
        self._beside.shutdown()
        self._faces.close()
        if self._hands:
            self._hands.close()

    def _find_faces(self, image: Image) -> Sequence[Face]:
        if self.classifier.contract.region == "frame":  # the model judges the image as a whole, whoever is in it
            height, width = image.shape[:2]
            return [Face(Box(0.0, 0.0, width, height), 1.0, np.zeros((0, 2), np.float32))]
        return self._faces.detect(image, self.config.face_confidence, self.config.min_face_size)

    def _find_hands(self, image: Image) -> Sequence[Hand]:
        return self._hands.detect(image) if self._hands else ()

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


def _timed(timings: dict[str, float], stage: str, work: Callable[..., R], *arguments: Any) -> R:
    """What the work returns; its milliseconds go into the timings."""
    begin = time.perf_counter()
    result = work(*arguments)
    timings[stage] = 1000 * (time.perf_counter() - begin)
    return result


def _check(image: Image) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"expected a BGR image of height × width × 3 in uint8, got {image.shape} in {image.dtype}")
