"""Bounds what the library rosbags unpacks and reads from a bag: a few kilobytes can claim, or unpack to, gigabytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from pathlib import Path
from typing import Any

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

MAX_SMALL_RECORDS = 200_000
"""Number of records of a small bag; a bag may have one more for each byte of its files.

A message counts twice: when its chunk is unpacked, and when it is read, which takes up to 20 µs. In the compressions of
rosbag2, messages without content took 9.6 bytes each or more; 0.7 if all have the same time (a paused simulation).
"""

MAX_FILE_RATIO = 100
"""Factor by which compressed storage files may grow on the disk, beyond :data:`MAX_UNPACKED_BYTES` in all."""

FOREIGN_TABLES = """
SELECT count(*) FROM pragma_table_list AS each LEFT JOIN pragma_table_xinfo(each.name) AS field
WHERE each.type <> 'table' OR field.hidden > 0
"""
"""Views, virtual tables and computed columns: they yield values that are not in the file, without end."""

SHARED_TOPICS = "SELECT count(*) <> count(DISTINCT id) FROM topics"
"""Topics with the same id: each message would be read for each of them."""

RECORD_HEADER_BYTES = 9
"""A record of MCAP begins with its kind (a byte) and its length (8 bytes)."""


class BagBudget:
    """Counts what is unpacked and read from a bag, in proportion to the size of its files.

    Args:
        path: the bag, a folder or a file.
    """

    def __init__(self, path: Path) -> None:
        files = path.iterdir() if path.is_dir() else (path,)
        size = sum(each.stat().st_size for each in files if each.is_file())
        self._max_records = self._records = MAX_SMALL_RECORDS + size
        self._max_bytes = self._bytes = MAX_UNPACKED_BYTES + MAX_FILE_RATIO * size

    def spend_records(self, number: int) -> None:
        """Count records of a chunk, or messages that are read.

        Raises:
            ValueError: the bag has more than :data:`MAX_SMALL_RECORDS` allows.
        """
        self._records -= number
        if self._records < 0:
            raise ValueError(f"expected at most {self._max_records} records in a bag of this size, got more")

    def spend_bytes(self, number: int) -> None:
        """Count bytes of a storage file that is compressed as a whole, and unpacked to the disk.

        Raises:
            ValueError: there are more than :data:`MAX_FILE_RATIO` allows.
        """
        self._bytes -= number
        if self._bytes < 0:
            raise ValueError(f"expected files that unpack to at most {self._max_bytes} bytes, got more")

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Count what this thread unpacks meanwhile."""
        token = _applied_budget.set(self)
        try:
            yield
        finally:
            _applied_budget.reset(token)


# rosbags calls its decompressors without the bag that they serve. None: a bag that open_bag did not open.
_applied_budget: ContextVar[BagBudget | None] = ContextVar("_applied_budget", default=None)


def limit_rosbags() -> None:
    """Replace the decompressors of rosbags, which have no limit, by those of this module, in this process."""
    storage_mcap.DECOMPRESSORS["zstd"] = lambda data, size: _chunk(zstd.ZstdDecompressor(), data, size)
    storage_mcap.DECOMPRESSORS["lz4"] = lambda data, size: _chunk(LZ4FrameDecompressor(), data, size)
    reader.zstd = _LimitedZstd  # type: ignore[assignment,attr-defined]


def limit_database(connection: apsw.Connection) -> None:
    """Limit the values of an SQLite database, which is a hook of :data:`apsw.connection_hooks`.

    Raises:
        ValueError: values of the database are not stored but computed, or two topics share an id.
    """
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, MAX_UNPACKED_BYTES)
    if connection.execute(FOREIGN_TABLES).get:
        raise ValueError("expected tables, got a view or a computed column")
    if connection.execute(SHARED_TOPICS).get:
        raise ValueError("expected topics with an id of their own, got two with the same")


def check_chunks(chunks: Sequence[ChunkInfo]) -> None:
    """Check the index of an MCAP file. Chunks of overlapping times are unpacked at once, in the order of time.

    Raises:
        ValueError: these have more than :data:`MAX_UNPACKED_BYTES` together, or a part of the file is in two chunks.
    """
    changes, places = [], []
    for each in chunks:
        places.append((each.chunk_start_offset, each.chunk_start_offset + each.compressed_size))
        start, size = each.message_start_time, each.uncompressed_size
        changes += [(start, 0, size), (max(start, each.message_end_time), 1, -size)]
    unpacked = 0
    for _, _, size in sorted(changes):
        unpacked += size
        if unpacked > MAX_UNPACKED_BYTES:
            raise ValueError(f"expected chunks of at most {MAX_UNPACKED_BYTES >> 20} MiB at a time, got more")
    places.sort()
    if any(start < end for (_, end), (start, _) in pairwise(places)):
        raise ValueError("expected chunks at places of their own, got two at the same")


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
    if budget := _applied_budget.get():
        budget.spend_records(records)
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
    """A compressed storage file."""

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        if budget := _applied_budget.get():
            budget.spend_bytes(len(content))
        return content


class _LimitedZstd:
    """What rosbags calls of the module zstd for messages and files that are compressed."""

    open = _LimitedFile

    @staticmethod
    def decompress(data: bytes) -> bytes:
        return _unpack(zstd.ZstdDecompressor(), data, MAX_UNPACKED_BYTES)
