"""People in the way of REP-155: topics under /humans that appear and vanish with a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from hri_msgs.msg import (
    Expression,
    FacialLandmarks,
    Gesture,
    IdsList,
    NormalizedPointOfInterest2D,
    NormalizedRegionOfInterest2D,
)
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from emotion_ros.io.drawing import letterbox
from emotion_ros.io.emotion_messages import seconds
from emotion_ros.nodes.image_conversion import to_message
from emotion_ros.types import Emotion, Face, Hand, Image, Perception

QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""What libhri subscribes with."""

SIDE = 128
"""Pixels of the cropped and of the aligned face (REP-155)."""

EYES = np.array([(0.31, 0.46), (0.69, 0.46)]) * SIDE
"""Where an aligned face has its right and left eye, pixels: level, and all of the face in the picture."""

WORDS = {
    "angry": Expression.ANGRY,
    "anger": Expression.ANGRY,
    "disgust": Expression.DISGUSTED,
    "disgusted": Expression.DISGUSTED,
    "fear": Expression.SCARED,
    "happy": Expression.HAPPY,
    "happiness": Expression.HAPPY,
    "neutral": Expression.NEUTRAL,
    "sad": Expression.SAD,
    "sadness": Expression.SAD,
    "surprise": Expression.SURPRISED,
    "surprised": Expression.SURPRISED,
}
"""Our label to the standard's word. A label without one is not published: listeners know these words only."""

GESTURES = {
    "hand_on_face": "HANDS_ON_FACE",
    "waving": "WAVING",
    "fist": "CLOSED_FIST",
    "open_palm": "OPEN_PALM",
    "thumb_down": "THUMB_DOWN",
    "thumb_up": "THUMB_UP",
    "victory": "VICTORY",
    "love": "LOVE",
}
"""Our gesture to the name of hri_msgs' number; what the installed hri_msgs lacks is OTHER."""

LANDMARKS = {0: FacialLandmarks.RIGHT_PUPIL, 1: FacialLandmarks.LEFT_PUPIL, 2: FacialLandmarks.NOSE}
"""Our landmark to the standard's."""

POINTS_UP = 0.7
"""Least share of a pointing finger's length that goes upwards, for the standard's "pointing up": within 45°."""


@dataclass
class _Person:
    publishers: Mapping[str, Publisher]
    camera: str
    seen: float = 0.0


class HriPublisher:
    """Publishes /humans/faces and /humans/bodies. A person's topics live as long as the tracker remembers the person.

    Only what somebody listens to is made.

    Args:
        node: gets the publishers.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._people: dict[str, _Person] = {}
        self._lists = {kind: self._publisher(IdsList, f"/humans/{kind}/tracked") for kind in ("faces", "bodies")}

    def publish(self, camera: str, image: Image, perception: Perception, header: Header, memory: float) -> None:
        """Tell of everybody in a camera's image; whoever it has not seen for ``memory`` seconds vanishes."""
        now = seconds(header)
        for person in perception.people:
            known = self._people.get(person.id) or self._appear(person.id, camera)
            known.seen = now
            self._tell(known.publishers, image, person, header)
        mine = {id: known for id, known in self._people.items() if known.camera == camera}
        for id in [id for id, known in mine.items() if not 0 <= now - known.seen <= memory]:
            self._vanish(id)
        self._list(header)

    @property
    def heard(self) -> bool:
        """Whether somebody subscribes to any of it."""
        people = (publisher for known in self._people.values() for publisher in known.publishers.values())
        return any(_heard(publisher) for publisher in (*self._lists.values(), *people))

    def publish_empty(self) -> None:
        """Nobody is tracked any more: empty lists, and no topics of people."""
        for id in list(self._people):
            self._vanish(id)
        header = Header()
        header.stamp = self._node.get_clock().now().to_msg()
        self._list(header)

    def close(self) -> None:
        """Say goodbye and take the lists away too."""
        self.publish_empty()
        for publisher in self._lists.values():
            self._node.destroy_publisher(publisher)

    def _publisher(self, kind: type[Any], topic: str) -> Publisher:
        # without the default event callbacks the executor does not wait on it: it may come and go from any thread
        return self._node.create_publisher(
            kind, topic, QOS, event_callbacks=PublisherEventCallbacks(use_default_callbacks=False)
        )

    def _appear(self, id: str, camera: str) -> _Person:
        face, body = f"/humans/faces/{id}", f"/humans/bodies/{id}"
        kinds = {
            "roi": (NormalizedRegionOfInterest2D, face),
            "cropped": (ImageMessage, face),
            "aligned": (ImageMessage, face),
            "landmarks": (FacialLandmarks, face),
            "expression": (Expression, face),
            "gesture": (Gesture, body),
        }
        made = {name: self._publisher(kind, f"{place}/{name}") for name, (kind, place) in kinds.items()}
        self._people[id] = _Person(made, camera)
        return self._people[id]

    def _vanish(self, id: str) -> None:
        for publisher in self._people.pop(id).publishers.values():
            self._node.destroy_publisher(publisher)

    def _list(self, header: Header) -> None:
        for publisher in self._lists.values():
            publisher.publish(IdsList(header=header, ids=list(self._people)))

    def _tell(self, to: Mapping[str, Publisher], image: Image, person: Emotion, header: Header) -> None:
        height, width = image.shape[:2]
        if _heard(to["roi"]):
            to["roi"].publish(_roi(person.face, width, height, header))
        if _heard(to["cropped"]):
            to["cropped"].publish(to_message(_cropped(image, person.face), header))
        if _heard(to["aligned"]):
            to["aligned"].publish(to_message(aligned(image, person.face), header))
        if _heard(to["landmarks"]):
            to["landmarks"].publish(_landmarks(person.face, width, height, header))
        if _heard(to["expression"]) and person.label in WORDS:
            to["expression"].publish(_expression(person, header))
        if _heard(to["gesture"]):
            for hand in person.hands:
                if hand.gesture not in ("", "none"):
                    to["gesture"].publish(_gesture(hand, header))


