"""The whole flow, read from top to bottom: images go in, what was perceived comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ImageError
from emotion_ros.inference.catalog import default_face_model, find_model
from emotion_ros.perception.detection import FACE_DETECTORS, HAND_DETECTORS, FaceDetector, FaceSettings
from emotion_ros.perception.emotion.affect import valence_arousal
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.emotion.emotion_model import EmotionModel
from emotion_ros.perception.filtering import LABEL_HYSTERESIS
from emotion_ros.perception.geometry import face_position
from emotion_ros.perception.gesture_fusion import with_gestures
from emotion_ros.perception.quality import quality
from emotion_ros.perception.state import CameraState, Frame, FrameState, classify
from emotion_ros.perception.tracking import IdGenerator
from emotion_ros.types import Box, Emotion, Face, Hand, Image, Perception

R = TypeVar("R")

HAND_SEARCH_INTERVAL_S = 0.1

UNKNOWN = "unknown"
"""Label of a person whose best probability is below the confidence floor."""


FACES = frozenset({"face_detector", "face_model", "face_input_size"})
JUDGING = frozenset({"model", "labels", "label_map", "gestures", "gesture_emotions"})
RUNNING = frozenset({"provider", "threads"})
RELOADED = FACES | JUDGING | RUNNING
"""Settings that :meth:`Pipeline.reload` changes while images come: of the face detector, the judge, or both."""


class Pipeline:
    """Detectors and classifier, loaded and warm, and what each camera has seen of late. Not for two threads at once.

    Hands take the longest: they are looked for in a thread beside faces and their classification; where nobody was of
    late, only after a face is found.

    ``config`` may be replaced between two images; of a replaced one only the live settings count.

    Raises:
        ConfigError: the label map, the gestures or what they speak for cannot be used with this model.
        ModelError: a model is missing or cannot be used.
        ProviderError: the execution provider is not available.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self.config = config
        self._loaded = _Loaded(EmotionModel(config), create_face_detector(config))
        self._replaced: list[FaceDetector] = []
        self._hands = HAND_DETECTORS["mediapipe"](config.max_hands) if config.hands else None
        self._beside = ThreadPoolExecutor(1, "hands")
        self._names = IdGenerator(config.deterministic_ids)
        self._memories: dict[str, CameraState] = {}
        nothing = np.zeros((480, 640, 3), np.uint8)
        if self._hands:
            self._hands.detect(nothing)
        self.perceive(nothing, 0.0)
        self.forget()

    @property
    def classifier(self) -> EmotionClassifier:
        """The one that runs now."""
        return self._loaded.judge.classifier

    @property
    def engines(self) -> dict[str, str]:
        """How the TensorRT engines fare that do not run, by what they are for."""
        each = {"classifier": self.classifier.engine_status, "faces": self._loaded.faces.engine_status}
        return {name: text for name, text in each.items() if text}

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the probabilities that come out."""
        return self._loaded.judge.label_map.labels

    def reload(self, config: PipelineConfig, names: Set[str] = RELOADED) -> None:
        """Use those settings of ``config`` from the next image on, which another thread may be at.

        Args:
            config: holds them.
            names: of :data:`RELOADED`; a file that has the same name as before is read anew.

        Raises:
            EmotionRosError: as at the beginning; what ran before goes on.
        """
        before = self._loaded
        faces = create_face_detector(config) if names & (FACES | RUNNING) else before.faces
        judge = EmotionModel(config) if names & (JUDGING | RUNNING) else before.judge
        self._loaded = _Loaded(judge, faces)
        if faces is not before.faces:
            self._replaced.append(before.faces)

    def perceive(self, image: Image, stamp: float, camera: str = "") -> Perception:
        """All people and hands in one image; see :meth:`perceive_all`."""
        return self.perceive_all([Frame(image, stamp, camera)])[0]

    def perceive_all(self, shots: Sequence[Frame]) -> list[Perception]:
        """All people and hands in images of different cameras, their faces classified in one run.

        Raises:
            ImageError: one of them is no image as :class:`Frame` says.
            ModelError: the classifier's outputs are no finite numbers.
        """
        for shot in shots:
            _check(shot.image)
        timings: dict[str, float] = {}
        begin = time.perf_counter()
        replaced, self._replaced = self._replaced, []
        loaded = self._loaded
        for detector in replaced:  # nobody looks through it any more
            detector.close()
        scenes = [FrameState(shot, self._memory(shot.camera, loaded.judge)) for shot in shots]
        self._look(scenes, loaded, timings)
        perceptions = [_timed(timings, "people", self._perception, scene, timings) for scene in scenes]
        timings["total"] = 1000 * (time.perf_counter() - begin)
        return perceptions

    def classify(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Probabilities of :attr:`labels` for crops that are cut out already, n × labels, float32.

        Raises:
            ModelError: the classifier's outputs are no finite numbers.
        """
        judge = self._loaded.judge
        return judge.label_map(judge.classifier.classify(crops))

    def forget(self) -> None:
        """Whoever is seen next is somebody new: the next image has nothing to do with those before."""
        self._memories = {}

    def close(self) -> None:
        """Free the detectors."""
        self._beside.shutdown()
        for detector in (*self._replaced, self._loaded.faces):
            detector.close()
        if self._hands:
            self._hands.close()

    def _look(self, scenes: Sequence[FrameState], loaded: _Loaded, timings: dict[str, float]) -> None:
        """What is in each scene, and who is who."""
        judge, config = loaded.judge, self.config
        turns = config.max_classifications_per_image, config.classification_interval
        hands_matter = judge.classifier.contract.region == "face_hands"
        looked_for = [scene for scene in scenes if hands_matter or not self._pauses(scene)] if self._hands else []
        early = [scene for scene in looked_for if self._expects_hands(scene)]
        pending = self._beside.submit(_timed, timings, "hands", self._find_hands, early)
        _timed(timings, "faces", self._find_faces, loaded, scenes)
        if not hands_matter:
            _timed(timings, "classify", classify, judge, scenes, *turns)
        pending.result()
        late = [scene for scene in looked_for if scene.faces and not self._expects_hands(scene)]
        _timed(timings, "hands", self._find_hands, late)
        for scene in scenes:
            scene.share_hands()
        if hands_matter:
            _timed(timings, "classify", classify, judge, scenes, *turns)

    def _memory(self, camera: str, judge: EmotionModel) -> CameraState:
        memory = self._memories.setdefault(camera, CameraState(self._names, judge))
        memory.heed(judge)
        memory.tracker.memory = self.config.track_timeout
        return memory

    def _find_faces(self, loaded: _Loaded, scenes: Sequence[FrameState]) -> None:
        config, least = self.config, (self.config.min_face_confidence, self.config.min_face_size)
        whole = loaded.judge.classifier.contract.region == "frame"  # judged as a whole, whoever is in it
        for scene in scenes:
            image = scene.shot.image
            found = (
                loaded.faces.detect(image, *least, scene.near(config.face_search_interval))
                if not whole
                else [_whole(image)]
            )
            scene.show_faces(found)

    def _expects_hands(self, scene: FrameState) -> bool:
        """Whether hands are looked for before it is known that there is a face: where there was one of late."""
        since = abs(scene.shot.stamp - scene.memory.seen)
        return since <= self.config.track_timeout or not self.config.hands_require_face

    def _pauses(self, scene: FrameState) -> bool:
        """Whether hands were looked for a moment ago, and there were none."""
        return 0 <= scene.shot.stamp - scene.memory.no_hands < HAND_SEARCH_INTERVAL_S

    def _find_hands(self, scenes: Sequence[FrameState]) -> None:
        for scene in scenes:
            assert self._hands is not None
            scene.show_hands(self._hands.detect(scene.shot.image))

    def _perception(self, scene: FrameState, timings: dict[str, float]) -> Perception:
        """What is in a scene, in the light of what its camera saw before."""
        gestures, judge, stamp = scene.memory.gestures, scene.memory.judge, scene.shot.stamp
        each = zip(scene.ids, scene.faces, scene.owned, strict=True)
        people = tuple(
            self._person(scene, id, face, gestures.recognize(id, face.box, hands, stamp)) for id, face, hands in each
        )
        loose = gestures.recognize("", None, scene.loose, stamp)
        height, width = scene.shot.image.shape[:2]
        return Perception(width, height, judge.classifier.name, judge.label_map.labels, people, loose, timings)

    def _person(self, scene: FrameState, id: str, face: Face, hands: tuple[Hand, ...]) -> Emotion:
        config, shot, smoother, judge = self.config, scene.shot, scene.memory.smoother, scene.memory.judge
        about, labels = judge.classifier.contract, judge.label_map.labels
        seen_well = 1.0 if about.region == "frame" else quality(shot.image, face)
        if id in scene.judged:
            probabilities = scene.judged[id]
            if config.gesture_weight and about.region == "face":  # where the crop shows hands, the model itself decides
                probabilities = with_gestures(probabilities, hands, judge.speaks, config.gesture_weight)
            shown = smoother.smooth(id, probabilities, seen_well, shot.stamp, config.smoothing)
        else:
            shown = smoother.shown(id)
        valence, arousal = valence_arousal(about.labels, shown)
        merged = judge.label_map(shown)
        label = smoother.label(id, labels, merged, config.min_confidence, LABEL_HYSTERESIS)
        confidence = float(merged[labels.index(label)] if label else merged.max())
        height, width = shot.image.shape[:2]
        place = face_position(face, shot.lens, width, height)
        return Emotion(id, label or UNKNOWN, confidence, merged, valence, arousal, face, hands, seen_well, place)


@dataclass(frozen=True)
class _Loaded:
    """What was made of a config."""

    judge: EmotionModel
    faces: FaceDetector


def create_face_detector(config: PipelineConfig) -> FaceDetector:
    """The face detector that a config asks for.

    Raises:
        ModelError: its model is missing or cannot be used.
        ProviderError: the execution provider is not available.
    """
    ours = default_face_model() if config.face_detector == "emotion_faces" else None
    model = find_model(config.face_model) if config.face_model else ours
    return FACE_DETECTORS[config.face_detector](
        FaceSettings(model, config.provider, config.threads, config.face_input_size)
    )


def _timed(timings: dict[str, float], stage: str, work: Callable[..., R], *arguments: Any) -> R:
    """What the work returns; its milliseconds are added to the timings."""
    begin = time.perf_counter()
    result = work(*arguments)
    timings[stage] = timings.get(stage, 0.0) + 1000 * (time.perf_counter() - begin)
    return result


def _whole(image: Image) -> Face:
    height, width = image.shape[:2]
    return Face(Box(0.0, 0.0, width, height), 1.0, np.zeros((0, 2), np.float32))


def _check(image: Image) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"expected a BGR image of height × width × 3 in uint8, got {image.shape} in {image.dtype}")
