"""Measures how long a call takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

ROUNDS = 60
"""Calls of which the median is taken."""


def median_ms(call: Callable[[], object]) -> float:
    """Median milliseconds of many calls."""
    spans = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        spans.append(1000 * (time.perf_counter() - start))
    return statistics.median(spans)
