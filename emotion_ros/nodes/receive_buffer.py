"""Memory that DDS keeps for the images of a subscription."""

from __future__ import annotations

import math
import time

LARGE_BYTES = 64 << 20
"""Memory that is worth a new subscription: more than twice a 4K image in colour."""

MIN_RATIO = 4
"""Share by which the newest image is smaller than the largest when the memory is released; a camera that alternates
between similar sizes keeps its subscription."""

MIN_INTERVAL_S = 60.0
"""Minimum time between two releases: a new subscription receives nothing until both sides have discovered it."""


class ReceiveBuffer:
    """Tells when a subscription should be replaced. Fast DDS keeps a buffer of the largest message until then."""

    def __init__(self) -> None:
        self._largest = self._newest = 0
        self._released = -math.inf

    def record(self, size: int) -> None:
        """Record the bytes of an image that arrived."""
        self._newest = size
        self._largest = max(self._largest, size)

    @property
    def is_oversized(self) -> bool:
        """Whether most of the memory is unused since an image that was much larger."""
        unused = self._largest > LARGE_BYTES and self._largest > MIN_RATIO * self._newest
        return unused and time.monotonic() - self._released > MIN_INTERVAL_S

    def release(self) -> None:
        """Record that the subscription was destroyed."""
        self._largest = self._newest = 0
        self._released = time.monotonic()
