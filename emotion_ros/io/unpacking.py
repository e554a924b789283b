"""Bounds what the library rosbags unpacks and reads from a bag: a few kilobytes can claim, or unpack to, gigabytes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO, Literal

import apsw
from lz4.frame import LZ4FrameDecompressor
from rosbags.rosbag2 import reader, storage_mcap
from rosbags.rosbag2.storage_mcap import ChunkInfo

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_UNPACKED_BYTES = 320 << 20
"""Size of an unpacked chunk or message, and of all chunks whose times overlap: these are in memory together.

A raw image of 50 million pixels with three values of 16 bits has 286 MiB. Chunks of rosbag2 have 0.75 MiB, or one
message.
"""

MAX_CHUNK_RECORDS = 250_000
"""Number of records in a chunk. Each took 100 bytes and 20 µs without any content; 1 MiB has room for 33,000."""

MAX_FILE_RATIO = 100
"""Factor by which a compressed storage file may grow on the disk, beyond :data:`MAX_UNPACKED_BYTES`."""

FOREIGN_TABLES = """
SELECT count(*) FROM pragma_table_list AS each LEFT JOIN pragma_table_xinfo(each.name) AS field
WHERE each.type <> 'table' OR field.hidden > 0
"""
"""Views, virtual tables and computed columns: they yield values that are not in the file, without end."""

RECORD_HEADER_BYTES = 9
"""A record of MCAP begins with its kind (a byte) and its length (8 bytes)."""


def limit_rosbags() -> None:
    """Replace the decompressors of rosbags, which have no limit, by those of this module, in this process."""
    storage_mcap.DECOMPRESSORS["zstd"] = lambda data, size: _chunk(zstd.ZstdDecompressor(), data, size)
    storage_mcap.DECOMPRESSORS["lz4"] = lambda data, size: _chunk(LZ4FrameDecompressor(), data, size)
    reader.zstd = _LimitedZstd  # type: ignore[assignment,attr-defined]


def limit_database(connection: apsw.Connection) -> None:
    """Limit the values of an SQLite database, which is a hook of :data:`apsw.connection_hooks`.

    Raises:
        ValueError: values of the database are not stored but computed.
    """
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, MAX_UNPACKED_BYTES)
    if connection.execute(FOREIGN_TABLES).get:
        raise ValueError("expected tables, got a view or a computed column")


def check_overlap(chunks: Iterable[ChunkInfo]) -> None:
    """Check the chunks that are unpacked at once when messages are read in the order of time.

    Raises:
        ValueError: they have more than :data:`MAX_UNPACKED_BYTES` together.
    """
    changes = []
    for each in chunks:
        start, size = each.message_start_time, each.uncompressed_size
        changes += [(start, 0, size), (max(start, each.message_end_time), 1, -size)]
    unpacked = 0
    for _, _, size in sorted(changes):
        unpacked += size
        if unpacked > MAX_UNPACKED_BYTES:
            raise ValueError(f"expected chunks of at most {MAX_UNPACKED_BYTES >> 20} MiB at a time, got more")


def _chunk(decompressor: Any, data: bytes, size: int) -> bytes:
    """Return an unpacked chunk of the size that the file states.

    Raises:
        ValueError: it has another size, or too many records.
    """
    content = _unpack(decompressor, data, size)
    position = records = 0
    while position < len(content):
        length = int.from_bytes(content[position + 1 : position + RECORD_HEADER_BYTES], "little")
        position += RECORD_HEADER_BYTES + length
        records += 1
        if records > MAX_CHUNK_RECORDS:
            raise ValueError(f"expected at most {MAX_CHUNK_RECORDS} records in a chunk, got more")
    return content


def _unpack(decompressor: Any, data: bytes, size: int) -> bytes:
    """Return the content of one compressed frame.

    Raises:
        ValueError: it is cut off, or has more bytes than ``size`` or :data:`MAX_UNPACKED_BYTES`.
    """
    limit = min(size, MAX_UNPACKED_BYTES)
    content: bytes = decompressor.decompress(data, max_length=limit + 1)  # one more: the end of the frame is read too
    if len(content) > limit:
        raise ValueError(f"expected a chunk or message that unpacks to at most {limit} bytes, got more")
    if not decompressor.eof:
        raise ValueError("expected a compressed chunk or message, got a part of one")
    return content


class _LimitedFile(zstd.ZstdFile):
    """A compressed storage file; reading it ends at :data:`MAX_FILE_RATIO` of its size."""

    def __init__(self, file: BinaryIO, mode: Literal["rb"]) -> None:
        super().__init__(file, mode)
        self._limit = MAX_UNPACKED_BYTES + MAX_FILE_RATIO * os.fstat(file.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > self._limit:
            raise ValueError(f"expected a file that unpacks to at most {self._limit} bytes, got more")
        return super().read(size)


class _LimitedZstd:
    """What rosbags calls of the module zstd for messages and files that are compressed."""

    open = _LimitedFile

    @staticmethod
    def decompress(data: bytes) -> bytes:
        return _unpack(zstd.ZstdDecompressor(), data, MAX_UNPACKED_BYTES)
