"""``emotion-ros capture``: labelled pictures for training, from a camera, a video or a folder."""

from __future__ import annotations

import os
import sys

import cv2
import numpy as np

from emotion_ros.io.dataset_writer import DatasetWriter, Request
from emotion_ros.io.frames import is_camera
from emotion_ros.io.sources import frames
from emotion_ros.perception.requirements import checks
from emotion_ros.types import Image

BURST = 10
"""Pictures of a burst, taken at one key press."""


def capture(request: Request, source: str) -> int:
    """Take pictures until there are enough, the source ends, or q is pressed.

    With a screen a window shows what the camera sees: the space bar takes one picture, b a burst of ten, q ends.
    Without one, or for a source that is no camera, a picture is taken every ``request.every`` seconds.

    Returns:
        How many were taken.

    Raises:
        SourceError: the source cannot be read.
        OutputError: a picture cannot be written.
    """
    album, check = DatasetWriter(request), checks(request.require)
    window = _Window() if is_camera(source) and _screen() else None
    taken, due = 0, -np.inf
    pending = 0
    for frame in frames(source):
        if frame.image is None:
            continue
        pending = window.show(frame.image, album, pending) if window else int(frame.time >= due)
        if pending < 0 or taken == request.count:
            break
        if not pending:
            continue
        reason = check(frame.image)
        if reason:
            print(f"refused: {reason}", file=sys.stderr)
        else:
            print(f"{album.add(frame.image, frame.source)}  {album.counts()}")
            taken, due = taken + 1, frame.time + request.every
        pending -= 1
        if taken == request.count:
            break
    if window:
        cv2.destroyAllWindows()
    print(f"{taken} pictures taken: {album.counts()}")
    return taken


class _Window:
    """A live preview; keys say how many of the next frames are taken."""

    def show(self, image: Image, album: DatasetWriter, pending: int) -> int:
        picture = image.copy()
        cv2.putText(picture, album.counts(), (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
        cv2.imshow("space: one, b: burst, q: end", picture)
        key = cv2.waitKey(1) & 0xFF
        if key == ord("q"):
            return -1
        if key in (ord(" "), ord("b")):
            album.new_burst()
            return 1 if key == ord(" ") else BURST
        return pending


def _screen() -> bool:
    """Whether there is a screen, and an OpenCV that can draw on it."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        cv2.namedWindow("space: one, b: burst, q: end")
    except cv2.error:
        return False
    return True
