"""Convert results to messages of this package and back, for any library that provides the message types."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import Box, Emotion, Face, Hand, HeadPose, Perception


@dataclass(frozen=True)
class MessageTypes:
    """Message types of a library such as rclpy or rosbags.

    Attributes:
        emotion_array, emotion, hand: of this package.
        region: sensor_msgs/RegionOfInterest.
        point: geometry_msgs/Point.
        floats: converts an array to what the library takes for ``float32[]``.
    """

    emotion_array: Any
    emotion: Any
    hand: Any
    region: Any
    point: Any
    floats: Callable[[NDArray[np.float32]], Any]


def emotion_array(perception: Perception, header: Any, types: MessageTypes) -> Any:
    """Return the message of an image; ``header`` is the image's."""
    return types.emotion_array(
        header=header,
        model=perception.model,
        labels=list(perception.labels),
        width=perception.width,
        height=perception.height,
        emotions=[_emotion(person, types) for person in perception.people],
        hands=[_hand(hand, types) for hand in perception.hands],
    )


def _emotion(person: Emotion, types: MessageTypes) -> Any:
    x, y, z = person.position or (math.nan,) * 3
    head = person.head_pose or HeadPose(math.nan, math.nan, math.nan)
    return types.emotion(
        id=person.id,
        label=person.label,
        confidence=person.confidence,
        probabilities=types.floats(person.probabilities.astype(np.float32)),
        valence=person.valence,
        arousal=person.arousal,
        face=_region(person.face.box, types),
        face_confidence=person.face.confidence,
        quality=person.quality,
        position=types.point(x=x, y=y, z=z),
        head_yaw=head.yaw,
        head_pitch=head.pitch,
        head_roll=head.roll,
        attention=math.nan if person.attention is None else person.attention,
        engagement=person.engagement,
        hands=[_hand(hand, types) for hand in person.hands],
    )


def _hand(hand: Hand, types: MessageTypes) -> Any:
    return types.hand(
        side=hand.side,
        gesture=hand.gesture,
        gesture_confidence=hand.gesture_confidence,
        box=_region(hand.box, types),
        confidence=min(hand.confidence, 1.0),
        landmarks_x=np.ascontiguousarray(hand.landmarks[:, 0], np.float32),
        landmarks_y=np.ascontiguousarray(hand.landmarks[:, 1], np.float32),
    )


def _region(box: Box, types: MessageTypes) -> Any:
    x, y, width, height = box.rounded()
    return types.region(x_offset=x, y_offset=y, width=width, height=height, do_rectify=False)


def seconds(header: Any) -> float:
    """Return the stamp of a message in seconds."""
    return float(header.stamp.sec + header.stamp.nanosec * 1e-9)


def to_perception(message: Any) -> Perception:
    """Return the values of an EmotionArray message; its faces have no landmarks, which the message does not carry."""
    return Perception(
        width=message.width,
        height=message.height,
        model=message.model,
        labels=tuple(message.labels),
        people=tuple(_to_person(person) for person in message.emotions),
        hands=tuple(_to_hand(hand) for hand in message.hands),
    )


def _to_person(message: Any) -> Emotion:
    x, y, z = message.position.x, message.position.y, message.position.z
    head = HeadPose(message.head_yaw, message.head_pitch, message.head_roll)
    return Emotion(
        id=message.id,
        label=message.label,
        confidence=message.confidence,
        probabilities=np.asarray(message.probabilities, np.float32),
        valence=message.valence,
        arousal=message.arousal,
        face=Face(_to_box(message.face), message.face_confidence, np.zeros((0, 2), np.float32)),
        hands=tuple(_to_hand(hand) for hand in message.hands),
        quality=message.quality,
        position=None if math.isnan(z) else (x, y, z),
        head_pose=None if math.isnan(head.yaw) else head,
        attention=None if math.isnan(message.attention) else message.attention,
        engagement=message.engagement,
    )


def _to_hand(message: Any) -> Hand:
    landmarks = np.stack([message.landmarks_x, message.landmarks_y], 1).astype(np.float32)
    return Hand(
        message.side, _to_box(message.box), message.confidence, landmarks, message.gesture, message.gesture_confidence
    )


def _to_box(region: Any) -> Box:
    return Box(float(region.x_offset), float(region.y_offset), float(region.width), float(region.height))
