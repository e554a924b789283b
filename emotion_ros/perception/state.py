"""State of a camera, and results of one of its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.association import associate_hands, filter_false_faces
from emotion_ros.perception.baseline import neutral_index
from emotion_ros.perception.emotion.emotion_model import EmotionModel
from emotion_ros.perception.filtering import EmotionFilter
from emotion_ros.perception.geometry import CameraIntrinsics
from emotion_ros.perception.gestures import GestureRecognizer
from emotion_ros.perception.schedule import FrameHistory, FramePlan, advance
from emotion_ros.perception.social import SocialTracker
from emotion_ros.perception.tracking import Tracker
from emotion_ros.types import Face, Hand, HeadPose, Image


@dataclass(frozen=True)
class Frame:
    """An image to process.

    Attributes:
        image: BGR, uint8, height × width × 3.
        stamp: seconds; only differences between images of a camera are meaningful.
        camera: name; images of a camera form a sequence.
        intrinsics: of the camera; None: unknown.
    """

    image: Image
    stamp: float
    camera: str = ""
    intrinsics: CameraIntrinsics | None = None


@dataclass(frozen=True)
class FrameState:
    """Results of one image. Each stage of the pipeline returns a copy with its results added.

    Attributes:
        frame: the image.
        plan: what is processed in it.
        detected: all detected faces, from left to right.
        ids: of the detected faces.
        poses: of the heads, by id; without those that were not estimated.
        lid_heights: see :attr:`Emotion.lid_height`, by id; likewise.
        hands: all detected hands; None: not searched.
        kept: indices of the detected faces that are not hands.
        owned_hands: hands of each kept face.
        free_hands: hands that belong to no face.
        is_associated: hands are known, and faces that are hands are removed from ``kept``.
        probabilities: by id, of the faces that were classified in this image.
    """

    frame: Frame
    plan: FramePlan
    detected: tuple[Face, ...] = ()
    ids: tuple[str, ...] = ()
    poses: Mapping[str, HeadPose] = field(default_factory=dict)
    lid_heights: Mapping[str, float] = field(default_factory=dict)
    hands: tuple[Hand, ...] | None = None
    kept: tuple[int, ...] = ()
    owned_hands: tuple[tuple[Hand, ...], ...] = ()
    free_hands: tuple[Hand, ...] = ()
    is_associated: bool = False
    probabilities: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def classifiable_ids(self) -> tuple[str, ...]:
        """Ids of the faces to classify: without those that are hands, once that is known."""
        return tuple(self.ids[index] for index in self.kept) if self.is_associated else self.ids

    @property
    def hands_by_id(self) -> Mapping[str, tuple[Hand, ...]]:
        """Hands of each kept face; empty before the hands are associated."""
        return {self.ids[index]: hands for index, hands in zip(self.kept, self.owned_hands, strict=True)}


def associate(state: FrameState) -> FrameState:
    """Remove faces that are hands, and assign each hand to a face."""
    hands = state.hands or ()
    kept = tuple(filter_false_faces(state.detected, hands))
    owned, free = associate_hands([state.detected[index] for index in kept], hands)
    return replace(state, kept=kept, owned_hands=tuple(owned), free_hands=free, is_associated=True)


def history_after(state: FrameState, before: FrameHistory) -> FrameHistory:
    """History of a camera after an image; ``before``: its history before the image."""
    return advance(
        before,
        state.frame.stamp,
        state.plan,
        [face.box for face in state.detected],
        has_face=bool(state.kept),
        hands=state.hands,
    )


class CameraState:
    """State of a camera between two images. Owned by the thread that runs the pipeline.

    Attributes:
        history: what the schedule depends on.
        tracker: ids of faces.
        emotions: filtered emotions by id.
        gestures: positions of hands over time.
        social: attention, engagement and current expression by id.
    """

    def __init__(self, generate_id: Callable[[], str], model: EmotionModel) -> None:
        self.history = FrameHistory()
        self.tracker = Tracker(generate_id)
        self.social = SocialTracker()
        self.set_model(model)

    def set_model(self, model: EmotionModel) -> None:
        """Discard all results of the previous model; ids are kept."""
        self.emotions = EmotionFilter(neutral_index(model.classifier.metadata.labels))
        self.gestures = GestureRecognizer(model.gestures)

    def update_tracks(self, faces: Sequence[Face], stamp: float, timeout: float) -> tuple[str, ...]:
        """Assign an id to each face and forget the faces that were not seen for ``timeout`` seconds."""
        ids = self.tracker.update([face.box for face in faces], stamp, timeout)
        self.emotions.keep_only(self.tracker.ids)
        self.gestures.expire(stamp)
        return tuple(ids)
