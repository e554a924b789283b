"""Reduce a PNG to the chunks of its first picture, before OpenCV reads it.

OpenCV 4.11 reads chunks itself, for animations: it loops forever on a chunk that is longer than the file, and crashes
on some animations that are broken.
"""

from __future__ import annotations

import struct

from emotion_ros.errors import ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"

NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"})
"""Chunks that decide the pixels and their rotation."""

MAX_CHUNKS = 1 << 16
"""Chunks that are read. Encoders write chunks of 8 KiB or more: 512 MiB."""


def still_png(content: bytes | memoryview) -> bytes:
    """Return a PNG with the :data:`NEEDED` chunks of another one; its checksums are not checked.

    Raises:
        ImageError: a chunk is longer than the file, or IHDR is not the first, IEND not the last, or IDAT missing.
    """
    parts, names, position = [SIGNATURE], [], len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(content):
            break
        length, name = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        if end > len(content):
            break
        if name in NEEDED:
            parts.append(bytes(content[position:end]))
            names.append(name)
        if name == b"IEND":
            if names[0] == b"IHDR" and b"IDAT" in names:
                return b"".join(parts)
            break
        position = end
    raise ImageError("expected a picture, got a broken PNG: it ends too early, or its parts are in disorder")
