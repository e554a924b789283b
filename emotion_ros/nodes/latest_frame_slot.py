"""A slot for the newest message of each camera, between the subscription callbacks and the worker thread."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestFrameSlot(Generic[T]):
    """Holds one item per camera. A newer item replaces an older one, which is counted as dropped. Thread-safe.

    The items of all cameras are taken together, so a slow camera is served as often as a fast one.

    Attributes:
        received: number of items that were put, per camera.
        dropped: number of items that were replaced before they were taken, per camera.
    """

    def __init__(self) -> None:
        # Guards all fields. The executor's thread puts, the worker thread waits and takes, and a lifecycle transition
        # closes. No other lock is taken while it is held; the counters may be read without it, they only grow.
        self._changed = threading.Condition()
        self._items: dict[str, T] = {}
        self._closed = False
        self.received: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def put(self, camera: str, item: T) -> None:
        """Store an item in place of the camera's last one. Returns at once."""
        with self._changed:
            self.received[camera] += 1
            self.dropped[camera] += camera in self._items
            self._items[camera] = item
            self._changed.notify()

    def take(self, timeout: float | None = None) -> dict[str, T] | None:
        """Wait for items, remove and return them.

        Args:
            timeout: maximum wait in seconds; None: unlimited.

        Returns:
            Camera to its newest item; empty after the timeout; None if the slot is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items, timeout)
            items, self._items = self._items, {}
            return None if self._closed else items

    def close(self) -> None:
        """Make every :meth:`take`, also one that waits, return None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
