"""The values that the rooms of this package hand to each other.

Conventions, said once: images are BGR, ``uint8``, height × width × 3. Coordinates are pixels of the image they
belong to, x to the right and y down, the origin at the outer corner of the top left pixel. Boxes are x, y, width,
height. Probabilities and confidences lie in 0…1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""BGR, uint8, height × width × 3."""

Points: TypeAlias = NDArray[np.float32]
"""n × 2, x and y in pixels."""


Position: TypeAlias = tuple[float, float, float]
"""Metres from the camera: x to the right, y down, z forward."""


@dataclass(frozen=True)
class Box:
    """An upright rectangle in pixels: left edge x, top edge y, width, height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box as x, y."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def area(self) -> float:
        """Square pixels, 0 for an empty box."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def clipped(self, width: int, height: int) -> Box:
        """The part of the box that lies inside an image of that width and height (possibly empty)."""
        left, top = min(max(self.x, 0.0), width), min(max(self.y, 0.0), height)
        right = min(max(self.x + self.width, left), width)
        bottom = min(max(self.y + self.height, top), height)
        return Box(left, top, right - left, bottom - top)

    def scaled(self, factor: float) -> Box:
        """The same part of an image that was scaled so."""
        return Box(self.x * factor, self.y * factor, self.width * factor, self.height * factor)

    def shared(self, other: Box) -> float:
        """Square pixels that both boxes cover."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(width, 0.0) * max(height, 0.0)

    def overlap(self, other: Box) -> float:
        """Intersection over union with another box, 0…1."""
        shared = self.shared(other)
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0

    def rounded(self) -> tuple[int, int, int, int]:
        """x, y, width, height as whole pixels, edges rounded so that neighbours stay neighbours."""
        left, top = round(self.x), round(self.y)
        return left, top, round(self.x + self.width) - left, round(self.y + self.height) - top


@dataclass(frozen=True)
class Face:
    """A detected face.

    ``landmarks`` are at least four points in this order: right eye, left eye, nose tip, middle of the mouth, then what
    the backend adds (right and left are the person's own).
    """

    box: Box
    confidence: float
    landmarks: Points


@dataclass(frozen=True)
class Hand:
    """A detected hand.

    ``side`` is the person's own: ``left``, ``right`` or ``unknown``. ``landmarks`` are the 21 points of MediaPipe
    Hands, wrist first, then four per finger from thumb to little finger.
    """

    side: str
    box: Box
    confidence: float
    landmarks: Points
    gesture: str = ""
    gesture_confidence: float = 0.0


@dataclass(frozen=True)
class Emotion:
    """One person: a face, what it seems to express, and the hands that belong to it.

    ``probabilities`` has one value per label and sums to 1. ``label`` is ``unknown`` where the best of them is below
    the confidence floor; ``confidence`` is the probability of the label, or the best where it is unknown. ``valence``
    and ``arousal`` lie in −1…1 (NaN if the labels have no coordinates). ``quality``, 0…1, says how well this image
    shows the face. ``position`` of the point between the eyes; None where the camera's lens is not known.
    """

    id: str
    label: str
    confidence: float
    probabilities: NDArray[np.float32]
    valence: float
    arousal: float
    face: Face
    hands: tuple[Hand, ...] = ()
    quality: float = 1.0
    position: Position | None = None


@dataclass(frozen=True)
class Perception:
    """All that was perceived in one image.

    ``hands`` are those that belong to no face. ``timings`` are milliseconds per stage and in ``total``; stages
    run beside each other.
    """

    width: int
    height: int
    model: str
    labels: tuple[str, ...]
    people: tuple[Emotion, ...] = ()
    hands: tuple[Hand, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)


def ramp(value: float, never: float, surely: float) -> float:
    """How far a value has come from where something is never so to where it surely is, 0…1."""
    return min(max((value - never) / (surely - never), 0.0), 1.0)
