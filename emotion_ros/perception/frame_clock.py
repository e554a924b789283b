"""Time of images whose stamps may not advance."""

from __future__ import annotations

STALLED_AFTER = 3
"""Images in a row with the stamp of the image before, after which the stamps count as stalled. One or two occur with
drivers that stamp coarsely."""


class FrameClock:
    """Time of one camera's images in seconds: their stamps, or their arrival times if the stamps do not advance.

    Only differences of the time are meaningful. An image with the stamp of the one before is later by the time between
    their arrivals, and so are all images after it: the time never jumps when a driver alternates between both cases. If
    the stamp jumps back, for example in a bag that is played again, the time is the stamp again.
    """

    def __init__(self) -> None:
        self._stamp: float | None = None
        self._arrival = self._offset = 0.0
        self._repeated = 0

    @property
    def is_stalled(self) -> bool:
        """True while the stamps do not advance."""
        return self._repeated >= STALLED_AFTER

    @property
    def time(self) -> float:
        """Time of the last image, seconds."""
        return (self._stamp or 0.0) + self._offset

    def update(self, stamp: float, arrival: float) -> float:
        """Time of an image, seconds.

        Args:
            stamp: of the image's header, seconds.
            arrival: of the image, seconds of a monotonic clock.
        """
        if self._stamp is None or stamp < self._stamp:
            self._offset, self._repeated = 0.0, 0
        elif stamp == self._stamp:
            self._offset += max(arrival - self._arrival, 0.0)
            self._repeated += 1
        else:
            self._repeated = 0
        self._stamp, self._arrival = stamp, arrival
        return self.time
