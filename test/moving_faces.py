"""Faces in motion with the truth beside them: one photo, pasted twice or thrice along paths that are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import skimage.data

from emotion_ros.perception.detection import FACE_DETECTORS, FaceSettings
from emotion_ros.types import Box, Image

RATE, SECONDS = 15.0, 16.0
WIDTH, HEIGHT = 640, 480
HEAD = (slice(10, 250), slice(130, 330))
"""Of the astronaut: rows and columns that hold the head; the face fills half of it."""

SILENT = 0.25
"""Share of the detections that are thrown away: a detector misses faces in bad light."""


@dataclass(frozen=True)
class Instant:
    """One image's detections, and whose each is (−1: nobody's)."""

    stamp: float
    boxes: list[Box]
    whose: list[int]


def pictures() -> Iterator[tuple[float, Image, dict[int, Box]]]:
    """Stamp, image and the boxes of the heads: 0 and 1 cross, 1 in front; 2 sways, and hides for 0.6 s now and then."""
    head = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)[HEAD]
    looks = [head, cv2.convertScaleAbs(head[:, ::-1], alpha=0.8, beta=5), cv2.convertScaleAbs(head, alpha=1.1)]
    rng = np.random.default_rng(3)
    wall = cv2.GaussianBlur(rng.integers(60, 160, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 9)
    for number in range(int(RATE * SECONDS)):
        time = number / RATE
        image, heads = wall.copy(), {}
        sweep = np.cos(2 * np.pi * time / 8)  # to the other side and back in 8 s
        places = [
            (320 + 190 * sweep, 170.0, 1.0),
            (320 - 190 * sweep, 180 + 20 * np.sin(time), 1.1),
            (320 + 120 * np.sin(2 * np.pi * time / 4), 380 + 20 * np.sin(2 * np.pi * time / 1.5), 0.9),
        ]
        for index, (x, y, scale) in enumerate(places):
            if index == 2 and time % 5 < 0.6:
                continue
            heads[index] = _paste(image, looks[index], x, y, 0.75 * scale)
        noisy = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        yield time, noisy, heads


def _paste(image: Image, look: Image, x: float, y: float, scale: float) -> Box:
    small = cv2.resize(look, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    top, left = int(y - height / 2), int(x - width / 2)
    upper, lower = max(top, 0), min(top + height, HEIGHT)
    image[upper:lower, left : left + width] = small[upper - top : lower - top]
    return Box(left + 0.2 * width, top + 0.25 * height, 0.6 * width, 0.6 * height)


def instants() -> list[Instant]:
    """What MediaPipe finds of it, a quarter of it thrown away."""
    detector = FACE_DETECTORS["mediapipe_full"](FaceSettings())
    rng = np.random.default_rng(5)
    seen = []
    for stamp, image, heads in pictures():
        found = [face.box for face in detector.detect(image, 0.5, 20) if rng.random() > SILENT]
        seen.append(Instant(stamp, found, [_owner(box, heads) for box in found]))
    detector.close()
    return seen


def _owner(box: Box, heads: dict[int, Box]) -> int:
    """Who is there; of two heads that overlap the one in front, which was pasted later."""
    covering = [index for index, head in heads.items() if box.overlap(head) > 0.3]
    return max(covering, default=-1, key=lambda index: (round(box.overlap(heads[index]), 1), index))


def changes_of_id(instants: list[Instant], ids: list[list[str]]) -> int:
    """How often a person's id is another than it was before."""
    last: dict[int, str] = {}
    changes = 0
    for instant, given in zip(instants, ids, strict=True):
        for person, id in zip(instant.whose, given, strict=True):
            if person >= 0:
                changes += last.get(person, id) != id
                last[person] = id
    return changes
