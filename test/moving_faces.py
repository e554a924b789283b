"""A sequence of moving faces with ground truth: one photo, pasted three times along known paths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import skimage.data

from emotion_ros.perception.detection import FACE_DETECTORS, FaceSettings
from emotion_ros.types import Box, Image

RATE_HZ, DURATION_S = 15.0, 16.0
WIDTH_PX, HEIGHT_PX = 640, 480
HEAD = (slice(10, 250), slice(130, 330))
"""Rows and columns of the head in the photo of the astronaut; the face fills half of it."""

DROPPED_SHARE = 0.25
"""Share of the detections that are removed, as if missed in bad light."""


@dataclass(frozen=True)
class Instant:
    """Detections in one image, and the number of the person of each; −1: no person."""

    stamp: float
    boxes: list[Box]
    persons: list[int]


def rendered_images() -> Iterator[tuple[float, Image, dict[int, Box]]]:
    """Yield stamp, image and boxes of the faces by person.

    Persons 0 and 1 cross, 1 in front; person 2 sways, and is hidden for 0.6 s of every 5 s.
    """
    head = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)[HEAD]
    heads = [head, cv2.convertScaleAbs(head[:, ::-1], alpha=0.8, beta=5), cv2.convertScaleAbs(head, alpha=1.1)]
    rng = np.random.default_rng(3)
    background = cv2.GaussianBlur(rng.integers(60, 160, (HEIGHT_PX, WIDTH_PX, 3), np.uint8), (0, 0), 9)
    for number in range(int(RATE_HZ * DURATION_S)):
        time = number / RATE_HZ
        image, boxes = background.copy(), {}
        sweep = np.cos(2 * np.pi * time / 8)  # to the other side and back in 8 s
        places = [
            (320 + 190 * sweep, 170.0, 1.0),
            (320 - 190 * sweep, 180 + 20 * np.sin(time), 1.1),
            (320 + 120 * np.sin(2 * np.pi * time / 4), 380 + 20 * np.sin(2 * np.pi * time / 1.5), 0.9),
        ]
        for index, (x, y, scale) in enumerate(places):
            if index == 2 and time % 5 < 0.6:
                continue
            boxes[index] = _paste(image, heads[index], x, y, 0.75 * scale)
        noisy = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        yield time, noisy, boxes


def _paste(image: Image, head: Image, x: float, y: float, scale: float) -> Box:
    """Paste a head in place and return the box of its face."""
    small = cv2.resize(head, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    top, left = int(y - height / 2), int(x - width / 2)
    upper, lower = max(top, 0), min(top + height, HEIGHT_PX)
    image[upper:lower, left : left + width] = small[upper - top : lower - top]
    return Box(left + 0.2 * width, top + 0.25 * height, 0.6 * width, 0.6 * height)


def instants() -> list[Instant]:
    """Return MediaPipe's detections in the sequence, without the dropped share."""
    detector = FACE_DETECTORS["mediapipe_full"](FaceSettings())
    rng = np.random.default_rng(5)
    sequence = []
    for stamp, image, truth in rendered_images():
        boxes = [face.box for face in detector.detect(image, 0.5, 20) if rng.random() > DROPPED_SHARE]
        sequence.append(Instant(stamp, boxes, [_person(box, truth) for box in boxes]))
    detector.close()
    return sequence


def _person(box: Box, truth: dict[int, Box]) -> int:
    """Return the person at a box; of two that overlap, the one in front, which was pasted later."""
    covering = [person for person, face in truth.items() if box.overlap(face) > 0.3]
    return max(covering, default=-1, key=lambda person: (round(box.overlap(truth[person]), 1), person))


def changes_of_id(sequence: list[Instant], ids: list[list[str]]) -> int:
    """Return how often a person's id differs from the person's previous id."""
    last: dict[int, str] = {}
    changes = 0
    for instant, instant_ids in zip(sequence, ids, strict=True):
        for person, id in zip(instant.persons, instant_ids, strict=True):
            if person >= 0:
                changes += last.get(person, id) != id
                last[person] = id
    return changes
