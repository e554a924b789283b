"""A slot for the newest message of each camera: callbacks put, one worker takes."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestFrameSlot(Generic[T]):
    """Holds one item per camera. A newer one replaces it, and the replaced one is counted as dropped.

    All that is there is taken at once: however fast one camera is, the others have their turn each time.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[str, T] = {}
        self._closed = False
        self.received: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def put(self, camera: str, item: T) -> None:
        """Replace what is there of that camera."""
        with self._changed:
            self.received[camera] += 1
            self.dropped[camera] += camera in self._items
            self._items[camera] = item
            self._changed.notify()

    def take(self) -> dict[str, T] | None:
        """Wait for an item, and take the newest of each camera that has one; None once the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items)
            items, self._items = self._items, {}
            return None if self._closed else items

    def close(self) -> None:
        """Let :meth:`take` return None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
