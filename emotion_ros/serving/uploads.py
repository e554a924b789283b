"""Images that came over the network: nothing of them is trusted before it was checked, and nothing is written down."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from emotion_ros.types import Image

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "BMP": "image/bmp"}
"""What images may be: by what is in them, whatever they are called."""

DRAINED = 8
"""Times the largest body: as much is read of one that is too large, and not kept."""

MULTIPART, FIELD = "multipart/form-data", "images"


@dataclass(frozen=True)
class UploadLimits:
    """Bytes of a body, images in it, and pixels of an image, each at most."""

    body: int
    images: int
    pixels: int


@dataclass(frozen=True)
class Upload:
    """An encoded image whose head was checked, what its sender calls it, and its width times height."""

    name: str
    content: bytes
    pixels: int


class PixelBudget:
    """For so many pixels of decoded images at once, whoever waits; the memory that a server needs has an end."""

    def __init__(self, pixels: int) -> None:
        self._free = pixels
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def take(self, pixels: int) -> AsyncIterator[None]:
        """Wait for room and have it; more than there is at all never comes."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            async with self._changed:
                self._free += pixels
                self._changed.notify_all()


async def read_uploads(request: Request, limits: UploadLimits) -> list[Upload]:
    """The images of a request: its body is one, or is ``multipart/form-data`` with a part ``images`` for each.

    Raises:
        HTTPException: 400, 413, 415 or 422, with what was expected and what came.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == MULTIPART:
        named = await _parts(request, limits)
    else:
        named = [("body", b"".join([part async for part in _body(request, limits.body)]))]
    return [check(name, content, limits.pixels) for name, content in named]


async def decode(upload: Upload) -> Image:
    """The image as BGR, uint8, h × w × 3, upright as its EXIF data say.

    Raises:
        HTTPException: 422, it cannot be decoded.
    """
    image = await run_in_threadpool(cv2.imdecode, np.frombuffer(upload.content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise HTTPException(422, f"{upload.name}: expected an image that can be decoded, this one is broken")
    return image  # type: ignore[return-value]


def check(name: str, content: bytes, pixels: int) -> Upload:
    """An image by its head alone: an image of a few bytes can unfold to gigabytes.

    Raises:
        HTTPException: 413, 415 or 422.
    """
    if not content:
        raise HTTPException(422, f"{name}: expected an image, got nothing")
    try:
        with Pillow.open(io.BytesIO(content), formats=[*FORMATS]) as head:
            width, height = head.size
    except UnidentifiedImageError as error:
        raise HTTPException(415, f"{name}: expected {', '.join(FORMATS)}, got something else") from error
    except Pillow.DecompressionBombError as error:
        raise HTTPException(413, f"{name}: expected at most {pixels} pixels, got far more") from error
    except Exception as error:  # Pillow's readers raise what they met in the file
        raise HTTPException(422, f"{name}: expected an image that can be decoded, this one is broken") from error
    if width * height > pixels:
        raise HTTPException(413, f"{name}: expected at most {pixels} pixels, got {width} × {height}")
    return Upload(name, content, width * height)


async def _body(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body, if it is no longer than it may be. Some of the rest is let pass, for a sender that is still at it does
    not hear an answer."""
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= most:
            yield part
        elif size > DRAINED * most:
            break
    if size > most:
        raise HTTPException(413, f"expected a body of at most {most} bytes, got more", {"Connection": "close"})


async def _parts(request: Request, limits: UploadLimits) -> list[tuple[str, bytes]]:
    parser = MultiPartParser(request.headers, _body(request, limits.body), max_files=limits.images, max_fields=0)  # type: ignore[arg-type]
    parser.spool_max_size = limits.body + 1  # in memory alone: no face reaches the disk
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:
        said = getattr(error, "message", str(error))
        raise HTTPException(400, f"expected {MULTIPART} with at most {limits.images} parts {FIELD}: {said}") from error
    try:
        parts = [part for name, part in form.multi_items() if name == FIELD and isinstance(part, UploadFile)]
        if not parts or len(parts) != len(form.multi_items()):
            raise HTTPException(422, f"expected one part {FIELD} or more, got {', '.join(form) or 'none'}")
        return [(part.filename or f"image {number}", await part.read()) for number, part in enumerate(parts)]
    finally:
        await form.close()
