"""The classifier that a config asks for, and what is made of its answer."""

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
from emotion_ros.perception.emotion.label_map import LabelMap, read_mapping
from emotion_ros.perception.emotion.preprocess import region_crop
from emotion_ros.perception.gesture_fusion import gesture_classes
from emotion_ros.perception.gesture_rules import read_gestures
from emotion_ros.types import Face, Hand, Image

INT8_MODEL = "emotion_resnet18_int8"
"""Name in the catalog of the copy of this package's classifier for processors with int8 instructions."""


class EmotionModel:
    """The classifier and what is made of its answer.

    Attributes:
        classifier: the model.
        label_map: from its classes to the labels that come out.
        gestures: what is known of gestures.
        speaks: for which class a gesture speaks, by its place.

    Raises:
        ConfigError: the label map, the gestures or what they speak for cannot be used with this model.
        ModelError: the model is missing or cannot be used.
        ProviderError: the execution provider is not available.
    """

    def __init__(self, config: PipelineConfig) -> None:
        model = find_model(config.model) if config.model else _own_model(config.provider)
        labels = Path(config.labels) if config.labels else None
        self.classifier = EmotionClassifier(model, config.provider, config.threads, labels=labels)
        classes = self.classifier.contract.labels
        self.label_map = LabelMap(config.label_map, classes)
        self.gestures = read_gestures(Path(config.gestures) if config.gestures else default_gestures())
        self.speaks = _what_gestures_say(config.gesture_emotions, tuple(self.gestures), classes)

    def classify(self, seen: Sequence[tuple[Image, Face, Sequence[Hand]]]) -> NDArray[np.float32]:
        """Probabilities of faces, each in its image and with its hands, n × classes."""
        about = self.classifier.contract
        return self.classifier.classify(
            [region_crop(image, about.region, face, hands, about.margin, about.shift) for image, face, hands in seen]
        )


def _own_model(provider: str) -> Path:
    return find_model(INT8_MODEL) if prefers_int8(provider, ort.get_available_providers()) else default_model()


def _what_gestures_say(text: str, gestures: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """Of the table that comes with the package, what this model and these gestures know; of the user's, all."""
    table = read_mapping("gesture_emotions", text)
    if text == PipelineConfig.gesture_emotions:
        table = {gesture: label for gesture, label in table.items() if gesture in gestures and label in classes}
    return gesture_classes(table, gestures, classes)
