"""Memory that killed processes leave behind."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

SEGMENTS = Path("/dev/shm")
PATTERNS = ("fastdds_????????????????_el", "fastrtps_????????????????_el")
"""Locks of Fast DDS's segments, which it holds while the process lives; the second name is that before Fast DDS 3."""

SETTLED = 5.0
"""Seconds after which a segment without a held lock is no longer one that is just being made."""


def sweep(folder: Path = SEGMENTS) -> int:
    """Free the shared memory of processes that were killed: Fast DDS keeps it until the machine is restarted, and with
    segments large enough for images a node that is killed and started again and again fills the memory.

    Returns:
        How many bytes were freed. What cannot be read or removed, because it is another user's, stays.
    """
    freed = 0
    for lock in (path for pattern in PATTERNS for path in folder.glob(pattern)):
        segment = lock.with_name(lock.name.removesuffix("_el"))
        try:
            if time.time() - lock.stat().st_mtime < SETTLED:
                continue
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                size = segment.stat().st_size
                segment.unlink()
                lock.unlink()
                freed += size
        except OSError:
            continue
    return freed
