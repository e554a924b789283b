"""Counters, rates and times of the detector node for its diagnostic status."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from emotion_ros.types import Perception

STATUS_NAME = "/social_perception/faces/emotion_ros"
"""Name of the detector's status, which its namespace follows."""

RATE_WINDOW_S = 5.0
"""Time over which rates are averaged."""

NO_IMAGE_AFTER_S = 2.0
"""Time without an image after which a camera counts as silent."""

FAILING_FROM = 5
"""Consecutive failed frames of a camera that make its state an error."""

TIMED_FRAMES = 300
"""Number of recent frames over which latency and stage times are computed."""

TIMED_EVENTS = 1000
"""Number of recent arrivals and results over which rates are computed: 200 per second over the window."""


@dataclass
class _CameraStatus:
    """Recent state of one camera. ``last_image`` is :func:`time.monotonic`; None: no images are expected."""

    last_image: float | None = None
    consecutive_failures: int = 0
    last_error: str = ""
    people: int = 0


@dataclass
class _Counters:
    """Everything that :meth:`DiagnosticsCollector.start` resets. The key None of ``cameras`` is for shared failures."""

    cameras: dict[str | None, _CameraStatus] = field(default_factory=dict)
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=TIMED_EVENTS))
    results: deque[float] = field(default_factory=lambda: deque(maxlen=TIMED_EVENTS))
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=TIMED_FRAMES))
    timings: deque[Mapping[str, float]] = field(default_factory=lambda: deque(maxlen=TIMED_FRAMES))

    def camera(self, name: str | None) -> _CameraStatus:
        return self.cameras.setdefault(name, _CameraStatus())


class DiagnosticsCollector:
    """Counts arrivals, results and failures per camera, and summarizes them. Thread-safe."""

    def __init__(self) -> None:
        # Guards _counters. The executor's thread records arrivals and reads figures in the diagnostics timer while the
        # worker thread records results and failures. Only this class takes it, for a few operations without I/O.
        self._lock = threading.Lock()
        self._counters = _Counters()
        self._processed = self._failed = 0
        self._last_error = ""

    def start(self) -> None:
        """Reset rates, times and the state of the cameras. The totals and the last error are kept."""
        with self._lock:
            self._counters = _Counters()

    def expect_images(self, camera: str) -> None:
        """Start monitoring a camera after its subscription. Resets its failure count."""
        with self._lock:
            self._counters.cameras[camera] = _CameraStatus(last_image=time.monotonic())

    def record_arrival(self, camera: str) -> None:
        """Count an image that arrived."""
        now = time.monotonic()
        with self._lock:
            self._counters.camera(camera).last_image = now
            self._counters.arrivals.append(now)

    def record_result(self, camera: str, perception: Perception, latency: float) -> None:
        """Count a published frame, ``latency`` seconds after its stamp. Ends the camera's series of failures."""
        with self._lock:
            counters = self._counters
            self._processed += 1
            counters.latencies.append(latency)
            counters.timings.append(perception.timings)
            counters.results.append(time.monotonic())
            counters.camera(camera).people = len(perception.people)
            counters.camera(camera).consecutive_failures = 0
            counters.camera(None).consecutive_failures = 0  # what all cameras share works again

    def record_failure(self, camera: str | None, text: str) -> None:
        """Count a failed frame of a camera; None: a failure that belongs to no single camera."""
        with self._lock:
            self._failed += 1
            self._last_error = text
            status = self._counters.camera(camera)
            status.consecutive_failures += 1
            status.last_error = text

    def silent_cameras(self) -> list[str]:
        """Return cameras without an image for :data:`NO_IMAGE_AFTER_S`, counted from the subscription."""
        now = time.monotonic()
        with self._lock:
            return [
                camera
                for camera, status in self._counters.cameras.items()
                if camera is not None and _is_silent(status, now)
            ]

    def level(self, min_rate: float, cameras: Collection[str]) -> tuple[bytes, str]:
        """Return level and message of the status while the node is active.

        ERROR if the last :data:`FAILING_FROM` frames of any of the cameras failed, regardless of the others.

        Args:
            min_rate: output rate in images per second below which the level is WARN; 0: never.
            cameras: that are subscribed to; an old failure of another is no error.
        """
        with self._lock:
            failing = [
                _failing_text(camera, status)
                for camera, status in self._counters.cameras.items()
                if (camera is None or camera in cameras) and _is_failing(status)
            ]
            rate = _rate(self._counters.results, time.monotonic())
        if failing:
            return DiagnosticStatus.ERROR, "; ".join(failing)
        if 0 < rate < min_rate:
            return DiagnosticStatus.WARN, f"{rate:.1f} images per second, fewer than min_rate {min_rate:g}"
        return DiagnosticStatus.OK, "running"

    def key_values(self, counts: Mapping[str, int]) -> list[KeyValue]:
        """Return all figures as key-value pairs, ``counts`` (key to number of images) after the rates."""
        with self._lock:
            figures = {**self._rates(), **counts, **self._totals()}
            latencies, timings = [*self._counters.latencies], [*self._counters.timings]
            last_error = self._last_error
        # Without the lock: percentiles take milliseconds, for which the worker would wait.
        figures |= {**_latencies(latencies), **_times(timings), "last error": last_error}
        return [KeyValue(key=key, value=str(value)) for key, value in figures.items()]

    def _rates(self) -> dict[str, object]:
        """The caller holds the lock."""
        now = time.monotonic()
        return {
            "input rate (Hz)": f"{_rate(self._counters.arrivals, now):.1f}",
            "output rate (Hz)": f"{_rate(self._counters.results, now):.1f}",
        }

    def _totals(self) -> dict[str, object]:
        """The caller holds the lock."""
        now = time.monotonic()
        people = sum(status.people for status in self._counters.cameras.values() if not _is_silent(status, now))
        return {"processed": self._processed, "failed": self._failed, "people": people}


def _latencies(latencies: Sequence[float]) -> dict[str, object]:
    """Return percentiles of seconds, in milliseconds."""
    p50, p95 = np.percentile(latencies or [0.0], [50, 95]) * 1000
    return {"latency p50 (ms)": f"{p50:.1f}", "latency p95 (ms)": f"{p95:.1f}"}


def _times(frames: Sequence[Mapping[str, float]]) -> dict[str, object]:
    """Return a percentile of the total and the median of each stage that the latest frame has."""
    timings = [dict(stages) for stages in frames]
    totals = [stages["total"] for stages in timings]
    figures: dict[str, object] = {"total p95 (ms)": f"{np.percentile(totals or [0.0], 95):.1f}"}
    for stage in timings[-1] if timings else ():
        figures[f"{stage} (ms)"] = f"{np.median([stages[stage] for stages in timings if stage in stages]):.2f}"
    return figures


def _is_silent(status: _CameraStatus, now: float) -> bool:
    return status.last_image is not None and now - status.last_image > NO_IMAGE_AFTER_S


def _is_failing(status: _CameraStatus) -> bool:
    return status.consecutive_failures >= FAILING_FROM


def _failing_text(camera: str | None, status: _CameraStatus) -> str:
    text = f"the last {status.consecutive_failures} frames failed: {status.last_error}"
    return text if camera is None else f"{camera}: {text}"


def _rate(times: deque[float], now: float) -> float:
    """Return events per second in the last :data:`RATE_WINDOW_S`."""
    return sum(now - event <= RATE_WINDOW_S for event in times) / RATE_WINDOW_S
