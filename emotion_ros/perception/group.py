"""The people in view of all cameras as one group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emotion_ros.types import Emotion, GroupMood, Perception

TREND_S = 10.0
"""Seconds of valence from which its trend is computed."""

MIN_TREND_S = 5.0
"""Seconds that a person must be in view to have a trend: the slope of a shorter time is mostly noise."""

VALENCE_INTERVAL_S = 0.25
"""Minimum seconds between two remembered valences, the time constant of the filtered probabilities."""


@dataclass(frozen=True)
class Member:
    """A person of the group.

    Attributes:
        emotion: in the last image that shows the person.
        stamp: of that image, seconds.
        time: at which that image arrived, seconds of the monotonic clock.
        valences: stamp and valence in the last :data:`TREND_S`, oldest first.
        labels: of the probabilities.
    """

    emotion: Emotion
    stamp: float
    time: float
    valences: tuple[tuple[float, float], ...]
    labels: tuple[str, ...]


Members = Mapping[tuple[str, str], Member]
"""Camera and id of a person to the member."""


def update_members(
    members: Members, camera: str, perception: Perception, stamp: float, time: float, timeout: float
) -> Members:
    """Return the members after an image.

    A person who is not visible for ``timeout`` is no longer a member, by the stamps of the same camera, and by the
    monotonic clock for cameras that deliver no more images. If the labels changed, all others are members no longer.

    Args:
        members: before the image.
        camera: whose image it is.
        perception: of the image.
        stamp: of the image, seconds; compared with stamps of the same camera only.
        time: of arrival, seconds of the monotonic clock.
        timeout: seconds.
    """
    kept = {
        key: member
        for key, member in members.items()
        if time - member.time <= timeout
        and (key[0] != camera or 0 <= stamp - member.stamp <= timeout)
        and member.labels == perception.labels
    }
    seen = {(camera, person.id): person for person in perception.people}
    return kept | {
        key: Member(person, stamp, time, _valences(kept.get(key), person, stamp), perception.labels)
        for key, person in seen.items()
    }


def group_mood(members: Sequence[Member], labels: Sequence[str], min_attention: float) -> GroupMood:
    """Return the group of these members.

    Args:
        members: people in view.
        labels: of their probabilities.
        min_attention: attention from which a person looks at a camera, 0…1.
    """
    people = [member.emotion for member in members]
    weights = [person.quality for person in people]
    distribution = sum(
        (weight * person.probabilities for weight, person in zip(weights, people, strict=True)), np.zeros(len(labels))
    )
    return GroupMood(
        people=len(people),
        attending=sum(person.attention is not None and person.attention >= min_attention for person in people),
        labels=tuple(labels),
        distribution=np.asarray(distribution / (sum(weights) or 1.0), np.float32),
        valence=_mean([person.valence for person in people], weights),
        valence_trend=_mean([trend(member.valences) for member in members], weights),
    )


def trend(valences: Sequence[tuple[float, float]]) -> float:
    """Return the change of valence in :data:`TREND_S` by the line of least squares; NaN before :data:`MIN_TREND_S`."""
    if not valences or valences[-1][0] - valences[0][0] < MIN_TREND_S:
        return math.nan
    stamps, values = np.array(valences).T
    centred = stamps - stamps.mean()
    return float(centred @ values / (centred @ centred)) * TREND_S


def _valences(member: Member | None, person: Emotion, stamp: float) -> tuple[tuple[float, float], ...]:
    valences = member.valences if member else ()
    if math.isnan(person.valence) or (valences and stamp - valences[-1][0] < VALENCE_INTERVAL_S):
        return valences
    return (*(each for each in valences if stamp - each[0] <= TREND_S), (stamp, person.valence))


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    """Weighted mean of the values that are known; NaN if none is."""
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if not math.isnan(value)]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total > 0 else math.nan
