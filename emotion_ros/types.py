"""Values that the rooms of this package exchange.

Conventions: images are BGR, ``uint8``, height × width × 3. Coordinates are pixels of the image they
belong to, x to the right and y down, the origin at the outer corner of the top left pixel. Boxes are x, y, width,
height. Probabilities and confidences lie in 0…1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""BGR, uint8, height × width × 3."""

Points: TypeAlias = NDArray[np.float32]
"""n × 2, x and y in pixels."""


Position: TypeAlias = tuple[float, float, float]
"""Metres in the camera's optical frame (REP-103): x to the right, y down, z forward."""


FACE_POINTS = 70
"""Landmarks of hri_msgs/FacialLandmarks, which numbers them as dlib does; right and left are the person's own: 0–16
outline from right ear by the chin (8) to the left ear; 17–21 right brow, 22–26 left brow, from the right to the left;
27–30 bridge to tip of the nose; 31–35 nostrils; 36–41 right eye and 42–47 left eye, each from its right corner along
the upper lid; 48–59 outer and 60–67 inner outline of the lips, each from the right corner along the upper lip; 68 right
and 69 left pupil."""


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
        """The box in an image that was scaled by this factor."""
        return Box(self.x * factor, self.y * factor, self.width * factor, self.height * factor)

    def shared(self, other: Box) -> float:
        """Area of the intersection, square pixels."""
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

    Attributes:
        box: pixels, inside the image.
        confidence: of being a face, 0…1.
        landmarks: right eye, left eye, nose tip, middle of the mouth, then further points of the detector, or the
            corners of the mouth; left and right are the person's own. Empty if there are none.
        points: the :data:`FACE_POINTS` landmarks of hri_msgs/FacialLandmarks in its order; empty if they were
            not estimated. Those of a turned away side are where they would be seen through the head.
    """

    box: Box
    confidence: float
    landmarks: Points
    points: Points = field(default_factory=lambda: np.empty((0, 2), np.float32))


@dataclass(frozen=True)
class Hand:
    """A detected hand.

    Attributes:
        side: the person's own: ``left``, ``right`` or ``unknown``.
        box: pixels, inside the image.
        confidence: of being a hand of this side, 0…1.
        landmarks: 21 points in the order of MediaPipe Hands: wrist, then four per finger from thumb to little finger.
        gesture: name of a gesture rule, ``none``, or empty before recognition.
        gesture_confidence: 0…1.
    """

    side: str
    box: Box
    confidence: float
    landmarks: Points
    gesture: str = ""
    gesture_confidence: float = 0.0


@dataclass(frozen=True)
class HeadPose:
    """Rotation of a head away from looking straight into the camera, radians, as the viewer of the image sees it.

    All are 0 for a face whose nose points along the line from the head to the camera, wherever it is in the image. The
    head is turned by the roll first, then by the pitch, then by the yaw.

    Attributes:
        yaw: positive if the nose points to the right in the image.
        pitch: positive if the nose points up.
        roll: positive if the head is tilted clockwise.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True)
class Emotion:
    """One person: a face, its expression, and the hands that belong to it.

    Attributes:
        id: stays with the person while the face is tracked.
        label: one of :attr:`Perception.labels`, or ``unknown`` if all probabilities are below ``min_confidence``.
        confidence: probability of the label; the largest probability if the label is ``unknown``.
        probabilities: one per label, float32, sum 1, filtered over time.
        valence: −1 (unpleasant)…1 (pleasant); NaN if the labels have no coordinates.
        arousal: −1 (calm)…1 (excited); NaN likewise.
        face: the detected face.
        hands: hands that belong to the face.
        quality: how well this image shows the face, 0…1.
        position: of the point between the eyes, metres; None without camera intrinsics.
        head_pose: None if it was not estimated.
        lid_height: of the upper lids above the corners of the eyes in this image, in eye widths; about 0.15 for a look
            into the camera, 0 for one at the chest or closed eyes. None if it was not estimated.
        attention: how surely the person looks at the camera, 0…1, smoothed over time; None without a head pose.
        engagement: one of :data:`emotion_ros.perception.engagement.LEVELS`; empty without a head pose.
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
    head_pose: HeadPose | None = None
    lid_height: float | None = None
    attention: float | None = None
    engagement: str = ""


@dataclass(frozen=True)
class ExpressionEvent:
    """A change of a person's expression. Times are stamps of images in seconds.

    Attributes:
        id: of the person.
        stamp: of the image in which the change was certain.
        from_label: expression that ended; empty if the person came into view.
        to_label: expression that began; empty if the person left.
        onset: of ``to_label``; if it is empty, the last image with the person.
        confidence: highest confidence of ``to_label`` since the onset, 0…1.
        peak: highest confidence of ``from_label`` while it lasted, 0…1.
        duration: seconds that ``from_label`` lasted until the onset.
    """

    id: str
    stamp: float
    from_label: str
    to_label: str
    onset: float
    confidence: float
    peak: float
    duration: float


@dataclass(frozen=True)
class GroupMood:
    """All people in view, as one.

    Attributes:
        people: their number.
        attending: number of those who look at a camera.
        labels: in the order of ``distribution``.
        distribution: mean probability per label, weighted by quality; float32, sum 1; 0 if nobody is in view.
        valence: mean valence, weighted likewise, −1…1; NaN if it is unknown.
        valence_trend: change of valence in 10 s, mean of each person's own change, weighted likewise; NaN if unknown.
    """

    people: int
    attending: int
    labels: tuple[str, ...]
    distribution: NDArray[np.float32]
    valence: float
    valence_trend: float


@dataclass(frozen=True)
class Timings(Mapping[str, float]):
    """Immutable mapping of stage to milliseconds."""

    items_: tuple[tuple[str, float], ...] = ()

    def __getitem__(self, stage: str) -> float:
        return dict(self.items_)[stage]

    def __iter__(self) -> Iterator[str]:
        return (stage for stage, _ in self.items_)

    def __len__(self) -> int:
        return len(self.items_)


@dataclass(frozen=True)
class Perception:
    """All people and hands in one image.

    Attributes:
        width, height: of the image, pixels.
        model: name and short hash of the classifier.
        labels: in the order of :attr:`Emotion.probabilities`.
        people: from left to right.
        hands: hands that belong to no face.
        timings: milliseconds per stage and in ``total``; stages overlap in time.
        events: changes of expressions that became certain in this image.
    """

    width: int
    height: int
    model: str
    labels: tuple[str, ...]
    people: tuple[Emotion, ...] = ()
    hands: tuple[Hand, ...] = ()
    timings: Timings = Timings()
    events: tuple[ExpressionEvent, ...] = ()


def ramp(value: float, never: float, surely: float) -> float:
    """Linear from 0 at ``never`` to 1 at ``surely``, clipped."""
    return min(max((value - never) / (surely - never), 0.0), 1.0)
