"""Attention: whether a person looks at the camera, from the pose of the head and the eyelids."""

from __future__ import annotations

import math
from dataclasses import dataclass

from emotion_ros.types import HeadPose, ramp

FACING_RAD, AVERTED_RAD = math.radians(15), math.radians(35)
"""Angles between the nose and the line of sight at which the attention is 1 and 0. The eyes turn further than the head,
which contributes 69 % of a change of gaze (Stiefelhagen and Zhu, "Head orientation and gaze direction in meetings",
2002), and a robot's face is not where its camera is. In the recordings of hri_engagement the median angle is 11 to 25°
for most people who are engaged, and 28° or more for all who are not (docs/accuracy.md)."""

EYES_UP, EYES_DOWN = 0.02, -0.02
"""Heights of the upper lids, in eye widths, from which eyes may look at the camera, and at which they are cast down or
closed. With these nearly all faces of held-out photos that no longer attend do look down or close their eyes; from 0.01
on faces that laugh or have narrow eyes would be among them (docs/accuracy.md)."""


@dataclass(frozen=True)
class Attention:
    """Attention of a person, smoothed: ``value`` 0…1 at ``stamp``, seconds."""

    value: float
    stamp: float


def attention_of(pose: HeadPose, lid_height: float | None = None) -> float:
    """Return how surely a person looks at the camera, 0…1.

    Args:
        pose: of the head; its roll does not matter.
        lid_height: see :attr:`Emotion.lid_height`; None: the head decides alone.
    """
    angle = math.acos(min(max(math.cos(pose.yaw) * math.cos(pose.pitch), -1.0), 1.0))
    facing = ramp(angle, AVERTED_RAD, FACING_RAD)
    return facing if lid_height is None else facing * ramp(lid_height, EYES_DOWN, EYES_UP)


def smooth_attention(previous: Attention | None, value: float, stamp: float, smoothing: float) -> Attention:
    """Update an exponential moving average.

    Args:
        previous: of the person; None: the person is new.
        value: attention in an image, 0…1.
        stamp: of the image, seconds; before ``previous.stamp``, time went back and the average restarts.
        smoothing: time constant, seconds; 0: no averaging.
    """
    if previous is None or stamp < previous.stamp or smoothing <= 0:
        return Attention(value, stamp)
    weight = 1.0 - math.exp(-(stamp - previous.stamp) / smoothing)
    return Attention(previous.value + weight * (value - previous.value), stamp)
