"""Read the format and the size of an encoded picture from its header, as OpenCV's decoders do, without decoding it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping

from emotion_ros.errors import ImageError
from emotion_ros.io.jpeg_scans import MAX_JPEG_SEGMENTS

_SIGNATURES: Mapping[str, re.Pattern[bytes]] = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "BMP": re.compile(rb"BM"),
}

FORMATS = tuple(_SIGNATURES)
"""Formats that are decoded. OpenCV knows more; their headers are not read here, so they are refused."""

_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a segment with the size. The three others define tables, or are reserved (ITU-T T.81, table B.1)."""
_JPEG_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


def picture_format(content: bytes | memoryview) -> str | None:
    """Return the format of an encoded picture, one of :data:`FORMATS`; None if it is none of them."""
    return next((name for name, signature in _SIGNATURES.items() if signature.match(content)), None)


def picture_size(content: bytes | memoryview) -> tuple[int, int]:
    """Return width and height of an encoded picture, pixels, before any rotation by its EXIF data.

    Args:
        content: the whole picture. A few kilobytes can decode to gigabytes.

    Raises:
        ImageError: the format is none of :data:`FORMATS`, or the header holds no size.
    """
    name = picture_format(content)
    if name is None:
        raise ImageError(f"expected a picture ({', '.join(FORMATS)}), got {'another format' if content else 'nothing'}")
    try:
        width, height = _SIZES[name](content)
    except struct.error:
        width, height = 0, 0
    if width < 1 or height < 1:
        raise ImageError(f"expected a picture, got a broken {name}: its header holds no size")
    return width, height


def _jpeg_size(content: bytes | memoryview) -> tuple[int, int]:
    """Read segments as libjpeg does: bytes between them are skipped, and a length below 2 counts as 2."""
    position = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        found = _JPEG_MARKER.search(content, position)
        if found is None:
            break
        marker, position = found[1][0], found.end()
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">xxxHH", content, position)
            return width, height
        if marker not in _JPEG_WITHOUT_LENGTH:
            position += max(struct.unpack_from(">H", content, position)[0], 2)
    return 0, 0


def _png_size(content: bytes | memoryview) -> tuple[int, int]:
    name, width, height = struct.unpack_from(">4sII", content, 12)
    return (width, height) if name == b"IHDR" else (0, 0)


def _webp_size(content: bytes | memoryview) -> tuple[int, int]:
    """Read the first chunk: lossy, lossless, or extended, which has the size of the canvas."""
    kind = bytes(content[12:16])
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8X" and len(content) >= 30:
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    return 0, 0


def _bmp_size(content: bytes | memoryview) -> tuple[int, int]:
    """Read the size of 16 bits of OS/2, or that of 32 bits; a negative height is of rows from the top."""
    (header,) = struct.unpack_from("<I", content, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", content, 18)
    return width, abs(height)


_SIZES: Mapping[str, Callable[[bytes | memoryview], tuple[int, int]]] = {
    "JPEG": _jpeg_size,
    "PNG": _png_size,
    "WEBP": _webp_size,
    "BMP": _bmp_size,
}
