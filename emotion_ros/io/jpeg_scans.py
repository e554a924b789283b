"""Structure of JPEG pictures that take too long to decode or end too early, found before decoding."""

from __future__ import annotations

import re

MAX_JPEG_SCANS = 64
"""Maximum scans of a JPEG. libjpeg's own progression (``jpeg_simple_progression``) has 10 for colour and 18 for CMYK. A
decoder passes over all pixels for each scan, also for one of ten bytes without data."""

MAX_JPEG_SEGMENTS = 2048
"""Maximum segments of a JPEG. An ICC profile has at most 255 segments (ICC.1, annex B.4). libjpeg walks its list of
kept segments for each further one: the time is quadratic."""

_SOI = b"\xff\xd8"
_SOS, _EOI = 0xDA, 0xD9

_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xdd\xe0-\xef\xfe])")
"""Markers that a length follows, and the end of the picture. All others (stuffed bytes, restarts, unknown ones) are
passed over byte by byte. Thus at least the scans are counted that libjpeg decodes, also in a broken picture."""


def jpeg_problem(content: bytes | memoryview, allow_truncated: bool = True) -> str:
    """Return why a JPEG must not be decoded; empty for one that can be decoded, and for other formats.

    A JPEG of 2 MB with 15,000 empty scans takes minutes to decode, one of 8 MB with two million empty segments days.
    The check takes a few hundredths of a second for 8 MB.

    Args:
        content: encoded picture. What follows the end of the JPEG is ignored, as by decoders.
        allow_truncated: accept a JPEG without an end.
    """
    if content[:2] != _SOI:
        return ""
    scans = segments = 0
    position = len(_SOI)
    while (marker := _MARKER.search(content, position)) and marker[1][0] != _EOI:
        segments += 1
        scans += marker[1][0] == _SOS
        if scans > MAX_JPEG_SCANS:
            return f"expected at most {MAX_JPEG_SCANS} scans, got more"
        if segments > MAX_JPEG_SEGMENTS:
            return f"expected at most {MAX_JPEG_SEGMENTS} segments, got more"
        length = int.from_bytes(content[marker.end() : marker.end() + 2], "big")
        position = marker.end() + max(length, 2)
    return "" if marker or allow_truncated else "the JPEG ends too early"
