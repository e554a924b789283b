"""Pictures of a few kilobytes that claim or decode to gigabytes."""

import struct
import zlib

import cv2
import numpy as np


def png(width, height, image_data=None):
    """A PNG of one bit per pixel; without ``image_data`` all of it is there."""
    row = 1 + (width + 7) // 8
    data = zlib.compress(bytes(row * height), 9) if image_data is None else image_data

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def encoded(suffix, image=None, *parameters):
    """A small picture in the format of a suffix."""
    image = np.zeros((24, 32, 3), np.uint8) if image is None else image
    return cv2.imencode(suffix, image, list(parameters))[1].tobytes()


def large_jpeg(width, height):
    """A JPEG whose frame header claims a size."""
    content = bytearray(encoded(".jpg"))
    place = content.index(b"\xff\xc0")
    content[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def large_webp(width, height):
    """An extended WebP whose canvas claims a size."""
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas + encoded(".webp")[12:]
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def large_bmp(width, height):
    """A BMP whose header claims a size."""
    content = bytearray(encoded(".bmp"))
    content[18:26] = struct.pack("<ii", width, height)
    return bytes(content)
