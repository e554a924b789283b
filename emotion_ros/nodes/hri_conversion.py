"""Conversion of people to the messages of hri_msgs (REP-155)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from hri_msgs.msg import (
    EngagementLevel,
    Expression,
    FacialLandmarks,
    Gesture,
    IdsMatch,
    NormalizedRegionOfInterest2D,
)
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Bool, Float32, Header, String

from emotion_ros.io.drawing import letterbox
from emotion_ros.nodes.image_conversion import to_message
from emotion_ros.perception.emotion.affect import canonical_label
from emotion_ros.types import FACE_POINTS, Emotion, Face, Hand, Image, Points

FACE_IMAGE_SIZE_PX = 128
"""Width and height of the cropped and of the aligned face image (REP-155)."""

ALIGNED_EYES_PX = np.array([(0.31, 0.46), (0.69, 0.46)]) * FACE_IMAGE_SIZE_PX
"""Right and left eye (the person's own) in an aligned face image, x and y in pixels. Level, and far enough from the
border for the whole face."""

EXPRESSIONS = {
    "angry": Expression.ANGRY,
    "disgust": Expression.DISGUSTED,
    "fear": Expression.SCARED,
    "happy": Expression.HAPPY,
    "neutral": Expression.NEUTRAL,
    "sad": Expression.SAD,
    "surprise": Expression.SURPRISED,
}
"""Canonical label to the word of hri_msgs/Expression. The standard has no word for other labels."""

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
"""Gesture to the constant of hri_msgs/Gesture. A constant that the installed hri_msgs lacks is published as OTHER."""

LANDMARKS = (FacialLandmarks.RIGHT_PUPIL, FacialLandmarks.LEFT_PUPIL, FacialLandmarks.NOSE)
"""Indices in hri_msgs/FacialLandmarks of the first :attr:`Face.landmarks`, for a face without :attr:`Face.points`."""

MIN_UPWARD_SHARE = 0.7
"""Minimum upward component of a pointing index finger, as a share of its length, for POINTING_UP: cos 45°."""


@dataclass(frozen=True)
class PersonTopic:
    """A topic that exists once per tracked face.

    Attributes:
        type: message type.
        name: topic name below the prefix, with ``{id}`` for the face's id or ``{person}`` for its person's.
        convert: function of an image, a person in it and the image's header; returns the messages to publish.
        latched: published once, with the first image of the face, and received by later subscribers too.
    """

    type: type[Any]
    name: str
    convert: Callable[[Image, Emotion, Header], Sequence[Any]]
    latched: bool = False


def person_id(face_id: str) -> str:
    """Return the id of the anonymous person whose only known part is a face. It differs from the face's (IdsMatch)."""
    return f"anonymous_{face_id}"


def to_match(face_id: str, confidence: float) -> IdsMatch:
    """Return how surely a face is that of its anonymous person: 1 while it is tracked, 0 from then on."""
    kinds = {"id1_type": IdsMatch.FACE, "id2_type": IdsMatch.PERSON}
    return IdsMatch(id1=face_id, id2=person_id(face_id), **kinds, confidence=confidence)


def to_roi(image: Image, person: Emotion, header: Header) -> list[NormalizedRegionOfInterest2D]:
    """Return the face box clipped to the image, its corners as shares of width and height (0…1)."""
    height, width = image.shape[:2]
    box = person.face.box.clipped(width, height)
    corners = {"xmin": box.x / width, "ymin": box.y / height}
    corners |= {"xmax": (box.x + box.width) / width, "ymax": (box.y + box.height) / height}
    return [NormalizedRegionOfInterest2D(header=header, **corners, c=person.face.confidence)]


def to_cropped(image: Image, person: Emotion, header: Header) -> list[ImageMessage]:
    """Return the image of :func:`cropped_face` as bgr8."""
    return [to_message(cropped_face(image, person.face), header)]


def to_aligned(image: Image, person: Emotion, header: Header) -> list[ImageMessage]:
    """Return the image of :func:`aligned_face` as bgr8."""
    return [to_message(aligned_face(image, person.face), header)]


def cropped_face(image: Image, face: Face) -> Image:
    """Return the face box as 128 × 128 BGR, scaled without distortion, the remaining pixels black."""
    x, y, width, height = face.box.clipped(image.shape[1], image.shape[0]).rounded()
    crop = image[y : y + max(height, 1), x : x + max(width, 1)]
    return letterbox(crop if crop.size else np.zeros((1, 1, 3), np.uint8), (FACE_IMAGE_SIZE_PX, FACE_IMAGE_SIZE_PX))


def aligned_face(image: Image, face: Face) -> Image:
    """Return the face as 128 × 128 BGR, turned and scaled so that the eyes lie at :data:`ALIGNED_EYES_PX`.

    A face without two distinct eyes is returned as by :func:`cropped_face`.
    """
    if len(face.landmarks) < 2 or not np.ptp(face.landmarks[:2], axis=0).any():
        return cropped_face(image, face)
    (x0, y0), (x1, y1) = face.landmarks[:2].astype(float)
    (u0, v0), (u1, v1) = ALIGNED_EYES_PX
    # Points as complex numbers: a turn with a scale is one multiplication, and two pairs of points determine it.
    factor = complex(u1 - u0, v1 - v0) / complex(x1 - x0, y1 - y0)
    offset = complex(u0, v0) - factor * complex(x0, y0)
    matrix = np.array([[factor.real, -factor.imag, offset.real], [factor.imag, factor.real, offset.imag]])
    return np.asarray(cv2.warpAffine(image, matrix, (FACE_IMAGE_SIZE_PX, FACE_IMAGE_SIZE_PX)), np.uint8)


def to_landmarks(image: Image, person: Emotion, header: Header) -> list[FacialLandmarks]:
    """Return the landmarks as shares of width and height (0…1). Unknown ones and those outside the image stay 0."""
    height, width = image.shape[:2]
    message = FacialLandmarks(header=header, width=width, height=height)
    indices, points = _standard_landmarks(person.face)
    for index, (x, y) in zip(indices, (points.astype(float) / (width, height)).tolist(), strict=True):
        if 0 <= x <= 1 and 0 <= y <= 1:
            landmark = message.landmarks[index]
            landmark.x, landmark.y, landmark.c = x, y, person.face.confidence
    return [message]


def _standard_landmarks(face: Face) -> tuple[Sequence[int], Points]:
    """Return the indices in hri_msgs/FacialLandmarks of the landmarks that are known of a face, and the landmarks."""
    if len(face.points) == FACE_POINTS:
        return range(FACE_POINTS), face.points
    known = face.landmarks[: len(LANDMARKS)]
    return LANDMARKS[: len(known)], known


def to_expression(_: Image, person: Emotion, header: Header) -> list[Expression]:
    """Return the expression; nothing for a label that is not in :data:`EXPRESSIONS`. Unknown coordinates become 0."""
    expression = EXPRESSIONS.get(canonical_label(person.label))
    if expression is None:
        return []
    return [
        Expression(
            header=header,
            expression=expression,
            valence=0.0 if np.isnan(person.valence) else person.valence,
            arousal=0.0 if np.isnan(person.arousal) else person.arousal,
            confidence=min(person.confidence, 1.0),
        )
    ]


def to_gestures(_: Image, person: Emotion, header: Header) -> list[Gesture]:
    """Return one message per hand that shows a gesture."""
    return [_gesture(hand, header) for hand in person.hands if hand.gesture not in ("", "none")]


def _gesture(hand: Hand, header: Header) -> Gesture:
    name = "POINTING_UP" if hand.gesture == "pointing" and _points_up(hand) else GESTURES.get(hand.gesture, "OTHER")
    message = Gesture(header=header, gesture=getattr(Gesture, name, Gesture.OTHER))
    if hasattr(message, "handedness"):  # since hri_msgs 2.2
        message.handedness = {"right": Gesture.RIGHT, "left": Gesture.LEFT}.get(hand.side, Gesture.INDEPENDENT)
    return message


def _points_up(hand: Hand) -> bool:
    x, y = (hand.landmarks[8] - hand.landmarks[5]).tolist()  # from the knuckle of the index finger to its tip
    return bool(-y >= MIN_UPWARD_SHARE * float(np.hypot(x, y)) > 0)


def to_anonymous(_: Image, person: Emotion, header: Header) -> list[Bool]:
    """Return true: nobody is identified."""
    return [Bool(data=True)]


def to_face_id(_: Image, person: Emotion, header: Header) -> list[String]:
    """Return the id of the person's face."""
    return [String(data=person.id)]


def to_location_confidence(_: Image, person: Emotion, header: Header) -> list[Float32]:
    """Return 1: the person is seen now (REP-155)."""
    return [Float32(data=1.0)]


def to_engagement(_: Image, person: Emotion, header: Header) -> list[EngagementLevel]:
    """Return the level of engagement; UNKNOWN without a head pose."""
    return [EngagementLevel(header=header, level=getattr(EngagementLevel, person.engagement.upper() or "UNKNOWN"))]


FACE_TOPICS = (
    PersonTopic(NormalizedRegionOfInterest2D, "faces/{id}/roi", to_roi),
    PersonTopic(ImageMessage, "faces/{id}/cropped", to_cropped),
    PersonTopic(ImageMessage, "faces/{id}/aligned", to_aligned),
    PersonTopic(FacialLandmarks, "faces/{id}/landmarks", to_landmarks),
    PersonTopic(Expression, "faces/{id}/expression", to_expression),
)
"""Topics of each tracked face (REP-155)."""

GESTURE_TOPIC = PersonTopic(Gesture, "bodies/{id}/gesture", to_gestures)
"""Where REP-155 has gestures. Exists from the first hand on: a hand is all that is known of a body."""

PERSON_TOPICS = (
    PersonTopic(Bool, "persons/{person}/anonymous", to_anonymous, latched=True),
    PersonTopic(String, "persons/{person}/face_id", to_face_id, latched=True),
    PersonTopic(Float32, "persons/{person}/location_confidence", to_location_confidence),
    PersonTopic(EngagementLevel, "persons/{person}/engagement_status", to_engagement),
)
"""Topics of each anonymous person (REP-155)."""
