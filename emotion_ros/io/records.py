"""Results as plain values, for JSON output, recordings, the HTTP API and the live page."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from emotion_ros.types import Emotion, ExpressionEvent, GroupMood, Hand, HeadPose, Perception


def perception_record(perception: Perception) -> dict[str, Any]:
    """Return width, height, people, hands and events of an image as JSON values.

    Boxes are ``[x, y, width, height]`` in whole pixels, landmarks ``[x, y]`` in pixels, positions ``[x, y, z]`` in
    metres, head poses ``{yaw, pitch, roll}`` in radians. What is unknown is None.
    """
    return {
        "width": perception.width,
        "height": perception.height,
        "people": [_person_record(person, perception.labels) for person in perception.people],
        "hands": [_hand_record(hand) for hand in perception.hands],
        "events": [event_record(event) for event in perception.events],
    }


def event_record(event: ExpressionEvent) -> dict[str, Any]:
    """Return a change of expression as JSON values; see :class:`emotion_ros.types.ExpressionEvent`."""
    return {
        "id": event.id,
        "from": event.from_label,
        "to": event.to_label,
        "onset": round(event.onset, 4),
        "confidence": round(event.confidence, 4),
        "peak": round(event.peak, 4),
        "duration": round(event.duration, 4),
    }


def group_record(group: GroupMood) -> dict[str, Any]:
    """Return a group as JSON values; see :class:`emotion_ros.types.GroupMood`. What is unknown is None."""
    return {
        "people": group.people,
        "attending": group.attending,
        "distribution": {
            label: round(float(value), 4) for label, value in zip(group.labels, group.distribution, strict=True)
        },
        "valence": _finite(group.valence),
        "valence_trend": _finite(group.valence_trend),
    }


def _person_record(person: Emotion, labels: tuple[str, ...]) -> dict[str, Any]:
    pairs = zip(labels, person.probabilities, strict=True)
    return {
        "id": person.id,
        "label": person.label,
        "confidence": round(person.confidence, 4),
        "probabilities": {label: round(float(value), 4) for label, value in pairs},
        "valence": _finite(person.valence),
        "arousal": _finite(person.arousal),
        "face": list(person.face.box.rounded()),
        "face_confidence": round(person.face.confidence, 4),
        "quality": round(person.quality, 4),
        "position": None if person.position is None else [round(value, 3) for value in person.position],
        "head_pose": _head_record(person.head_pose),
        "attention": None if person.attention is None else round(person.attention, 4),
        "engagement": person.engagement,
        "hands": [_hand_record(hand) for hand in person.hands],
    }


def _head_record(pose: HeadPose | None) -> dict[str, float] | None:
    return None if pose is None else {name: round(getattr(pose, name), 4) for name in ("yaw", "pitch", "roll")}


def _hand_record(hand: Hand) -> dict[str, Any]:
    return {
        "side": hand.side,
        "box": list(hand.box.rounded()),
        "confidence": round(hand.confidence, 4),
        "gesture": hand.gesture,
        "gesture_confidence": round(hand.gesture_confidence, 4),
        "landmarks": np.round(hand.landmarks.astype(float), 1).tolist(),
    }


def _finite(value: float) -> float | None:
    """Return the value, rounded to four places; None for NaN, which JSON does not have."""
    return None if math.isnan(value) else round(value, 4)
