"""Which hand belongs to whom, and what a face and its emotion probabilities say together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emotion_ros.types import Box, Face, Hand

REACH = 4.0
"""Farthest a hand's centre may be from a face's centre, in face heights. An adult's outstretched arm is about 0.75 m
from shoulder to fingertip and a head about 0.23 m high (Drillis and Contini, "Body Segment Parameters", 1966)."""

ON_HAND, LESS_SURE = 0.7, 0.2
"""A face with this share of its box on a hand is that hand, if a face in the same image is surer by this much. In
668 pictures of gestures beside a face, MediaPipe saw 18 second faces: 0.76 to 1 of each lay on a hand, and it was less
sure of them than of the true face by 0.29 to 0.46."""


def filter_false_faces(faces: Sequence[Face], hands: Sequence[Hand]) -> list[int]:
    """Indices of the faces that are not a hand which the detector took for a face."""
    surest = max((face.confidence for face in faces), default=0.0)
    return [
        index
        for index, face in enumerate(faces)
        if face.confidence > surest - LESS_SURE
        or all(face.box.shared(hand.box) < ON_HAND * face.box.area for hand in hands)
    ]


def associate_hands(faces: Sequence[Face], hands: Sequence[Hand]) -> tuple[list[tuple[Hand, ...]], tuple[Hand, ...]]:
    """Give each hand to the nearest face in reach, measured in heights of that face.

    Returns:
        The hands of each face, in the order of the faces, and those that belong to none.
    """
    owned: list[list[Hand]] = [[] for _ in faces]
    loose: list[Hand] = []
    for hand in hands:
        distances = [_distance(face.box, hand.box) for face in faces]
        nearest = min(range(len(faces)), key=distances.__getitem__, default=-1)
        (owned[nearest] if nearest >= 0 and distances[nearest] <= REACH else loose).append(hand)
    return [tuple(each) for each in owned], tuple(loose)


def _distance(face: Box, hand: Box) -> float:
    (x1, y1), (x2, y2) = face.centre, hand.centre
    return float(np.hypot(x2 - x1, y2 - y1)) / max(face.height, 1.0)
