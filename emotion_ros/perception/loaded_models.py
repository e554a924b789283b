"""The networks of a pipeline, loaded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ModelError
from emotion_ros.inference.catalog import (
    default_eye_model,
    default_face_landmark_model,
    default_face_model,
    default_hand_models,
    find_model,
)
from emotion_ros.perception.detection import (
    FACE_DETECTORS,
    HAND_DETECTORS,
    FaceDetector,
    FaceSettings,
    HandDetector,
    HandSettings,
)
from emotion_ros.perception.emotion.emotion_model import EmotionModel
from emotion_ros.perception.eyes import EyelidNetwork
from emotion_ros.perception.face_points import FacePointsNetwork

LOG = logging.getLogger(__name__)

SHARED_OPTIONS = frozenset({"provider", "threads"})
FACE_OPTIONS = SHARED_OPTIONS | {"face_detector", "face_model", "face_input_size"}
HAND_OPTIONS = SHARED_OPTIONS | {"hand_detector", "hand_model", "hand_landmark_model"}
POINT_OPTIONS = SHARED_OPTIONS | {"face_landmark_model"}
EYE_OPTIONS = SHARED_OPTIONS | {"eye_model"}
EMOTION_OPTIONS = SHARED_OPTIONS | {"model", "labels", "label_map", "prior", "gestures", "gesture_emotions"}
RELOADABLE = FACE_OPTIONS | HAND_OPTIONS | POINT_OPTIONS | EYE_OPTIONS | EMOTION_OPTIONS
"""Settings that need networks to be loaded again, which :func:`load_models` does while images are processed."""


@dataclass(frozen=True)
class LoadedModels:
    """Detectors and classifier. Replaced as a whole: a model that runs is never changed.

    Attributes:
        faces: face detector.
        hands: hand detector; None: hands are not detected.
        face_points: landmarks and head poses; None: not estimated.
        eyes: eyelids; None: not estimated.
        emotion: classifier.
    """

    faces: FaceDetector
    hands: HandDetector | None
    emotion: EmotionModel
    face_points: FacePointsNetwork | None = None
    eyes: EyelidNetwork | None = None

    @property
    def engine_status(self) -> Mapping[str, str]:
        """State of the TensorRT engines that do not run yet or could not be built, by network."""
        status = {"classifier": self.emotion.classifier.engine_status, "faces": self.faces.engine_status}
        status["hands"] = self.hands.engine_status if self.hands else ""
        status["face landmarks"] = self.face_points.engine_status if self.face_points else ""
        status["eyes"] = self.eyes.engine_status if self.eyes else ""
        return {network: text for network, text in status.items() if text}

    def close_replaced(self, current: LoadedModels | None = None) -> None:
        """Free the detectors that ``current`` does not use. Call it when no thread uses them any more."""
        if current is None or self.faces is not current.faces:
            self.faces.close()
        if self.hands is not None and (current is None or self.hands is not current.hands):
            self.hands.close()


def load_models(
    config: PipelineConfig, previous: LoadedModels | None = None, changed: AbstractSet[str] = RELOADABLE
) -> LoadedModels:
    """Load the networks of a configuration. Any thread may call it; it takes up to some seconds.

    Args:
        config: names the networks.
        previous: networks to keep if none of their settings changed.
        changed: names of the settings that changed; a file of the same name is read again.

    Raises:
        ConfigError: the label map or the gestures cannot be used with the classifier.
        ModelError: a model is missing or cannot be used.
        ProviderError: the execution provider is not available.
    """
    if previous is None:
        hands = create_hand_detector(config) if config.hands else None
        points = create_face_points(config) if config.head_pose else None
        return LoadedModels(create_face_detector(config), hands, EmotionModel(config), points, create_eyes(config))
    faces = create_face_detector(config) if changed & FACE_OPTIONS else previous.faces
    emotion = EmotionModel(config) if changed & EMOTION_OPTIONS else previous.emotion
    hands = previous.hands
    if config.hands and changed & HAND_OPTIONS:
        hands = create_hand_detector(config)
    points = previous.face_points
    if config.head_pose and changed & POINT_OPTIONS:
        points = create_face_points(config)
    eyes = create_eyes(config) if changed & EYE_OPTIONS else previous.eyes
    return LoadedModels(faces, hands, emotion, points, eyes)


def create_face_detector(config: PipelineConfig) -> FaceDetector:
    """Load the face detector of a configuration.

    Raises:
        ModelError: its model is missing or cannot be used.
        ProviderError: the execution provider is not available.
    """
    default = default_face_model() if config.face_detector == "emotion_faces" else None
    model = find_model(config.face_model) if config.face_model else default
    settings = FaceSettings(model, config.provider, config.threads, config.face_input_size)
    return FACE_DETECTORS[config.face_detector](settings)


def create_face_points(config: PipelineConfig) -> FacePointsNetwork:
    """Load the face landmark network of a configuration.

    Raises:
        ModelError: its model is missing or cannot be used.
        ProviderError: the execution provider is not available.
    """
    named = config.face_landmark_model
    model = find_model(named) if named else default_face_landmark_model()
    return FacePointsNetwork(model, config.provider, config.threads)


def create_eyes(config: PipelineConfig) -> EyelidNetwork | None:
    """Load the eye network of a configuration.

    Returns:
        None if it is switched off, has no landmarks to start from, or the one of this package is not installed: then
        the head decides alone about attention, and all else works.

    Raises:
        ModelError: the model that the configuration names is missing, or the model cannot be used.
        ProviderError: the execution provider is not available.
    """
    if not (config.eyes and config.head_pose):
        return None
    try:
        model = find_model(config.eye_model) if config.eye_model else default_eye_model()
    except ModelError as error:
        if config.eye_model:
            raise
        LOG.warning("%s. Eyes that look down count as attention until then", error)
        return None
    return EyelidNetwork(model, config.provider, config.threads)


def create_hand_detector(config: PipelineConfig) -> HandDetector:
    """Load the hand detector of a configuration.

    Raises:
        ModelError: a model or a library is missing or cannot be used.
        ProviderError: the execution provider is not available.
    """
    name = config.hand_detector
    if name != "emotion_hands":
        return HAND_DETECTORS[name](HandSettings(config.max_hands))
    names = config.hand_model, config.hand_landmark_model
    models = [find_model(own) if own else default for own, default in zip(names, default_hand_models(), strict=True)]
    return HAND_DETECTORS[name](HandSettings(config.max_hands, config.provider, config.threads, *models))
