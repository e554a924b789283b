"""Detection of a thread that hangs."""

from __future__ import annotations

import time

STALLED_AFTER_S = 10.0
"""Time without a beat after which a thread hangs. The longest turn of the worker that is legitimate, with a PNG of 50
megapixels (the default of ``max_image_pixels``), took 3.2 s on a busy core of a server. Networks are loaded, warmed up
and built by other threads."""

MAX_CHECK_INTERVAL_S = 1.0
"""Time between two checks above which the whole process waited: it was stopped, or another thread held Python's lock,
as ONNX Runtime does while it opens a session."""


class Watchdog:
    """Tells how long a thread has been hanging. That thread calls :meth:`beat`, another one :meth:`check`."""

    def __init__(self) -> None:
        self._beats = 0  # replaced by the watched thread, read by the other
        self._seen = 0
        self._last_beat = self._last_check = time.monotonic()

    def beat(self) -> None:
        """Record that the thread runs. Called in each turn of its loop, several times per second if it has no work."""
        self._beats += 1

    def check(self) -> float:
        """Return the seconds since the last beat if they exceed :data:`STALLED_AFTER_S`, else 0.

        Called several times per second.
        """
        now, beats = time.monotonic(), self._beats
        if beats != self._seen or now - self._last_check > MAX_CHECK_INTERVAL_S:
            self._seen, self._last_beat = beats, now
        self._last_check = now
        stalled = now - self._last_beat
        return stalled if stalled > STALLED_AFTER_S else 0.0
