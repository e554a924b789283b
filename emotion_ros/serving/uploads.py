"""Reading and checking of uploaded images. Nothing is trusted before it is checked; nothing is written to disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from emotion_ros.errors import ImageError
from emotion_ros.io.jpeg_scans import jpeg_problem
from emotion_ros.io.picture_header import FORMATS, picture_format, picture_size
from emotion_ros.io.pictures import decode_picture
from emotion_ros.types import Image

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each form that a client sends malformed

MULTIPART = "multipart/form-data"

IMAGES_FIELD = "images"
"""Name of the form fields that hold images."""

MAX_IMAGES = 16
"""Maximum images per request. A constant: the limits on the body and on pixels bound memory and time already."""


@dataclass(frozen=True)
class UploadLimits:
    """Limits of a request.

    Attributes:
        body_bytes: maximum size of the body.
        image_pixels: maximum width × height of an image.
    """

    body_bytes: int
    image_pixels: int


@dataclass(frozen=True)
class Upload:
    """An encoded image whose header was checked.

    Attributes:
        name: file name that the client gave.
        content: encoded image.
        pixels: width × height.
    """

    name: str
    content: bytes
    pixels: int


class PixelBudget:
    """Bounds the memory for decoded images: limits the pixels of all images that are decoded at a time.

    Args:
        pixels: maximum sum of width × height.
    """

    def __init__(self, pixels: int) -> None:
        self._free = pixels
        # Guards _free. Held by coroutines of the event loop, never while they wait for anything else.
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def reserve(self, pixels: int) -> AsyncIterator[None]:
        """Wait until that many pixels are free and reserve them in the body of the ``with``.

        Args:
            pixels: must not exceed the whole budget.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):  # a request that is cancelled may wait for the lock, too
                async with self._changed:
                    self._free += pixels
                    self._changed.notify_all()


async def read_uploads(request: Request, limits: UploadLimits) -> list[Upload]:
    """Return the images of a request: one as the body, or several as ``multipart/form-data`` fields ``images``.

    Raises:
        HTTPException: 400, 413, 415 or 422, with what was expected and what came.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    parts = await _read_form(request, limits) if media_type == MULTIPART else [("body", await request.body())]
    return [await run_in_threadpool(check_image, name, content, limits.image_pixels) for name, content in parts]


async def decode_image(upload: Upload) -> Image:
    """Decode an image to BGR, uint8, height × width × 3, rotated according to its EXIF data.

    Raises:
        HTTPException: 422, the image cannot be decoded.
    """
    try:
        return await run_in_threadpool(decode_picture, upload.content, upload.pixels)
    except ImageError as error:
        raise HTTPException(422, f"{upload.name}: {error}") from error


def check_image(name: str, content: bytes, max_pixels: int) -> Upload:
    """Check the format, size and structure of an encoded image by its header and markers, without decoding it.

    A few kilobytes can decode to gigabytes (a decompression bomb), or for minutes (see :func:`jpeg_problem`).

    Raises:
        HTTPException: 413 (too large or too many parts), 415 (unknown format) or 422 (empty or broken).
    """
    if not content:
        raise HTTPException(422, f"{name}: expected an image, got nothing")
    if picture_format(content) is None:
        raise HTTPException(415, f"{name}: expected {', '.join(FORMATS)}, got another format")
    if problem := jpeg_problem(content):
        raise HTTPException(413, f"{name}: {problem}")
    try:
        width, height = picture_size(content)
    except ImageError as error:
        raise HTTPException(422, f"{name}: {error}") from error
    if width * height > max_pixels:
        raise HTTPException(413, f"{name}: expected at most {max_pixels} pixels, got {width} × {height}")
    return Upload(name, content, width * height)


async def _read_form(request: Request, limits: UploadLimits) -> list[tuple[str, bytes]]:
    """Return file name and content of each image of a form."""
    parser = MultiPartParser(_without_charset(request), request.stream(), max_files=MAX_IMAGES, max_fields=0)
    parser.spool_max_size = limits.body_bytes + 1  # keep files in memory: no image may reach the disk
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:
        reason = getattr(error, "message", str(error))
        message = f"expected {MULTIPART} with at most {MAX_IMAGES} fields {IMAGES_FIELD}: {reason}"
        raise HTTPException(400, message) from error
    try:
        files = [file for name, file in form.multi_items() if name == IMAGES_FIELD and isinstance(file, UploadFile)]
        if not files or len(files) != len(form.multi_items()):
            raise HTTPException(
                422, f"expected only fields {IMAGES_FIELD}, at least one, got {', '.join(form) or 'none'}"
            )
        return [(file.filename or f"image {number}", await file.read()) for number, file in enumerate(files)]
    finally:
        await form.close()


def _without_charset(request: Request) -> Headers:
    """Return the type of a form without its ``charset``.

    The parser would decode file names with any codec of Python, of which some fail (``unicode_escape``).
    """
    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary", b"").decode("latin-1")
    return Headers({"content-type": f'{MULTIPART}; boundary="{boundary}"'})
