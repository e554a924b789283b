"""Which images are worth a look: a robot with nobody before it has better uses for its processor."""

from __future__ import annotations

import math
import time

from emotion_ros.config import DetectorConfig

ALONE = "nobody in view: not all images are looked at (see idle_rate)"


class FrameThrottle:
    """Lets images pass; where nobody was in view of late, only some of them.

    Attributes:
        spared: number of images that did not pass.
        reason: why not all images pass now; empty where they do.
    """

    def __init__(self) -> None:
        self.spared = 0
        self.reason = ""
        self._looked: dict[str, float] = {}
        self._met: dict[str, float] = {}

    def passes(self, camera: str, config: DetectorConfig, memory: float) -> bool:
        """Whether to look at an image that came now.

        Args:
            camera: where from.
            config: says when to look.
            memory: seconds after which whoever was in view is gone.
        """
        now = time.monotonic()
        alone = config.idle_rate > 0 and now - self._met.setdefault(camera, now) > memory
        self.reason = ALONE if alone else ""
        if alone and now - self._looked.get(camera, -math.inf) < 1 / config.idle_rate:
            self.spared += 1
            return False
        self._looked[camera] = now
        return True

    def met(self, camera: str) -> None:
        """Somebody was in the image."""
        self._met[camera] = time.monotonic()
