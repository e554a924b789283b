"""Measures the duration of a call."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

TIMED_CALLS = 60
"""Calls of which :func:`median_ms` takes the median."""


def median_ms(call: Callable[[], object]) -> float:
    """Return the median duration of :data:`TIMED_CALLS` calls in milliseconds."""
    durations = []
    for _ in range(TIMED_CALLS):
        start = time.perf_counter()
        call()
        durations.append(1000 * (time.perf_counter() - start))
    return statistics.median(durations)
