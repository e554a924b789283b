"""Removal of shared memory that killed processes left behind."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")

LOCK_PATTERNS = ("fastdds_????????????????_el", "fastrtps_????????????????_el")
"""Lock files of Fast DDS's segments, locked while their process lives. The second name is used before Fast DDS 3."""

MIN_AGE_S = 5.0
"""Age from which a segment without a held lock is removed. The process of a younger one may not have locked it yet."""


def remove_stale_segments(folder: Path = SHARED_MEMORY) -> int:
    """Remove the Fast DDS segments of processes that no longer live.

    Fast DDS leaves them until the machine restarts. With segments that are large enough for images, a node that is
    killed and restarted repeatedly fills the memory.

    Returns:
        Number of freed bytes. Segments of other users stay.
    """
    locks = [path for pattern in LOCK_PATTERNS for path in folder.glob(pattern)]
    return sum(_remove_if_stale(lock) for lock in locks)


def _remove_if_stale(lock: Path) -> int:
    segment = lock.with_name(lock.name.removesuffix("_el"))
    try:
        # A pipe of this name, which anybody can make here, would block until somebody writes into it.
        descriptor = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with open(descriptor) as file:
            if not _is_ours(os.fstat(descriptor)):
                return 0
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises OSError while the owner lives
            size = segment.stat().st_size
            segment.unlink()
            lock.unlink()
            return size
    except OSError:
        return 0


def _is_ours(lock: os.stat_result) -> bool:
    """Return whether a lock is a file of this user that is old enough."""
    old = time.time() - lock.st_mtime >= MIN_AGE_S
    return stat.S_ISREG(lock.st_mode) and lock.st_uid == os.geteuid() and old
