"""Pictures and image messages: originals, bombs, and the code that decodes them."""

import io
import struct
from types import SimpleNamespace

import cv2
import numpy as np
from picture_mutations import mutate_picture, png_chunk
from PIL import Image as Pillow
from target import Target, mutations

from emotion_ros.errors import ImageError
from emotion_ros.io.encodings import ENCODINGS, PLANAR, decode, to_bgr
from emotion_ros.io.pictures import decode_picture
from emotion_ros.io.png_chunks import SIGNATURE

NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)

EMPTY_SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x10" + bytes(120)
"""Scan of a progressive JPEG that refines no coefficient."""

MAX_PIXELS = 4_000_000
"""Limit of the attacked decoders; their times and memory are bounded for it."""


def _pillow(form, mode="RGB", **options):
    buffer = io.BytesIO()
    Pillow.fromarray(NOISE).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def _animated(form):
    return _pillow(form, save_all=True, append_images=[Pillow.fromarray(NOISE[::-1])], duration=100)


def pictures():
    """Return small pictures of each format and kind that is decoded."""
    return [
        _pillow("JPEG"),
        _pillow("JPEG", progressive=True),
        _pillow("JPEG", "L"),
        _pillow("JPEG", "CMYK"),
        _pillow("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"),
        _pillow("PNG"),
        _pillow("PNG", "P"),
        _pillow("PNG", "RGBA"),
        _pillow("PNG", "1"),
        cv2.imencode(".png", NOISE.astype(np.uint16) * 257)[1].tobytes(),
        _animated("PNG"),
        _pillow("WEBP"),
        _pillow("WEBP", lossless=True),
        _pillow("WEBP", "RGBA"),
        _animated("WEBP"),
        _pillow("BMP"),
        _pillow("BMP", "P"),
    ]


def bombs():
    """Return pictures of a few bytes or kilobytes that claim gigabytes, or hours of decoding."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0))
    jpeg, webp, bmp = bytearray(_pillow("JPEG")), bytearray(_pillow("WEBP")), bytearray(_pillow("BMP"))
    size = jpeg.index(b"\xff\xc0") + 5
    jpeg[size : size + 4] = struct.pack(">HH", 65_500, 65_500)
    webp[26:30] = struct.pack("<HH", 16_383, 16_383)
    bmp[18:26] = struct.pack("<ii", 30_000, -30_000)
    progressive = _pillow("JPEG", progressive=True)
    return [
        SIGNATURE + header + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b""),
        bytes(jpeg),
        bytes(webp),
        bytes(bmp),
        progressive[:-2] + EMPTY_SCAN * 15_000 + b"\xff\xd9",
        progressive[:2] + b"\xff\xe1\x00\x02" * 100_000 + progressive[2:],
    ]


def hostile_pictures(seed):
    """Yield bombs, pictures and changes of pictures."""
    yield from bombs()
    yield from mutations(mutate_picture, pictures(), seed)


def hostile_messages(seed):
    """Yield image messages, raw and compressed, with fields that contradict each other."""
    import random

    generator, compressed = random.Random(seed), hostile_pictures(seed)
    for content in compressed:
        yield SimpleNamespace(format="jpeg", data=content)
        for _ in range(4):
            yield hostile_image(generator)


def hostile_image(random):
    """Return the fields of a raw image message with some that do not fit the others."""
    height, width = random.randrange(40), random.randrange(40)
    encoding = random.choice([*ENCODINGS, *PLANAR, "", "bgr8", "bgr8", "hologram"])
    step = random.choice((width, 2 * width, 3 * width, 4 * width, 12 * width, 0, 1, 2**32 - 1))
    size = random.choice((height * step % 100_000, 3 * height * width, 0, random.randrange(6000)))
    if random.random() < 0.02:
        height, width = random.choice(((2**32 - 1, 2**32 - 1), (1, 2**32 - 1), (2**31, 1), (7000, 7143)))
    return SimpleNamespace(
        height=height,
        width=width,
        encoding=encoding,
        step=step,
        is_bigendian=random.randrange(2),
        data=random.randbytes(size),
    )


def _read_message(message):
    return decode(message, MAX_PIXELS) if hasattr(message, "format") else to_bgr(message, max_pixels=MAX_PIXELS)


TARGETS = {
    "decode JPEG, PNG, WebP, BMP": Target(
        hostile_pictures, lambda content: decode_picture(content, MAX_PIXELS), (ImageError,), 50_000, 1.0, 100
    ),
    "read image messages": Target(hostile_messages, _read_message, (ImageError,), 20_000, 1.0, 100),
}
