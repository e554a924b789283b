"""When a person of a recorded session is visible, and the group of all people, second by second."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emotion_ros.config import PipelineConfig

MAX_GAP_S = 1.0
"""Time without a person above which the person counts as absent."""


@dataclass
class PersonTimeline:
    """The images in which a person is visible.

    Attributes:
        id: of the person.
        times: seconds since the start of the session, ascending.
        labels: emotion in each image.
        valences: in −1…1; shorter than ``times`` if some are unknown.
        attentions: 0…1 in each image; None: unknown.
        engagements: level in each image; empty: unknown.
        events: changes of expression, see :func:`emotion_ros.io.records.event_record`; the onset in seconds since the
            start of the session.
    """

    id: str
    times: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    valences: list[float] = field(default_factory=list)
    attentions: list[float | None] = field(default_factory=list)
    engagements: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def steps(self) -> list[float]:
        """Seconds that each image stands for: until the next one; the median before an absence and at the end."""
        gaps = np.diff(self.times)
        present = gaps[gaps <= MAX_GAP_S]
        median = float(np.median(present)) if len(present) else 0.0
        return [gap if gap <= MAX_GAP_S else median for gap in gaps.tolist()] + [median]

    @property
    def engaged_steps(self) -> list[float]:
        """Seconds of each image in which the person is engaged, 0 for the others."""
        levels = self.engagements or [""] * len(self.times)
        return [step * (level == "engaged") for step, level in zip(self.steps, levels, strict=True)]

    def seconds(self) -> Counter[str]:
        """Return the seconds per label."""
        totals: Counter[str] = Counter()
        for label, step in zip(self.labels, self.steps, strict=True):
            totals[label] += step  # type: ignore[assignment]
        return totals


@dataclass
class GroupSecond:
    """The people who are visible in one second of a session, a value per image and person.

    Attributes:
        attentions: of each person, by id, 0…1; those that are known.
        valences: of all people, those that are known.
    """

    attentions: dict[str, list[float]] = field(default_factory=dict)
    valences: list[float] = field(default_factory=list)

    @property
    def people(self) -> int:
        """Number of people."""
        return len(self.attentions)

    @property
    def attending(self) -> int:
        """Number of people whose mean attention is at least the default of ``engagement_attention``."""
        known = [float(np.mean(values)) for values in self.attentions.values() if values]
        return sum(attention >= PipelineConfig.engagement_attention for attention in known)

    @property
    def valence(self) -> float:
        """Mean valence; NaN if it is unknown."""
        return float(np.mean(self.valences)) if self.valences else math.nan


def group_seconds(people: Sequence[PersonTimeline]) -> dict[int, GroupSecond]:
    """Return the group in each second since the start of the session in which anybody is visible, ascending."""
    seconds: dict[int, GroupSecond] = {}
    for person in people:
        attentions = person.attentions or [None] * len(person.times)
        for time, attention in zip(person.times, attentions, strict=True):
            group = seconds.setdefault(int(time), GroupSecond())
            group.attentions.setdefault(person.id, []).extend([] if attention is None else [attention])
        if len(person.valences) == len(person.times):
            for time, valence in zip(person.times, person.valences, strict=True):
                seconds[int(time)].valences.append(valence)
    return {second: seconds[second] for second in sorted(seconds)}
