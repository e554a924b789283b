"""How the detector node fares, as a diagnostic status."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from emotion_ros.types import Perception

SECONDS = 5.0
"""Over which rates are counted."""

NO_IMAGE_AFTER = 2.0
"""Seconds without an image of a camera after which there is a warning."""

FAILING_FROM = 5
"""Frames that fail one after the other that make an error."""

KEPT = 300
"""Frames whose latency and stage times are kept."""


class DiagnosticsCollector:
    """Counts what happens to frames. Written by the worker and by the image callback, read by the diagnostics timer."""

    def __init__(self) -> None:
        self.failed = 0
        self.last_error = ""
        self._failing = 0
        self._people: dict[str, int] = {}
        self._latencies: deque[float] = deque(maxlen=KEPT)
        self._timings: deque[Mapping[str, float]] = deque(maxlen=KEPT)
        self._arrived: deque[float] = deque(maxlen=1000)
        self._done: deque[float] = deque(maxlen=1000)
        self._last_image: dict[str, float] = {}
        self._processed = 0

    def begin(self) -> None:
        """Count rates and times from now on."""
        self._last_image, self._people = {}, {}
        self._failing = 0
        for each in (self._latencies, self._timings, self._arrived, self._done):
            each.clear()

    def expect(self, camera: str) -> None:
        """Images of it should come from now on."""
        self._last_image[camera] = time.monotonic()

    def arrived(self, camera: str) -> None:
        """An image came."""
        now = time.monotonic()
        self._last_image[camera] = now
        self._arrived.append(now)

    def done(self, camera: str, perception: Perception, latency: float) -> None:
        """A frame was published, ``latency`` seconds after its stamp."""
        self._processed += 1
        self._failing = 0
        self._people[camera] = len(perception.people)
        self._latencies.append(latency)
        self._timings.append(perception.timings)
        self._done.append(time.monotonic())

    def failure(self, text: str) -> None:
        """A frame could not be processed."""
        self.failed += 1
        self._failing += 1
        self.last_error = text

    def silent(self) -> list[str]:
        """Cameras that no image has come from of late."""
        now = time.monotonic()
        return [camera for camera, last in self._last_image.items() if now - last > NO_IMAGE_AFTER]

    def level(self, min_rate: float) -> tuple[bytes, str]:
        """Level and message while the node is active.

        Args:
            min_rate: images per second under which there is a warning; 0: never.
        """
        if self._failing >= FAILING_FROM:
            return DiagnosticStatus.ERROR, f"the last {self._failing} frames failed: {self.last_error}"
        rate = _rate(self._done, time.monotonic())
        if 0 < rate < min_rate:
            return DiagnosticStatus.WARN, f"{rate:.1f} images per second, fewer than min_rate {min_rate:g}"
        return DiagnosticStatus.OK, "running"

    def values(self, counts: Mapping[str, int]) -> list[KeyValue]:
        """All figures as keys with values, and the counts."""
        now = time.monotonic()
        latency = np.percentile([*self._latencies] or [0.0], [50, 95]) * 1000
        figures: dict[str, object] = {
            "input rate Hz": f"{_rate(self._arrived, now):.1f}",
            "output rate Hz": f"{_rate(self._done, now):.1f}",
            **counts,
            "processed": self._processed,
            "failed": self.failed,
            "latency p50 ms": f"{latency[0]:.1f}",
            "latency p95 ms": f"{latency[1]:.1f}",
            "people": sum(self._people.values()),
        }
        timings = [*self._timings]
        figures["total p95 ms"] = f"{np.percentile([each['total'] for each in timings] or [0.0], 95):.1f}"
        for stage in timings[-1] if timings else ():
            figures[f"{stage} ms"] = f"{np.median([each[stage] for each in timings if stage in each]):.1f}"
        figures["last error"] = self.last_error
        return [KeyValue(key=key, value=str(value)) for key, value in figures.items()]


def _rate(times: deque[float], now: float) -> float:
    """Events per second in the last :data:`SECONDS`."""
    return sum(now - each <= SECONDS for each in [*times]) / SECONDS
