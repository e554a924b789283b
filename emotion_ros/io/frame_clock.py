"""Time of images whose stamps may not advance."""

from __future__ import annotations

STALLED_AFTER = 3
"""Images in a row with the stamp of the image before, after which the stamps count as stalled. One or two occur with
drivers that stamp coarsely."""

LATE_S = 1.0
"""An image is late if its stamp is less than that before the newest one, and it arrives within that time after it.
Drivers were reported whose stamps go back by 0.1 s; a clock that is set back, or a bag that is played again, stays
behind for longer."""


class FrameClock:
    """Time of one camera's images in seconds: their stamps, or their arrival times while the stamps do not advance.

    Only differences of the time are meaningful. An image with the stamp of the one before is later by the time between
    their arrivals. The next stamp that advances adds only what exceeds the time added since the last advance, so that
    coarse stamps neither stop the time nor count twice. If the stamp jumps back, for example in a bag that is played
    again, the time is the stamp again.
    """

    def __init__(self) -> None:
        self._stamp: float | None = None
        self._arrival = self._time = self._ahead = 0.0
        self._repeated = 0

    @property
    def is_stalled(self) -> bool:
        """True while the stamps do not advance."""
        return self._repeated >= STALLED_AFTER

    @property
    def time(self) -> float:
        """Time of the last image, seconds."""
        return self._time

    def is_late(self, stamp: float, arrival: float) -> bool:
        """Return True if an image is a little older than the newest one; arguments as for :meth:`update`."""
        return self._stamp is not None and 0 < self._stamp - stamp < LATE_S and arrival - self._arrival < LATE_S

    def update(self, stamp: float, arrival: float) -> float:
        """Time of an image, seconds.

        Args:
            stamp: of the image's header, seconds.
            arrival: of the image, seconds of a monotonic clock.
        """
        if self._stamp is None or stamp < self._stamp:
            self._time, self._ahead, self._repeated = stamp, 0.0, 0
        elif stamp == self._stamp:
            waited = max(arrival - self._arrival, 0.0)
            self._time, self._ahead, self._repeated = self._time + waited, self._ahead + waited, self._repeated + 1
        else:
            self._time += max(stamp - self._stamp - self._ahead, 0.0)
            self._ahead, self._repeated = 0.0, 0
        self._stamp, self._arrival = stamp, arrival
        return self._time
