"""Which images are worth a look: a robot with nobody before it has better uses for its processor."""

from __future__ import annotations

import math
import time

from emotion_ros.config import DetectorConfig

UNHEARD, ALONE = "nobody subscribes", "nobody in view"


class Attention:
    """Lets images pass while somebody subscribes; where nobody was in view of late, only some of them.

    Attributes:
        spared: number of images that did not pass.
        reason: why not all images pass now; empty where they do.
    """

    def __init__(self) -> None:
        self.spared = 0
        self.reason = ""
        self._looked: dict[str, float] = {}
        self._met: dict[str, float] = {}

    def passes(self, camera: str, heard: bool, config: DetectorConfig, memory: float) -> bool:
        """Whether to look at an image that came now.

        Args:
            camera: where from.
            heard: whether somebody subscribes to what would come of it.
            config: says when to look.
            memory: seconds after which whoever was in view is gone.
        """
        now = time.monotonic()
        unheard = config.lazy and not heard
        alone = config.empty_rate > 0 and now - self._met.setdefault(camera, now) > memory
        self.reason = UNHEARD if unheard else ALONE if alone else ""
        if unheard or (alone and now - self._looked.get(camera, -math.inf) < 1 / config.empty_rate):
            self.spared += 1
            return False
        self._looked[camera] = now
        return True

    def met(self, camera: str) -> None:
        """Somebody was in the image."""
        self._met[camera] = time.monotonic()
