"""What was perceived as messages of this package, and messages as plain values, whatever library has their types."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import Box, Emotion, Face, Hand, Perception


@dataclass(frozen=True)
class MessageTypes:
    """The types of a library's messages; ``floats`` makes what it holds a float32[] in."""

    emotion_array: Any
    emotion: Any
    hand: Any
    region: Any
    point: Any
    floats: Callable[[NDArray[np.float32]], Any]


def emotion_array(perception: Perception, header: Any, kinds: MessageTypes) -> Any:
    """Everything in one message; the header is the image's."""
    return kinds.emotion_array(
        header=header,
        model=perception.model,
        labels=list(perception.labels),
        width=perception.width,
        height=perception.height,
        emotions=[_emotion(person, kinds) for person in perception.people],
        hands=[_hand(hand, kinds) for hand in perception.hands],
    )


def _emotion(person: Emotion, kinds: MessageTypes) -> Any:
    x, y, z = person.position or (float("nan"),) * 3
    return kinds.emotion(
        id=person.id,
        label=person.label,
        confidence=person.confidence,
        probabilities=kinds.floats(person.probabilities.astype(np.float32)),
        valence=person.valence,
        arousal=person.arousal,
        face=_region(person.face.box, kinds),
        face_confidence=person.face.confidence,
        quality=person.quality,
        position=kinds.point(x=x, y=y, z=z),
        hands=[_hand(hand, kinds) for hand in person.hands],
    )


def _hand(hand: Hand, kinds: MessageTypes) -> Any:
    return kinds.hand(
        side=hand.side,
        gesture=hand.gesture,
        gesture_confidence=hand.gesture_confidence,
        box=_region(hand.box, kinds),
        confidence=min(hand.confidence, 1.0),
        landmarks_x=np.ascontiguousarray(hand.landmarks[:, 0], np.float32),
        landmarks_y=np.ascontiguousarray(hand.landmarks[:, 1], np.float32),
    )


def _region(box: Box, kinds: MessageTypes) -> Any:
    x, y, width, height = box.rounded()
    return kinds.region(x_offset=x, y_offset=y, width=width, height=height, do_rectify=False)


def seconds(header: Any) -> float:
    """The stamp of a message."""
    return float(header.stamp.sec + header.stamp.nanosec * 1e-9)


def to_perception(message: Any) -> Perception:
    """Values of an EmotionArray message of any library. Messages carry no face landmarks: there are none."""
    return Perception(
        width=message.width,
        height=message.height,
        model=message.model,
        labels=tuple(message.labels),
        people=tuple(_to_person(each) for each in message.emotions),
        hands=tuple(_to_hand(each) for each in message.hands),
    )


def _to_person(message: Any) -> Emotion:
    x, y, z = message.position.x, message.position.y, message.position.z
    return Emotion(
        id=message.id,
        label=message.label,
        confidence=message.confidence,
        probabilities=np.asarray(message.probabilities, np.float32),
        valence=message.valence,
        arousal=message.arousal,
        face=Face(_to_box(message.face), message.face_confidence, np.zeros((0, 2), np.float32)),
        hands=tuple(_to_hand(each) for each in message.hands),
        quality=message.quality,
        position=None if math.isnan(z) else (x, y, z),
    )


def _to_hand(message: Any) -> Hand:
    landmarks = np.stack([message.landmarks_x, message.landmarks_y], 1).astype(np.float32)
    return Hand(
        message.side, _to_box(message.box), message.confidence, landmarks, message.gesture, message.gesture_confidence
    )


def _to_box(region: Any) -> Box:
    return Box(float(region.x_offset), float(region.y_offset), float(region.width), float(region.height))
