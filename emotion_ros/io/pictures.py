"""Read pictures from files and pipes."""

from __future__ import annotations

import os
import select
import stat
import time
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.errors import SourceError
from emotion_ros.io.frames import PICTURES, is_picture
from emotion_ros.types import Image

MAX_PICTURE_BYTES = 256 << 20
"""Size of an encoded picture above which it is not read."""

PIPE_TIMEOUT_S = 30.0
"""Time in which a pipe must deliver its picture."""


def picture_files(folder: Path) -> list[Path]:
    """Return the entries of a folder that are named like pictures, sorted; some may not be readable.

    Raises:
        SourceError: the folder cannot be read, or has no such entry.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if is_picture(path))
    except OSError as error:
        raise SourceError(f"{folder}: expected a folder of pictures, cannot read it: {error.strerror}") from error
    if not paths:
        raise SourceError(f"{folder}: expected pictures ({', '.join(PICTURES)}), found none")
    return paths


def read_picture(path: Path) -> Image | None:
    """Return the pixels of a file; None if it is no picture, not readable, or no regular file (as a pipe or folder)."""
    if not os.path.isfile(path):
        return None
    try:
        with path.open("rb") as file:
            return _decoded(file.read(MAX_PICTURE_BYTES + 1))
    except OSError:
        return None


def read_piped_picture(path: Path) -> Image:
    """Return the pixels of the picture that a pipe delivers, such as ``/dev/stdin``.

    Raises:
        SourceError: it is no pipe, or delivers no picture within :data:`PIPE_TIMEOUT_S`.
    """
    try:
        if not stat.S_ISFIFO(path.stat().st_mode):
            raise SourceError(f"{path}: expected a camera, a file, a folder or a pipe; it is a device of another kind")
        image = _decoded(_read_pipe(path))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    if image is None:
        raise SourceError(f"{path}: expected a picture; to process a video, save it as a file first")
    return image


def _read_pipe(path: Path) -> bytes:
    content, deadline = bytearray(), time.monotonic() + PIPE_TIMEOUT_S
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening would wait for a writer otherwise
    try:
        while len(content) <= MAX_PICTURE_BYTES:
            if not select.select([pipe], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise SourceError(f"{path}: expected a picture within {PIPE_TIMEOUT_S:.0f} s, got {len(content)} bytes")
            block = os.read(pipe, 1 << 20)
            if not block:
                break
            content += block
    finally:
        os.close(pipe)
    return bytes(content)


def _decoded(content: bytes) -> Image | None:
    if not 0 < len(content) <= MAX_PICTURE_BYTES:
        return None
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)  # type: ignore[return-value]
    except cv2.error:  # more pixels than OpenCV allows
        return None
