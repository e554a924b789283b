"""Notices images that are lost between a camera driver and the detector."""

from __future__ import annotations

import time
from collections import deque

WINDOW_S = 2.0
"""Time over which images are counted."""

MIN_LOST, MIN_LOST_SHARE = 3, 0.25
"""Lost images in the window, and their share of the published ones, from which a loss is reported. One or two are lost
when a subscription begins in the middle of an image."""

MAX_EVENTS = 1000
"""Maximum events of a kind in the window: 500 images per second."""


class Reception:
    """Counts the images of a camera that arrived and that were lost. Not thread-safe.

    Losses are those that the middleware reports. It reports none for reliable publishers that replace an image before
    its last fragment has arrived, so images are compared with camera_info too.
    """

    def __init__(self) -> None:
        self._images, self._lost, self._infos = (deque[float](maxlen=MAX_EVENTS) for _ in range(3))
        self._published_since: float | None = None
        self._has_arrived = False

    def record_image(self) -> None:
        """Count an image that arrived."""
        self._has_arrived = True
        self._images.append(time.monotonic())

    def record_lost(self, count: int) -> None:
        """Count images that the middleware reports as lost."""
        self._lost.extend([time.monotonic()] * max(count, 0))

    def record_info(self) -> None:
        """Count a camera_info that arrived."""
        self._infos.append(time.monotonic())

    def record_publishers(self, count: int) -> None:
        """Note the number of publishers that are known now. Called periodically."""
        if not count:
            self._published_since = None
        elif self._published_since is None:
            self._published_since = time.monotonic()

    @property
    def is_silent(self) -> bool:
        """Whether a publisher exists for longer than :data:`WINDOW_S`, and no image has ever arrived.

        A camera that stops later, or is slower than one image per :data:`WINDOW_S`, has no problem of transport.
        """
        since = self._published_since
        return since is not None and time.monotonic() - since > WINDOW_S and not self._has_arrived

    def lost(self, info_per_image: bool) -> tuple[int, int]:
        """Return the number of lost images in the window and the number of published ones; (0, 0): no loss to report.

        Args:
            info_per_image: the camera publishes one camera_info for each image.
        """
        images, lost, infos = (_recent(events) for events in (self._images, self._lost, self._infos))
        published = max(images + lost, infos if info_per_image else 0)
        missing = published - images
        is_loss = missing >= MIN_LOST and missing >= MIN_LOST_SHARE * published
        return (missing, published) if is_loss else (0, 0)


def _recent(events: deque[float]) -> int:
    begin = time.monotonic() - WINDOW_S
    return sum(event >= begin for event in events)
