"""A person's usual expression, learned while the person is in view and taken off the probabilities.

Some faces look angry or sad at rest. Where a class is as probable as neutral most of the time, it says nothing about
this moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.emotion.affect import canonical_label

SAMPLES = 120
"""Classifications that the memory holds, whatever its length: the median of 120 × 7 values takes 0.04 ms."""

MIN_QUALITY = 0.5
"""Quality of an image, 0…1, below which nothing is learned from it."""

USUAL_LOG_ODDS = -2.0
"""Log-odds of a class against neutral up to which a resting face is ordinary, and nothing is taken off. By class, 0.68
to 0.96 of the neutral faces of two collections of photos have less."""

EXPRESSION_LOG_ODDS = 2.0
"""Log-odds above the usual ones from which a classification is an expression that begins, and is not learned. 97 % of
the images of a photo with other position, light and noise stay within 1.6 (scripts/measure_baseline.py)."""

MAX_HELD_S = 60.0
"""Seconds after which an expression that is held counts as usual, and is learned."""

MIN_PROBABILITY = 1e-4
"""Lower probabilities count as this one: their logarithms are noise."""


@dataclass(frozen=True)
class Baseline:
    """What is remembered of a person's usual expression.

    Attributes:
        samples: n × classes, log-odds of each class against neutral, oldest first; n is at most :data:`SAMPLES`.
        median: of the samples, per class.
        sampled: stamp of the last classification that was compared with the samples, seconds.
        held_since: stamp since which an expression is held, seconds; None: none is held.
    """

    samples: NDArray[np.float32]
    median: NDArray[np.float32]
    sampled: float
    held_since: float | None = None

    @property
    def is_learned(self) -> bool:
        """Whether the memory is full; before, nothing is taken off."""
        return len(self.samples) >= SAMPLES


def neutral_index(classes: Sequence[str]) -> int | None:
    """Return the index of the class neutral or of a synonym; None without such a class, which has no baseline."""
    names = [canonical_label(name) for name in classes]
    return names.index("neutral") if "neutral" in names else None


def learn(
    baseline: Baseline | None,
    probabilities: NDArray[np.float32],
    neutral: int,
    quality: float,
    stamp: float,
    memory: float,
) -> Baseline | None:
    """Add a classification to a person's baseline.

    A class that exceeds its median, at least :data:`USUAL_LOG_ODDS`, by :data:`EXPRESSION_LOG_ODDS` is an expression;
    while it is held, at most for :data:`MAX_HELD_S`, nothing is learned. A return to neutral is always learned.

    Args:
        baseline: of the person; None: the person is new.
        probabilities: one per class, sum 1, before anything was taken off.
        neutral: index of the class neutral.
        quality: of the image, 0…1.
        stamp: of the image, seconds.
        memory: length of the memory, seconds of learning, more than 0.
    """
    if quality < MIN_QUALITY or (baseline is not None and 0 <= stamp - baseline.sampled < memory / SAMPLES):
        return baseline
    sample = _log_odds(probabilities, neutral)
    if baseline is None or stamp < baseline.sampled:
        return Baseline(sample[None], sample, stamp)
    usual = np.maximum(baseline.median, USUAL_LOG_ODDS)
    is_expression = bool((sample - usual).max() > EXPRESSION_LOG_ODDS)
    held_since = (stamp if baseline.held_since is None else baseline.held_since) if is_expression else None
    if held_since is not None and stamp - held_since < MAX_HELD_S:
        return replace(baseline, sampled=stamp, held_since=held_since)
    samples = np.concatenate([baseline.samples[1 - SAMPLES :], sample[None]])
    return Baseline(samples, np.median(samples, axis=0).astype(np.float32), stamp, held_since)


def take_off(baseline: Baseline | None, probabilities: NDArray[np.float32], neutral: int) -> NDArray[np.float32]:
    """Return probabilities without what is usual for the person, one per class, sum 1.

    Each class whose usual log-odds against neutral exceed :data:`USUAL_LOG_ODDS` is lowered by the excess. A person
    whose resting face is ordinary, or whose baseline is not yet learned, keeps the probabilities as they are.
    """
    if baseline is None or not baseline.is_learned:
        return probabilities
    excess = np.maximum(baseline.median - USUAL_LOG_ODDS, 0.0)
    excess[neutral] = 0.0
    lowered = probabilities * np.exp(-excess)
    return np.asarray(lowered / lowered.sum(), np.float32)


def _log_odds(probabilities: NDArray[np.float32], neutral: int) -> NDArray[np.float32]:
    logarithms = np.log(np.maximum(probabilities, MIN_PROBABILITY))
    return np.asarray(logarithms - logarithms[neutral], np.float32)
