"""Attention, engagement and changes of expression of the people in front of one camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from emotion_ros.config import PipelineConfig
from emotion_ros.perception.attention import Attention, attention_of, smooth_attention
from emotion_ros.perception.engagement import Engagement, advance_engagement
from emotion_ros.perception.expression_events import Episode, advance_episode, end_episode
from emotion_ros.perception.filtering import UNKNOWN
from emotion_ros.types import Emotion, ExpressionEvent

MAX_POSE_AGE_S = 1.0
"""Seconds that attention outlasts the last head pose: not every image gives one."""


@dataclass(frozen=True)
class SocialState:
    """What is remembered of one person; None: nothing yet."""

    attention: Attention | None = None
    engagement: Engagement | None = None
    episode: Episode | None = None


class SocialTracker:
    """Social states of all people of one camera."""

    def __init__(self) -> None:
        self._states: dict[str, SocialState] = {}

    def update(
        self, people: Sequence[Emotion], tracked: AbstractSet[str], stamp: float, config: PipelineConfig
    ) -> tuple[tuple[Emotion, ...], tuple[ExpressionEvent, ...]]:
        """Return the people of an image with attention and engagement, and the events of this image.

        Args:
            people: in the image.
            tracked: ids of the people who have not left; the others are forgotten, each with an event.
            stamp: of the image, seconds.
            config: thresholds and times.
        """
        left = [(id, state) for id, state in self._states.items() if id not in tracked]
        events = [end_episode(state.episode, id, stamp) for id, state in left if state.episode]
        for id, _ in left:
            del self._states[id]
        attentive: list[Emotion] = []
        for person in people:
            state, person = attend(self._states.get(person.id, SocialState()), person, stamp, config)
            label = "" if person.label == UNKNOWN else person.label
            times = stamp, config.event_interval
            episode, event = advance_episode(state.episode, person.id, label, person.confidence, *times)
            self._states[person.id] = replace(state, episode=episode)
            events.append(event)
            attentive.append(person)
        return tuple(attentive), tuple(event for event in events if event is not None)


def attend(state: SocialState, person: Emotion, stamp: float, config: PipelineConfig) -> tuple[SocialState, Emotion]:
    """Return a person's state after an image, and the person with attention and engagement.

    Both are unknown without a head pose in the last :data:`MAX_POSE_AGE_S`.
    """
    attention, engagement = state.attention, state.engagement
    if person.head_pose is not None:
        value = attention_of(person.head_pose, person.lid_height)
        attention = smooth_attention(attention, value, stamp, config.attention_smoothing)
        distance = None if person.position is None else math.hypot(*person.position)
        engagement = advance_engagement(engagement, attention.value, distance, stamp, config)
    if attention is None or engagement is None or stamp - attention.stamp > MAX_POSE_AGE_S:
        return state, person
    seen = replace(person, attention=attention.value, engagement=engagement.level)
    return replace(state, attention=attention, engagement=engagement), seen
