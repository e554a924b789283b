"""Assigns hands to faces, and removes hands that were detected as faces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emotion_ros.types import Box, Face, Hand

MAX_HAND_DISTANCE_FACES = 4.0
"""Maximum distance between the centres of a hand and its owner's face, in face heights. An adult's outstretched arm is
about 0.75 m from shoulder to fingertip, a head about 0.23 m high (Drillis and Contini, "Body Segment Parameters",
1966)."""

MIN_SHARE_ON_HAND, MIN_CONFIDENCE_GAP = 0.7, 0.2
"""A face is a hand if this share of its box lies on a hand and another face's confidence is higher by this much. In 668
pictures of gestures beside a face, MediaPipe detected 18 second faces: 0.76 to 1 of each lay on a hand, and their
confidence was lower than the true face's by 0.29 to 0.46."""


def filter_false_faces(faces: Sequence[Face], hands: Sequence[Hand]) -> list[int]:
    """Return the indices of the faces that are not hands, in ascending order."""
    highest = max((face.confidence for face in faces), default=0.0)
    return [
        index
        for index, face in enumerate(faces)
        if face.confidence > highest - MIN_CONFIDENCE_GAP
        or all(face.box.shared(hand.box) < MIN_SHARE_ON_HAND * face.box.area for hand in hands)
    ]


def associate_hands(faces: Sequence[Face], hands: Sequence[Hand]) -> tuple[list[tuple[Hand, ...]], tuple[Hand, ...]]:
    """Assign each hand to the nearest face within :data:`MAX_HAND_DISTANCE_FACES` heights of that face.

    Returns:
        The hands of each face, in the order of the faces, and the hands without owner.
    """
    owned: list[list[Hand]] = [[] for _ in faces]
    unowned: list[Hand] = []
    for hand in hands:
        distances = [_distance_in_faces(face.box, hand.box) for face in faces]
        nearest = min(range(len(faces)), key=distances.__getitem__, default=-1)
        near = nearest >= 0 and distances[nearest] <= MAX_HAND_DISTANCE_FACES
        (owned[nearest] if near else unowned).append(hand)
    return [tuple(owned_hands) for owned_hands in owned], tuple(unowned)


def _distance_in_faces(face: Box, hand: Box) -> float:
    (x1, y1), (x2, y2) = face.centre, hand.centre
    return float(np.hypot(x2 - x1, y2 - y1)) / max(face.height, 1.0)
