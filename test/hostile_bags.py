"""MCAP files written record by record, so that their sizes, times and chunks can be what no recorder writes."""

import struct

import lz4.frame
from backports import zstd

from emotion_ros.io.bag_reader import typestore

MAGIC = b"\x89MCAP0\r\n"
IMAGE = "sensor_msgs/msg/Image"


def frame_of_zeros(compression, size):
    """A compressed frame that unpacks to a multiple of 1 MiB."""
    compressor = zstd.ZstdCompressor() if compression == "zstd" else lz4.frame.LZ4FrameCompressor()
    parts = [] if compression == "zstd" else [compressor.begin()]
    parts += [compressor.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, compressor.flush()])


def message_record(content=b"", time=1):
    """A record with a message of the only topic."""
    return _record(5, struct.pack("<HIQQ", 1, 0, time, time) + content)


def mcap(compression, packed, size, indexed=True, repeated=1, copies=1):
    """An MCAP of compressed chunks that are equal.

    Args:
        compression: zstd or lz4.
        packed: the compressed chunk.
        size: that the file states for the unpacked chunk.
        indexed: whether it has an index; without one, it is read from the beginning.
        repeated: number of entries of a chunk in the index.
        copies: number of chunks.
    """
    definition, _ = typestore().generate_msgdef(IMAGE, ros_version=2)
    schema = _record(3, struct.pack("<H", 1) + _text(IMAGE) + _text("ros2msg") + _text(definition))
    channel = _record(4, struct.pack("<HH", 1, 1) + _text("/image_raw") + _text("cdr") + _text(""))
    head = MAGIC + _record(1, _text("ros2") + _text("test"))
    chunk = _record(
        6, struct.pack("<QQQI", 1, 2, size, 0) + _text(compression) + struct.pack("<Q", len(packed)) + packed
    )
    messages = _record(7, struct.pack("<HIQQ", 1, 16, 1, 0))
    data, entries = head + (b"" if indexed else schema + channel), b""
    for _ in range(copies):
        place, offset = struct.pack("<QQQQ", 1, 2, len(data), len(chunk)), struct.pack("<HQ", 1, len(data) + len(chunk))
        entry = place + _text(offset) + struct.pack("<Q", len(messages)) + _text(compression)
        entries += _record(8, entry + struct.pack("<QQ", len(packed), size)) * repeated
        data += chunk + messages
    data += _record(15, bytes(4))
    statistics = _record(11, struct.pack("<QHIIIIQQ", 1, 1, 1, 0, 0, 1, 1, 2) + _text(struct.pack("<HQ", 1, 1)))
    end = _record(2, struct.pack("<QQI", len(data) if indexed else 0, 0, 0)) + MAGIC
    return data + (schema + channel + entries + statistics if indexed else b"") + end


def _record(kind, content):
    return bytes([kind]) + struct.pack("<Q", len(content)) + content


def _text(text):
    content = text.encode() if isinstance(text, str) else text
    return struct.pack("<I", len(content)) + content
