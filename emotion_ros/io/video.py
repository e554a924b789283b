"""Write images as a video."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from emotion_ros.io.drawing import letterbox
from emotion_ros.types import Image

TIMED = 10
"""Images after which their rate is known, and the video begins."""


class VideoFile:
    """An MP4 file at the rate of its images, in the size of the first; others are fitted into it.

    Attributes:
        path: the file.
        frames: how many images it got.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.frames = path, 0
        self._waiting: list[tuple[Image, float]] = []
        self._writer: cv2.VideoWriter | None = None

    @property
    def written(self) -> bool:
        """Whether there is a file, where there should be one."""
        return self.frames == 0 or (self.path.is_file() and self.path.stat().st_size > 0)

    def add(self, image: Image, seconds: float) -> None:
        """Append an image (BGR, h × w × 3) that was taken at ``seconds``."""
        if self._writer is not None:
            self._append(image)
            return
        self._waiting.append((image, seconds))
        if len(self._waiting) == TIMED:
            self._begin()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is None and self._waiting:
            self._begin()
        if self._writer is not None:
            self._writer.release()

    def _begin(self) -> None:
        spans = np.diff([seconds for _, seconds in self._waiting])
        rate = 1 / max(float(np.median(spans)), 1 / 240) if len(spans) else 1.0
        height, width = self._waiting[0][0].shape[:2]
        self._size = (width, height)
        self._writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*"mp4v"), rate, self._size)
        for image, _ in self._waiting:
            self._append(image)
        self._waiting.clear()

    def _append(self, image: Image) -> None:
        assert self._writer is not None
        self._writer.write(letterbox(image, self._size))
        self.frames += 1
