"""Convert events and groups to messages of this package and back, for any library that provides the message types."""

from __future__ import annotations

from typing import Any

import numpy as np

from emotion_ros.io.emotion_messages import seconds
from emotion_ros.types import ExpressionEvent, GroupMood


def expression_event(event: ExpressionEvent, header: Any, event_type: Any, time_type: Any) -> Any:
    """Return the message of an event.

    The times of an event may be of another clock than the header, whose stamps may stand still; only the time from
    onset to image is taken from them.

    Args:
        event: a change of expression.
        header: of the image in which it was certain.
        event_type: emotion_ros/ExpressionEvent of the library.
        time_type: builtin_interfaces/Time of the library.
    """
    onset = max(round((seconds(header) - (event.stamp - event.onset)) * 1e9), 0)
    return event_type(
        header=header,
        id=event.id,
        from_label=event.from_label,
        to_label=event.to_label,
        onset=time_type(sec=onset // 10**9, nanosec=onset % 10**9),
        confidence=event.confidence,
        peak=event.peak,
        duration=event.duration,
    )


def to_event(message: Any) -> ExpressionEvent:
    """Return the values of an ExpressionEvent message."""
    return ExpressionEvent(
        id=message.id,
        stamp=seconds(message.header),
        from_label=message.from_label,
        to_label=message.to_label,
        onset=message.onset.sec + message.onset.nanosec * 1e-9,
        confidence=message.confidence,
        peak=message.peak,
        duration=message.duration,
    )


def group_message(group: GroupMood, header: Any, group_type: Any) -> Any:
    """Return the message of a group; ``header`` is that of the image that was processed last."""
    return group_type(
        header=header,
        people=group.people,
        attending=group.attending,
        labels=list(group.labels),
        distribution=group.distribution.tolist(),
        valence=group.valence,
        valence_trend=group.valence_trend,
    )


def to_group(message: Any) -> GroupMood:
    """Return the values of a GroupMood message."""
    return GroupMood(
        people=message.people,
        attending=message.attending,
        labels=tuple(message.labels),
        distribution=np.asarray(message.distribution, np.float32),
        valence=message.valence,
        valence_trend=message.valence_trend,
    )
