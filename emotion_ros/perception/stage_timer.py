"""Times the stages of the pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from emotion_ros.types import Timings

P = ParamSpec("P")
R = TypeVar("R")


class StageTimer:
    """Milliseconds per stage, from its creation to :meth:`finish`.

    Two threads use it at the same time, but never for the same stage: each writes its own key, which needs no lock.
    """

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._timings: dict[str, float] = {}

    def run(self, stage: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function and add its time to a stage."""
        begin = time.perf_counter()
        result = function(*args, **kwargs)
        self._timings[stage] = self._timings.get(stage, 0.0) + 1000 * (time.perf_counter() - begin)
        return result

    def finish(self) -> Timings:
        """All stages and ``total``."""
        return Timings((*self._timings.items(), ("total", 1000 * (time.perf_counter() - self._begin))))
