"""Captures labelled pictures from a camera, a video or a folder, with or without a preview window."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence

import cv2

from emotion_ros.io.dataset_writer import CaptureRequest, DatasetWriter
from emotion_ros.io.frames import SourceFrame, is_camera
from emotion_ros.io.sources import frames
from emotion_ros.perception.requirements import create_check
from emotion_ros.types import Image

BURST_FRAMES = 10
"""Frames that the key b selects."""

WINDOW_TITLE = "space: one, b: burst, q: end"


def capture(request: CaptureRequest, source: str, require: Sequence[str] = ()) -> int:
    """Store pictures until ``request.count`` are stored, the source ends, or q is pressed.

    With a display, a camera is shown in a window: the space bar selects one frame, b the next ten, q ends. Without a
    display, and for any other source, a frame is selected every ``request.every`` seconds. A selected frame that lacks
    a requirement is rejected with a line on standard error.

    Args:
        request: label, folder, number and interval.
        source: see :func:`emotion_ros.io.sources.frames`.
        require: see :func:`emotion_ros.perception.requirements.create_check`.

    Returns:
        The number of pictures that were stored.

    Raises:
        ConfigError: a requirement is unknown.
        SourceError: the source cannot be read.
        OutputError: a picture cannot be written.
    """
    check = create_check(require)
    writer = DatasetWriter(request)
    selector = _Window(writer) if is_camera(source) and _has_display() else _Timer(request.every)
    stored = 0
    try:
        for frame, image in _selected(source, selector):
            reason = check(image)
            if reason:
                print(f"rejected: {reason}", file=sys.stderr)
                continue
            print(f"{writer.add(image, frame.source)}  {writer.summary()}")
            selector.mark_stored(frame.time)
            stored += 1
            if stored == request.count:
                break
        print(f"{stored} pictures stored: {writer.summary()}")
    finally:
        selector.close()
        writer.close()
    return stored


def _selected(source: str, selector: _Timer | _Window) -> Iterator[tuple[SourceFrame, Image]]:
    """Yield the frames that are selected, until the source or the selector ends. Unreadable frames are left out."""
    for frame in frames(source):
        if frame.image is None:
            continue
        if selector.selects(frame.image, frame.time):
            yield frame, frame.image
        if selector.ended:
            return


class _Timer:
    """Selects a frame every ``every`` seconds; after a rejected frame the next one."""

    ended = False

    def __init__(self, every: float) -> None:
        self._every, self._due = every, -math.inf

    def selects(self, _: Image, time: float) -> bool:
        return time >= self._due

    def mark_stored(self, time: float) -> None:
        self._due = time + self._every

    def close(self) -> None:
        pass


class _Window:
    """Shows each frame; keys select the frames that follow."""

    def __init__(self, writer: DatasetWriter) -> None:
        self.ended = False
        self._writer, self._pending = writer, 0

    def selects(self, image: Image, _: float) -> bool:
        preview = image.copy()
        cv2.putText(preview, self._writer.summary(), (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
        cv2.imshow(WINDOW_TITLE, preview)
        key = cv2.waitKey(1) & 0xFF
        self.ended = key == ord("q")
        if key in (ord(" "), ord("b")):
            self._writer.start_burst()
            self._pending = 1 if key == ord(" ") else BURST_FRAMES
        selected = self._pending > 0 and not self.ended
        self._pending -= selected
        return selected

    def mark_stored(self, _: float) -> None:
        pass

    def close(self) -> None:
        cv2.destroyAllWindows()


def _has_display() -> bool:
    """Return True if there is a display and OpenCV can open a window on it."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        cv2.namedWindow(WINDOW_TITLE)
    except cv2.error:
        return False
    return True
