"""Write images as a video that keeps their time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.io.drawing import letterbox
from emotion_ros.io.frame_clock import FrameClock
from emotion_ros.types import Image

USUAL_RATES_HZ = (15.0, 20.0, 24.0, 25.0, 30.0, 50.0, 60.0)
"""Frame rates of a video of unknown rate; slower images are repeated."""

SLOWEST_STEADY_RATE_HZ, RATE_AFTER_SLOW_START_HZ = 12.0, 30.0
"""If the first images are slower than that, as while nobody is visible, later ones may be faster: none may be lost."""

RATE_SAMPLE_IMAGES = 10
"""Images from whose distance an unknown rate is estimated."""

MIN_RATE_HZ, MAX_RATE_HZ = 1.0, 240.0
"""Limits of a frame rate that a source names or that few images give."""

MAX_EXACT_RATE_HZ = 60.0
"""Faster rates are rounded to whole numbers."""

MAX_PAUSE_S = 10.0
"""Longest time that one image fills; longer pauses are shortened to it, so that no stamp can fill the disk."""


class VideoFile:
    """An MP4 file of constant frame rate in the size of its first image; other sizes are fitted into it.

    Images are repeated or skipped so that each appears at its time, within half a frame. If a stamp does not advance,
    goes back or is more than :data:`MAX_PAUSE_S` ahead, the time since the last image arrived is used instead.

    Attributes:
        path: the file.
        frames: number of frames written.
    """

    def __init__(self, path: Path, rate: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare a file; it is created with the first frame.

        Args:
            path: the file, which is replaced.
            rate: frames per second; 0: one of :data:`USUAL_RATES_HZ`, after the distance of the first images.
            clock: time of arrival, seconds.
        """
        self.path, self.frames = path, 0
        self._timeline = _Timeline(clock)
        self._rate = _encodable(rate) if rate > 0 else 0.0
        self._waiting: list[tuple[Image, float]] = []
        self._writer: cv2.VideoWriter | None = None
        self._last: Image | None = None

    @property
    def written(self) -> bool:
        """Whether the closed file holds every frame; true if there was no image."""
        return self.frames == 0 or _is_playable(self.path, self.frames)

    def add(self, image: Image, seconds: float) -> None:
        """Append an image (BGR, h × w × 3, uint8) that was taken at ``seconds``."""
        self._waiting.append((image, self._timeline.elapsed(seconds)))
        if self._writer is not None or self._rate or len(self._waiting) == RATE_SAMPLE_IMAGES:
            self._write_waiting(self._rate or _usual_rate(self._interval()))

    def close(self) -> None:
        """Finish the file; :attr:`written` is valid afterwards."""
        if self._waiting:
            self._write_waiting(_encodable(1 / max(self._interval(), 1e-6)))
        if self._writer is not None:
            self._writer.release()

    def _interval(self) -> float:
        """Return the median distance of the waiting images, seconds; 1 for a single image."""
        times = [elapsed for _, elapsed in self._waiting]
        return float(np.median(np.diff(times))) if len(times) > 1 else 1.0

    def _write_waiting(self, rate: float) -> None:
        if self._writer is None:
            height, width = self._waiting[0][0].shape[:2]
            self._rate, self._size = rate, (width, height)
            self._writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*"mp4v"), rate, self._size)
        for image, elapsed in self._waiting:
            self._place(letterbox(image, self._size), round(elapsed * self._rate))
        self._waiting.clear()

    def _place(self, image: Image, index: int) -> None:
        """Write an image as the frame ``index``: the last image fills the frames before; a taken one is skipped."""
        while self._last is not None and self.frames < index:
            self._write(self._last)
        if self.frames == index:
            self._write(image)
        self._last = image

    def _write(self, image: Image) -> None:
        assert self._writer is not None
        self._writer.write(image)
        self.frames += 1


class _Timeline:
    """Seconds since the first image, from stamps if these are plausible."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stamps = FrameClock()
        self._stamp = self._arrival = self._elapsed = 0.0
        self._started = False

    def elapsed(self, stamp: float) -> float:
        """Return the time of the next image, which never goes back."""
        arrival, before = self._clock(), self._stamps.time
        self._stamp = stamp if np.isfinite(stamp) else self._stamp
        step = self._stamps.update(self._stamp, arrival) - before
        if self._started:
            plausible = 0 <= step <= MAX_PAUSE_S
            self._elapsed += step if plausible else min(max(arrival - self._arrival, 0.0), MAX_PAUSE_S)
        self._arrival, self._started = arrival, True
        return self._elapsed


def _encodable(rate: float) -> float:
    """Return the nearest rate that an MPEG-4 file can state: 81.243 Hz would be 1000/81243, beyond its 16 bits."""
    rate = float(np.clip(rate, MIN_RATE_HZ, MAX_RATE_HZ))
    return rate if rate < MAX_EXACT_RATE_HZ else float(round(rate))


def _usual_rate(interval: float) -> float:
    rate = 1 / max(interval, 1e-6)
    if rate < SLOWEST_STEADY_RATE_HZ:
        return RATE_AFTER_SLOW_START_HZ
    return min(USUAL_RATES_HZ, key=lambda usual: abs(np.log(usual / rate)))


def _is_playable(path: Path, frames: int) -> bool:
    """Return whether a file is a video of at least that many frames whose last one can be read.

    OpenCV reports no error of a write: on a full disk the index at the end of the file is missing, or images are.
    """
    video = cv2.VideoCapture(str(path)) if path.is_file() and path.stat().st_size else None
    if video is None or not video.isOpened() or video.get(cv2.CAP_PROP_FRAME_COUNT) < frames:
        return False
    video.set(cv2.CAP_PROP_POS_FRAMES, frames - 1)
    readable = bool(video.read()[0])
    video.release()
    return readable
