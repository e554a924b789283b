"""From images to people: the whole flow, in the order of :meth:`Pipeline.perceive_all`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ImageError
from emotion_ros.perception.emotion.affect import valence_arousal
from emotion_ros.perception.emotion.preprocess import whole_image_face
from emotion_ros.perception.filtering import NO_LABEL, UNKNOWN
from emotion_ros.perception.geometry import face_position
from emotion_ros.perception.gesture_fusion import with_gestures
from emotion_ros.perception.heads import estimate_lids, estimate_poses
from emotion_ros.perception.loaded_models import LoadedModels, load_models
from emotion_ros.perception.quality import quality
from emotion_ros.perception.schedule import (
    FrameHistory,
    HandSearch,
    advance_failed,
    plan_frame,
    select_for_classification,
)
from emotion_ros.perception.stage_timer import StageTimer
from emotion_ros.perception.state import CameraState, Frame, FrameState, associate, history_after
from emotion_ros.perception.tracking import IdGenerator
from emotion_ros.types import Emotion, ExpressionEvent, Face, Hand, HeadPose, Image, Perception

D = TypeVar("D", Face, Hand)

WARM_UP_SHAPE = 480, 640, 3
"""Image that the networks process once when they are loaded, so that the first real image does not wait."""


class Pipeline:
    """Detectors, classifier and the state of each camera. Not thread-safe: one thread owns it.

    Hands take the longest: they are searched in a second thread while faces are detected and classified.

    Args:
        config: settings.
        models: networks of this configuration; None: they are loaded.

    Raises:
        ConfigError: the label map or the gestures cannot be used with the classifier.
        ModelError: a model is missing or cannot be used.
        ProviderError: the execution provider is not available.
    """

    def __init__(self, config: PipelineConfig, models: LoadedModels | None = None) -> None:
        self._config = config
        self._models = models or load_models(config)
        self._hand_thread = ThreadPoolExecutor(1, "hands")
        self._generate_id = IdGenerator(config.deterministic_ids)
        self._cameras: dict[str, CameraState] = {}
        blank = np.zeros(WARM_UP_SHAPE, np.uint8)
        if self._models.hands is not None:
            self._models.hands.detect(blank)
        self.perceive(blank, 0.0)
        self.reset()

    @property
    def config(self) -> PipelineConfig:
        """Current settings."""
        return self._config

    @property
    def models(self) -> LoadedModels:
        """Current networks."""
        return self._models

    def configure(self, config: PipelineConfig, models: LoadedModels | None = None) -> None:
        """Replace the settings and, if given, the networks, between two images. Ids of people are kept."""
        previous, self._config = self._models, config
        if models is not None and models is not previous:
            self._models = models
            previous.close_replaced(models)
            if models.emotion is not previous.emotion:
                for camera in self._cameras.values():
                    camera.set_model(models.emotion)

    def record_failure(self, camera: str, stamp: float) -> None:
        """Count an image of a camera that could not be decoded or perceived, for the schedule."""
        state = self._camera(camera)
        state.history = advance_failed(state.history, stamp)

    def history(self, camera: str) -> FrameHistory:
        """History of a camera, which the schedule depends on."""
        return self._cameras[camera].history if camera in self._cameras else FrameHistory()

    def perceive(self, image: Image, stamp: float, camera: str = "") -> Perception:
        """Perceive all people and hands in one image; see :meth:`perceive_all`."""
        return self.perceive_all([Frame(image, stamp, camera)])[0]

    def perceive_all(self, frames: Sequence[Frame]) -> list[Perception]:
        """Perceive all people and hands in images of different cameras; their faces are classified in one run.

        Raises:
            ImageError: an image is not what :class:`Frame` describes.
            ModelError: the outputs of the classifier are not finite.
        """
        for frame in frames:
            _check(frame.image)
        timer, config, emotion = StageTimer(), self._config, self._models.emotion
        cameras = [self._camera(frame.camera) for frame in frames]
        hands_are_input = emotion.region == "face_hands"
        states = [
            FrameState(frame, plan_frame(camera.history, frame.stamp, config, hands_are_input=hands_are_input))
            for frame, camera in zip(frames, cameras, strict=True)
        ]

        concurrent = self._hand_thread.submit(timer.run, "hands", self._find_hands, states, HandSearch.CONCURRENT)
        try:
            states = timer.run("faces", self._find_faces, states)
            states = [self._track(state, camera) for state, camera in zip(states, cameras, strict=True)]
            if self._models.face_points is not None:
                states = timer.run("pose", estimate_poses, states, self._models.face_points)
            if self._models.eyes is not None:
                states = timer.run("eyes", estimate_lids, states, self._models.eyes)
            if not hands_are_input:
                states = timer.run("classify", self._classify, states, cameras)
        finally:
            wait([concurrent])  # after a failure too: the next image must not meet a search that still runs
        hands = concurrent.result()
        hands |= timer.run("hands", self._find_hands, states, HandSearch.AFTER_FACES)
        states = [associate(replace(state, hands=hands.get(index))) for index, state in enumerate(states)]
        if hands_are_input:
            states = timer.run("classify", self._classify, states, cameras)

        people = [
            timer.run("people", self._people, state, camera) for state, camera in zip(states, cameras, strict=True)
        ]
        for state, camera in zip(states, cameras, strict=True):
            camera.history = history_after(state, camera.history)
        timings, model = timer.finish(), (emotion.classifier.name, emotion.labels)
        return [
            Perception(*_size(state.frame.image), *model, persons, free_hands, timings, events)
            for state, (persons, events, free_hands) in zip(states, people, strict=True)
        ]

    def classify(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Probabilities of the published labels for crops of the model's region, n × labels, float32.

        Raises:
            ModelError: the outputs of the classifier are not finite.
        """
        emotion = self._models.emotion
        return emotion.label_map(emotion.classifier.classify(crops))

    def reset(self) -> None:
        """Forget all cameras: the next images are the first ones, and all people are new."""
        self._cameras = {}

    def close(self) -> None:
        """Free the networks."""
        self._hand_thread.shutdown()
        self._models.close_replaced()

    def _camera(self, name: str) -> CameraState:
        if name not in self._cameras:
            self._cameras[name] = CameraState(self._generate_id, self._models.emotion)
        return self._cameras[name]

    def _find_hands(self, states: Sequence[FrameState], when: HandSearch) -> dict[int, tuple[Hand, ...]]:
        """Hands by the index of the image, of the images that are searched at that time."""
        detector = self._models.hands
        if detector is None:
            return {}
        return {
            index: tuple(_frozen(detector.detect(state.frame.image, state.plan.tracked_hands)))
            for index, state in enumerate(states)
            if state.plan.hands is when and (when is HandSearch.CONCURRENT or state.detected)
        }

    def _find_faces(self, states: Sequence[FrameState]) -> list[FrameState]:
        return [replace(state, detected=tuple(_frozen(self._faces_of(state)))) for state in states]

    def _faces_of(self, state: FrameState) -> Sequence[Face]:
        image = state.frame.image
        if self._models.emotion.region == "frame":
            return [whole_image_face(image)]
        limits = self._config.min_face_confidence, self._config.min_face_size
        return self._models.faces.detect(image, *limits, state.plan.regions)

    def _track(self, state: FrameState, camera: CameraState) -> FrameState:
        ids = camera.update_tracks(state.detected, state.frame.stamp, self._config.track_timeout)
        return replace(state, ids=ids)

    def _classify(self, states: Sequence[FrameState], cameras: Sequence[CameraState]) -> list[FrameState]:
        """Classify the faces that are due, those of all images in one run."""
        selected = [
            select_for_classification(
                state.classifiable_ids, camera.emotions.last_classified, state.frame.stamp, self._config
            )
            for state, camera in zip(states, cameras, strict=True)
        ]
        faces = [
            (state.frame.image, face, hands.get(id, ()))
            for state, chosen, hands in zip(states, selected, (state.hands_by_id for state in states), strict=True)
            for id, face in zip(state.ids, state.detected, strict=True)
            if id in chosen
        ]
        rows = iter(self._models.emotion.classify(faces))
        return [
            replace(state, probabilities={id: next(rows) for id in state.ids if id in chosen})
            for state, chosen in zip(states, selected, strict=True)
        ]

    def _people(
        self, state: FrameState, camera: CameraState
    ) -> tuple[tuple[Emotion, ...], tuple[ExpressionEvent, ...], tuple[Hand, ...]]:
        """People, events and free hands of an image, with the camera's state updated by them."""
        stamp, hands, config = state.frame.stamp, state.hands_by_id, self._config
        recognized = {
            id: camera.gestures.recognize(id, face.box, hands[id], stamp)
            for id, face in zip(state.ids, state.detected, strict=True)
            if id in hands
        }
        qualities = {
            id: self._quality(state.frame.image, face, state.poses.get(id))
            for id, face in zip(state.ids, state.detected, strict=True)
            if id in recognized or id in state.probabilities
        }
        for id, probabilities in state.probabilities.items():  # also of false faces: else they would stay new for ever
            fused = self._fuse(probabilities, recognized.get(id, ()))
            camera.emotions.update(id, fused, qualities[id], stamp, config.smoothing, config.personal_baseline)
        people = [
            self._person(state, camera, state.ids[index], state.detected[index], recognized, qualities)
            for index in state.kept
        ]
        free_hands = camera.gestures.recognize("", None, state.free_hands, stamp)
        return *camera.social.update(people, camera.tracker.ids, stamp, config), free_hands

    def _quality(self, image: Image, face: Face, pose: HeadPose | None) -> float:
        return 1.0 if self._models.emotion.region == "frame" else quality(image, face, pose)

    def _fuse(self, probabilities: NDArray[np.float32], hands: Sequence[Hand]) -> NDArray[np.float32]:
        weight, emotion = self._config.gesture_weight, self._models.emotion
        if not weight or emotion.region != "face":  # a crop that contains the hands includes their gestures
            return probabilities
        return with_gestures(probabilities, hands, emotion.gesture_classes, weight)

    def _person(
        self,
        state: FrameState,
        camera: CameraState,
        id: str,
        face: Face,
        hands: dict[str, tuple[Hand, ...]],
        qualities: dict[str, float],
    ) -> Emotion:
        emotion, frame, pose = self._models.emotion, state.frame, state.poses.get(id)
        filtered = camera.emotions.probabilities(id)
        valence, arousal = valence_arousal(emotion.classifier.metadata.labels, filtered)
        merged = emotion.label_map(filtered)
        merged.setflags(write=False)
        label = camera.emotions.update_label(id, emotion.labels, merged, self._config.min_confidence)
        return Emotion(
            id=id,
            label=UNKNOWN if label == NO_LABEL else label,
            confidence=float(merged.max() if label == NO_LABEL else merged[emotion.labels.index(label)]),
            probabilities=merged,
            valence=valence,
            arousal=arousal,
            face=face,
            hands=hands[id],
            quality=qualities[id],
            position=face_position(face, frame.intrinsics, *_size(frame.image), pose),
            head_pose=pose,
            lid_height=state.lid_heights.get(id),
        )


def _frozen(detections: Sequence[D]) -> Sequence[D]:
    """Make the landmarks read-only: they leave the pipeline in a frozen value."""
    for detection in detections:
        detection.landmarks.setflags(write=False)
    return detections


def _size(image: Image) -> tuple[int, int]:
    """Width and height."""
    return image.shape[1], image.shape[0]


def _check(image: Image) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"expected a BGR image of height × width × 3 in uint8, got {image.shape} in {image.dtype}")
