"""The classifier with its label map and gestures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.config import PipelineConfig
from emotion_ros.config.package_files import default_gestures
from emotion_ros.inference.catalog import default_model, find_model
from emotion_ros.inference.providers import prefers_int8
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.emotion.label_map import LabelMap, read_mapping, read_prior
from emotion_ros.perception.emotion.preprocess import region_crop
from emotion_ros.perception.gesture_fusion import gesture_classes
from emotion_ros.perception.gesture_rules import read_gestures
from emotion_ros.types import Face, Hand, Image

INT8_MODEL = "emotion_resnet18_int8"
"""Catalog name of the int8 copy of the default classifier."""

DEFAULT_GESTURE_EMOTIONS = {"thumb_up": "happy", "waving": "happy", "thumb_down": "angry", "fist": "angry"}
"""Emotions that gestures support if ``gesture_emotions`` is empty. The option has no mapping as its default, because
``ros2 param load`` fails on a text that is one in YAML."""


class EmotionModel:
    """A classifier, the names of its labels, and the gestures that support them. Immutable once it is loaded.

    Attributes:
        classifier: from crops to probabilities of the model's classes.
        label_map: from the model's classes to published labels.
        gestures: gesture rules by name.
        gesture_classes: gesture to the index of the class that it supports.

    Raises:
        ConfigError: the label map or the gestures cannot be used with this model.
        ModelError: the model is missing or cannot be used.
        ProviderError: the execution provider is not available.
    """

    def __init__(self, config: PipelineConfig) -> None:
        model = find_model(config.model) if config.model else _default_model(config.provider)
        labels = Path(config.labels) if config.labels else None
        prior = read_prior(config.prior) if config.prior else None
        self.classifier = EmotionClassifier(model, config.provider, config.threads, labels=labels, prior=prior)
        classes = self.classifier.metadata.labels
        self.label_map = LabelMap(config.label_map, classes)
        self.gestures = read_gestures(Path(config.gestures) if config.gestures else default_gestures())
        self.gesture_classes = _gesture_classes(config.gesture_emotions, tuple(self.gestures), classes)

    @property
    def region(self) -> str:
        """What a crop shows: ``face``, ``face_hands`` or ``frame``."""
        return self.classifier.metadata.region

    @property
    def labels(self) -> tuple[str, ...]:
        """Published labels."""
        return self.label_map.labels

    def classify(self, faces: Sequence[tuple[Image, Face, Sequence[Hand]]]) -> NDArray[np.float32]:
        """Probabilities of the model's classes, n × classes, for faces with their images and hands."""
        metadata = self.classifier.metadata
        return self.classifier.classify(
            [
                region_crop(image, metadata.region, face, hands, metadata.margin, metadata.shift)
                for image, face, hands in faces
            ]
        )


def _default_model(provider: str) -> Path:
    return find_model(INT8_MODEL) if prefers_int8(provider, ort.get_available_providers()) else default_model()


def _gesture_classes(text: str, gestures: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """Read the option ``gesture_emotions``; default entries that this model does not know are left out."""
    table = read_mapping("gesture_emotions", text)
    if not text.strip():
        defaults = DEFAULT_GESTURE_EMOTIONS.items()
        table = {gesture: label for gesture, label in defaults if gesture in gestures and label in classes}
    return gesture_classes(table, gestures, classes)
