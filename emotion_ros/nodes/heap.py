"""How the C library keeps memory: images come and go, megabytes each, dozens of times a second."""

from __future__ import annotations

import ctypes
import gc

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of mallopt(3), in glibc's malloc.h."""

KEPT = 64 << 20
"""Bytes that are free at the end of the heap before any are returned to the system: some copies of an image."""

LARGEST = 32 << 20
"""Bytes of the largest piece that comes from the heap, the most that glibc allows: 4K in colour has 25 MB."""


def keep_freed_memory() -> None:
    """Use memory that was freed again, where the C library is glibc.

    Else each copy of an image is new memory, whose pages the system must find and clear: over a third of the time that
    an image takes from one process to another.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(M_MMAP_THRESHOLD, LARGEST)
        set_option(M_TRIM_THRESHOLD, KEPT)


def give_back_memory() -> None:
    """Return what was freed to the system, where the C library can: glibc keeps it else."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
