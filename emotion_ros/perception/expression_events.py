"""Changes of a person's expression, each reported once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from emotion_ros.types import ExpressionEvent

MIN_LASTING_S = 0.3
"""Seconds that a new label must last until it is a change: labels that flicker are none."""


@dataclass(frozen=True)
class Episode:
    """The expression that a person shows, and the one that may replace it. Times are stamps in seconds.

    Attributes:
        label: of the last event; empty: the person is new.
        onset: of the label.
        peak: highest confidence of the label, 0…1.
        reported: stamp of the last event.
        seen: last image with the person.
        next_label: label that does not last for :data:`MIN_LASTING_S` yet, or follows the last event too soon; empty:
            none.
        next_onset: of ``next_label``.
        next_peak: its highest confidence.
    """

    label: str
    onset: float
    seen: float
    peak: float = 0.0
    reported: float = -math.inf
    next_label: str = ""
    next_onset: float = 0.0
    next_peak: float = 0.0


def advance_episode(
    episode: Episode | None, id: str, label: str, confidence: float, stamp: float, interval: float
) -> tuple[Episode, ExpressionEvent | None]:
    """Return a person's episode after an image, and the event if a change became certain in it.

    Args:
        episode: of the person; None: the person is new.
        id: of the person.
        label: in the image; empty: unknown, which neither ends an expression nor begins one.
        confidence: of the label, 0…1.
        stamp: of the image, seconds.
        interval: minimum seconds between two events of a person. A change that comes earlier is reported after it, if
            it still lasts.
    """
    if episode is None or stamp < episode.seen:
        episode = Episode("", stamp, stamp)
    episode = replace(episode, seen=stamp)
    if not label:
        return episode, None
    if label == episode.label:
        return replace(episode, peak=max(episode.peak, confidence), next_label=""), None
    if label != episode.next_label:
        episode = replace(episode, next_label=label, next_onset=stamp, next_peak=0.0)
    episode = replace(episode, next_peak=max(episode.next_peak, confidence))
    if stamp - episode.next_onset < MIN_LASTING_S or stamp - episode.reported < interval:
        return episode, None
    event = _event(episode, id, stamp, label, episode.next_onset, episode.next_peak)
    return Episode(label, episode.next_onset, stamp, episode.next_peak, stamp), event


def end_episode(episode: Episode, id: str, stamp: float) -> ExpressionEvent | None:
    """Return the event of a person who left before the image of this stamp; None if no expression was reported."""
    return _event(episode, id, stamp, "", episode.seen, 0.0) if episode.label else None


def _event(episode: Episode, id: str, stamp: float, label: str, onset: float, confidence: float) -> ExpressionEvent:
    duration = onset - episode.onset if episode.label else 0.0
    return ExpressionEvent(id, stamp, episode.label, label, onset, confidence, episode.peak, duration)
