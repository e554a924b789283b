"""The size of a picture is known before it is decoded; too large ones take no memory."""

import io
import multiprocessing
import resource
import struct
import time

import cv2
import numpy as np
import pytest
from hostile_pictures import encoded, large_bmp, large_jpeg, large_webp, png
from PIL import Image as Pillow

from emotion_ros.errors import ImageError
from emotion_ros.io.picture_header import picture_size
from emotion_ros.io.pictures import decode_picture

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (48, 64, 3), np.uint8)


def by_pillow(form, mode="RGB", **options):
    buffer = io.BytesIO()
    Pillow.fromarray(NOISE).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def animated(form):
    return by_pillow(form, save_all=True, append_images=[Pillow.fromarray(NOISE[::-1])], duration=100)


def with_segments(jpeg, *segments):
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


JPEG = encoded(".jpg", NOISE)
PICTURES = {
    "JPEG": JPEG,
    "progressive JPEG": encoded(".jpg", NOISE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "grey JPEG": encoded(".jpg", NOISE[..., 0]),
    "CMYK JPEG": by_pillow("JPEG", "CMYK"),
    "JPEG with a thumbnail": with_segments(JPEG, segment(0xE1, b"Exif\0\0" + encoded(".jpg"))),
    "JPEG with a profile of 255 parts": with_segments(JPEG, *[segment(0xE2, bytes(9000))] * 255),
    "JPEG with padding between segments": with_segments(JPEG, b"\xff" * 1000, segment(0xFE, b"x")),
    "JPEG with garbage between segments": with_segments(JPEG, segment(0xFE, b"x"), b"garbage\xff\x00"),
    "PNG": encoded(".png", NOISE),
    "PNG of 16 bits": encoded(".png", NOISE.astype(np.uint16) * 257),
    "PNG with transparency": by_pillow("PNG", "RGBA"),
    "PNG with a palette": by_pillow("PNG", "P"),
    "animated PNG": animated("PNG"),
    "lossy WebP": encoded(".webp", NOISE, cv2.IMWRITE_WEBP_QUALITY, 60),
    "lossless WebP": by_pillow("WEBP", lossless=True),
    "WebP with transparency": by_pillow("WEBP", "RGBA"),
    "extended WebP": by_pillow("WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    "animated WebP": animated("WEBP"),
    "BMP": encoded(".bmp", NOISE),
    "BMP with a palette": by_pillow("BMP", "P"),
    "BMP from the top": encoded(".bmp", NOISE)[:22] + struct.pack("<i", -48) + encoded(".bmp", NOISE)[26:],
}


@pytest.mark.parametrize("name", PICTURES)
def test_size_is_that_of_the_decoded_picture(name):
    assert picture_size(PICTURES[name]) == (64, 48)
    assert decode_picture(memoryview(PICTURES[name])).shape == (48, 64, 3)


def mutated(content):
    """The picture with changed, removed, repeated and moved bytes, most of them in its first hundred."""
    data = bytearray(content)
    for _ in range(RANDOM.integers(1, 5)):
        start, length = int(RANDOM.integers(0, min(len(data), 100))), int(RANDOM.integers(1, 9))
        part = data[start : start + length]
        kind = RANDOM.integers(4)
        if kind == 0:
            data[start : start + length] = RANDOM.integers(0, 256, len(part), np.uint8).tobytes()
        elif kind == 1:
            del data[start : start + length]
        elif kind == 2:
            data[start:start] = part
        else:
            place = int(RANDOM.integers(0, len(data)))
            data[place:place] = part
    return bytes(data)


def test_changed_picture_is_refused_or_has_the_size_of_its_header():
    """OpenCV 4.11 alone does not return from some of the PNGs, and crashes on some of the animated ones."""
    small = [each for each in PICTURES.values() if len(each) < 20_000]
    decoded = refused = 0
    for number in range(20_000):
        content = mutated(small[number % len(small)])
        try:
            image = decode_picture(content, 1_000_000, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except ImageError:
            refused += 1
            continue
        decoded += 1
        assert image.shape[1::-1] == picture_size(content), content[:100].hex()
    assert min(decoded, refused) > 1000


@pytest.mark.parametrize("length", [0x00FFFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
def test_png_with_a_chunk_that_is_longer_than_the_file_is_refused_at_once(length):
    content = bytearray(PICTURES["PNG"])
    content[33:37] = struct.pack(">I", length)
    with pytest.raises(ImageError, match="got a broken PNG: it ends too early"):
        decode_picture(bytes(content))


BOMBS = {
    "PNG": lambda: png(30_000, 30_000),
    "JPEG": lambda: large_jpeg(65_500, 65_500),
    "WEBP": lambda: large_webp(16_383, 16_383),
    "BMP": lambda: large_bmp(30_000, -30_000),
}


def decode_and_measure(content, pipe):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        decode_picture(content)
        message = "decoded"
    except ImageError as error:
        message = str(error)
    pipe.send((message, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


@pytest.mark.parametrize("form", BOMBS)
def test_picture_that_decodes_to_gigabytes_is_refused_by_its_header(form):
    """Measured in a process of its own: 5.4 GB were taken for the PNG of 109 kB."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=decode_and_measure, args=(BOMBS[form](), sender))
    child.start()
    message, grown_kb = receiver.recv()
    child.join()
    assert message.startswith("expected at most 50000000 pixels (max_image_pixels), got ")
    assert grown_kb < 10_000


def test_limit_is_the_last_size_that_is_decoded():
    assert decode_picture(PICTURES["PNG"], 64 * 48).shape == (48, 64, 3)
    with pytest.raises(ImageError, match=r"expected at most 3071 pixels \(max_image_pixels\), got 64 × 48"):
        decode_picture(PICTURES["PNG"], 64 * 48 - 1)


def test_largest_picture_takes_the_memory_that_the_documentation_states():
    """A progressive JPEG of 50 million pixels; docs/reliability.md."""
    buffer = io.BytesIO()
    Pillow.new("RGB", (8000, 6250)).save(buffer, "JPEG", progressive=True)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=decode_and_measure, args=(buffer.getvalue(), sender))
    child.start()
    message, grown_kb = receiver.recv()
    child.join()
    assert message == "decoded"
    assert 150 < grown_kb / 1000 < 450


@pytest.mark.parametrize("suffix", [".tiff", ".jp2", ".ppm", ".pfm", ".hdr", ".ras", ".gif", ""])
def test_format_whose_size_is_not_read_is_refused_with_the_list_of_those_that_are(suffix):
    pictures = {".gif": by_pillow("GIF"), "": b"hello", ".hdr": None, ".pfm": None}
    content = pictures.get(suffix, b"") or encoded(suffix, NOISE.astype(np.float32) if suffix in pictures else NOISE)
    with pytest.raises(ImageError, match=r"expected a picture \(JPEG, PNG, WEBP, BMP\), got another format"):
        decode_picture(content)


@pytest.mark.parametrize("name", PICTURES)
def test_header_that_ends_too_early_is_an_error(name):
    content = PICTURES[name]
    for length in range(40):
        with pytest.raises(ImageError, match="expected a picture"):
            decode_picture(content[:length])


@pytest.mark.parametrize("part", [b"\xff\xe0\0\2", b"\xff\xd0", b"\xff", b"\xff\x00", b"\0"])
def test_endless_jpeg_header_costs_no_time(part):
    start = time.process_time()
    with pytest.raises(ImageError, match="its header holds no size"):
        picture_size(b"\xff\xd8\xff\xe0\0\2" + part * ((8 << 20) // len(part)))
    assert time.process_time() - start < 1
