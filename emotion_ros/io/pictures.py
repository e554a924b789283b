"""Decode pictures, and read them from files and pipes."""

from __future__ import annotations

import os
import select
import stat
import time
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.config.image_limit import MAX_IMAGE_PIXELS
from emotion_ros.errors import ImageError, SourceError
from emotion_ros.io.frames import PICTURES, is_picture
from emotion_ros.io.jpeg_scans import jpeg_problem
from emotion_ros.io.picture_header import picture_format, picture_size
from emotion_ros.io.png_chunks import still_png
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


def read_picture(path: Path, max_pixels: int = MAX_IMAGE_PIXELS, flags: int = cv2.IMREAD_COLOR) -> Image:
    """Return the pixels of a file; the arguments are those of :func:`decode_picture`.

    Raises:
        ImageError: it is no picture, too large, not readable, or no regular file (as a pipe or folder).
    """
    if not os.path.isfile(path):
        raise ImageError("not a picture that can be read")
    try:
        with path.open("rb") as file:
            return decode_picture(file.read(MAX_PICTURE_BYTES + 1), max_pixels, flags)
    except OSError as error:
        raise ImageError(f"not a picture that can be read: {error.strerror}") from error


def read_piped_picture(path: Path, max_pixels: int = MAX_IMAGE_PIXELS) -> Image:
    """Return the pixels of the picture that a pipe delivers, such as ``/dev/stdin``.

    Raises:
        SourceError: it is no pipe, or delivers no picture within :data:`PIPE_TIMEOUT_S`.
    """
    try:
        if not stat.S_ISFIFO(path.stat().st_mode):
            raise SourceError(f"{path}: expected a camera, a file, a folder or a pipe; it is a device of another kind")
        return decode_picture(_read_pipe(path), max_pixels)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except ImageError as error:
        raise SourceError(f"{path}: {error}; to process a video, save it as a file first") from error


def decode_picture(
    content: bytes | memoryview,
    max_pixels: int = MAX_IMAGE_PIXELS,
    flags: int = cv2.IMREAD_COLOR,
    allow_truncated: bool = True,
) -> Image:
    """Decode a picture whose content is not trusted: the only place where this package does so.

    Args:
        content: one of :data:`emotion_ros.io.picture_header.FORMATS`.
        max_pixels: maximum width × height. It is read from the header, before memory is taken for the pixels.
        flags: OpenCV's ``IMREAD_*``.
        allow_truncated: decode what there is of a JPEG that ends too early.

    Returns:
        BGR, uint8, h × w × 3, rotated by its EXIF data, unless ``flags`` say otherwise.

    Raises:
        ImageError: the format is another one, the picture is too large or broken.
    """
    if len(content) > MAX_PICTURE_BYTES:
        raise ImageError(f"expected a picture of at most {MAX_PICTURE_BYTES} bytes, got more")
    if problem := jpeg_problem(content, allow_truncated):
        raise ImageError(problem)
    width, height = picture_size(content)
    if width * height > max_pixels:
        raise ImageError(f"expected at most {max_pixels} pixels (max_image_pixels), got {width} × {height}")
    name = picture_format(content)
    if name == "PNG":
        content = still_png(content)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:  # for example sides that are longer than OpenCV allows
        image = None
    if image is None:
        raise ImageError(f"expected a picture, got a broken {name} that cannot be decoded")
    return image  # type: ignore[return-value]


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
