"""Engagement: whether a person is about to interact with the robot, from distance, attention and time.

The levels are those of hri_msgs/EngagementLevel. Distance and gaze are the measures of Webb and Lemaignan, "Measuring
Visual Social Engagement from Proxemics and Gaze", 2022; here each has a threshold, and both must last.
"""

from __future__ import annotations

from dataclasses import dataclass

from emotion_ros.config import PipelineConfig

DISENGAGED, ENGAGING, ENGAGED, DISENGAGING = LEVELS = ("disengaged", "engaging", "engaged", "disengaging")
"""Does not look at the robot, or is far away; has begun to look; looks; has begun to look away."""

_WHILE_LOOKING = {DISENGAGED: ENGAGING, DISENGAGING: ENGAGED}
_WHILE_NOT_LOOKING = {ENGAGING: DISENGAGED, ENGAGED: DISENGAGING}
_AFTER_TIME = {ENGAGING: ENGAGED, DISENGAGING: DISENGAGED}


@dataclass(frozen=True)
class Engagement:
    """Level of a person, one of :data:`LEVELS`, and the stamp since which it lasts, seconds."""

    level: str
    since: float


def advance_engagement(
    previous: Engagement | None, attention: float, distance: float | None, stamp: float, config: PipelineConfig
) -> Engagement:
    """Return a person's engagement after an image.

    A person is engaged after looking at the camera from nearby for ``engagement_time``, and disengaged after looking
    away for that time.

    Args:
        previous: of the person; None: the person is new.
        attention: smoothed, 0…1.
        distance: from the camera, metres; None: unknown, and the attention decides alone.
        stamp: of the image, seconds.
        config: the thresholds ``engagement_attention``, ``engagement_distance`` and ``engagement_time``.
    """
    if previous is None or stamp < previous.since:
        previous = Engagement(DISENGAGED, stamp)
    is_near = distance is None or distance <= config.engagement_distance
    changes = _WHILE_LOOKING if is_near and attention >= config.engagement_attention else _WHILE_NOT_LOOKING
    if previous.level in changes:
        return Engagement(changes[previous.level], stamp)
    if previous.level in _AFTER_TIME and stamp - previous.since >= config.engagement_time:
        return Engagement(_AFTER_TIME[previous.level], stamp)
    return previous