def _heard(publisher: Publisher) -> bool:
    return bool(publisher.get_subscription_count())


def _roi(face: Face, width: int, height: int, header: Header) -> NormalizedRegionOfInterest2D:
    box = face.box.clipped(width, height)
    return NormalizedRegionOfInterest2D(
        header=header,
        xmin=box.x / width,
        ymin=box.y / height,
        xmax=(box.x + box.width) / width,
        ymax=(box.y + box.height) / height,
        c=face.confidence,
    )


def _cropped(image: Image, face: Face) -> Image:
    """The face at 128 × 128, its shape kept, black around it."""
    x, y, width, height = face.box.clipped(image.shape[1], image.shape[0]).rounded()
    crop = image[y : y + max(height, 1), x : x + max(width, 1)]
    return letterbox(crop if crop.size else np.zeros((1, 1, 3), np.uint8), (SIDE, SIDE))


def aligned(image: Image, face: Face) -> Image:
    """The face at 128 × 128 with its eyes at :data:`EYES`; as it is where its eyes are not known."""
    if len(face.landmarks) < 2 or not np.ptp(face.landmarks[:2], axis=0).any():
        return _cropped(image, face)
    (x0, y0), (x1, y1) = face.landmarks[:2].astype(float)
    (u0, v0), (u1, v1) = EYES
    across = complex(u1 - u0, v1 - v0) / complex(x1 - x0, y1 - y0)
    move = complex(u0, v0) - across * complex(x0, y0)
    turn = np.array([[across.real, -across.imag, move.real], [across.imag, across.real, move.imag]])
    return np.asarray(cv2.warpAffine(image, turn, (SIDE, SIDE)), np.uint8)


def _landmarks(face: Face, width: int, height: int, header: Header) -> FacialLandmarks:
    message = FacialLandmarks(header=header, width=width, height=height)
    for ours, theirs in LANDMARKS.items():
        if ours < len(face.landmarks):
            x, y = face.landmarks[ours].tolist()
            message.landmarks[theirs] = NormalizedPointOfInterest2D(x=x / width, y=y / height, c=face.confidence)
    return message


def _expression(person: Emotion, header: Header) -> Expression:
    return Expression(
        header=header,
        expression=WORDS[person.label],
        valence=0.0 if np.isnan(person.valence) else person.valence,
        arousal=0.0 if np.isnan(person.arousal) else person.arousal,
        confidence=min(person.confidence, 1.0),
    )


def _gesture(hand: Hand, header: Header) -> Gesture:
    name = "POINTING_UP" if hand.gesture == "pointing" and _points_up(hand) else GESTURES.get(hand.gesture, "OTHER")
    message = Gesture(header=header, gesture=getattr(Gesture, name, Gesture.OTHER))
    if hasattr(message, "handedness"):  # hri_msgs before 2.2 has none
        message.handedness = {"right": Gesture.RIGHT, "left": Gesture.LEFT}.get(hand.side, Gesture.INDEPENDENT)
    return message


def _points_up(hand: Hand) -> bool:
    x, y = (hand.landmarks[8] - hand.landmarks[5]).tolist()
    return bool(-y >= POINTS_UP * float(np.hypot(x, y)) > 0)
