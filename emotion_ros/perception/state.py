"""What a camera sees in one image, and what it has seen of late."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.association import associate_hands, filter_false_faces
from emotion_ros.perception.emotion.emotion_model import EmotionModel
from emotion_ros.perception.filtering import EmotionFilter
from emotion_ros.perception.geometry import CameraIntrinsics
from emotion_ros.perception.gestures import GestureRecognizer
from emotion_ros.perception.tracking import Tracker
from emotion_ros.types import Box, Face, Hand, Image


@dataclass(frozen=True)
class Frame:
    """An image (BGR, uint8, h × w × 3) that a camera took at ``stamp`` seconds, through a lens where that is known."""

    image: Image
    stamp: float
    camera: str = ""
    lens: CameraIntrinsics | None = None


class CameraState:
    """What one camera has seen of late, as one judge sees it; people keep their ids when the judge changes.

    Attributes:
        tracker, smoother, gestures: who is who, what each has shown, and which gestures.
        seen: stamp of the last image with a face.
        no_hands: stamp of the last image in which hands were looked for, if there were none.
        searched: stamp of the last image that was searched for faces as a whole.
        boxes: of the faces in the last image.
    """

    def __init__(self, names: Callable[[], str], judge: EmotionModel) -> None:
        self.tracker = Tracker(names)
        self.seen = self.no_hands = self.searched = -math.inf
        self.boxes: list[Box] = []
        self._begin(judge)

    def heed(self, judge: EmotionModel) -> None:
        """Begin to see as this judge does, where it is another."""
        if judge is not self.judge:
            self._begin(judge)

    def recognise(self, faces: Sequence[Face], stamp: float) -> list[str]:
        """Whose face each is."""
        ids = self.tracker.update([face.box for face in faces], stamp)
        self.smoother.keep(self.tracker.ids)
        self.gestures.expire(stamp)
        return ids

    def _begin(self, judge: EmotionModel) -> None:
        self.judge, self.smoother, self.gestures = judge, EmotionFilter(), GestureRecognizer(judge.gestures)


@dataclass
class FrameState:
    """One shot, while stage by stage it becomes known what is in it.

    Attributes:
        shot: the image.
        memory: of its camera.
        faces, ids, owned: one each per face: the face, whose it is, and the hands that belong to it.
        hands: all of them.
        loose: those that belong to nobody.
        judged: probabilities by id, of those who are classified in this image.
    """

    shot: Frame
    memory: CameraState
    faces: list[Face] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    owned: list[tuple[Hand, ...]] = field(default_factory=list)
    hands: Sequence[Hand] = ()
    loose: tuple[Hand, ...] = ()
    judged: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def near(self, pause: float) -> Sequence[Box]:
        """Where faces were in the image before; nowhere in particular where all of this image is to be searched, which
        is remembered: ``pause`` seconds after the last such search."""
        if 0 < self.shot.stamp - self.memory.searched < pause and self.memory.boxes:
            return self.memory.boxes
        self.memory.searched = self.shot.stamp
        return ()

    def show_faces(self, faces: Sequence[Face]) -> None:
        """These were found."""
        self.memory.boxes = [face.box for face in faces]
        self.faces, self.owned = list(faces), [()] * len(faces)
        self.ids = self.memory.recognise(faces, self.shot.stamp)

    def show_hands(self, hands: Sequence[Hand]) -> None:
        """These were found."""
        self.hands = hands
        self.memory.no_hands = -math.inf if hands else self.shot.stamp

    def share_hands(self) -> None:
        """Now that the hands are known: forget faces that are hands, and give each hand to whom it belongs."""
        kept = filter_false_faces(self.faces, self.hands)
        self.faces, self.ids = [self.faces[index] for index in kept], [self.ids[index] for index in kept]
        self.owned, self.loose = associate_hands(self.faces, self.hands)
        if self.faces:
            self.memory.seen = self.shot.stamp


def classify(judge: EmotionModel, scenes: Sequence[FrameState], most: int, pause: float) -> None:
    """Judge the faces whose turn it is (see :meth:`EmotionFilter.due`), those of all scenes in one run."""
    turns: list[tuple[FrameState, int]] = []
    for scene in scenes:
        due: Set[str] = scene.memory.smoother.due(scene.ids, scene.shot.stamp, most, pause)
        turns += [(scene, index) for index, id in enumerate(scene.ids) if id in due]
    found = judge.classify([(scene.shot.image, scene.faces[index], scene.owned[index]) for scene, index in turns])
    for (scene, index), probabilities in zip(turns, found, strict=True):
        scene.judged[scene.ids[index]] = probabilities
