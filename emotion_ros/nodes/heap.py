"""Settings of the C library's heap for a process that allocates and frees images of megabytes many times a second."""

from __future__ import annotations

import ctypes
import gc

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of mallopt(3), from glibc's malloc.h."""

TRIM_THRESHOLD_BYTES = 64 << 20
"""Free memory at the top of the heap above which glibc returns it to the system: several copies of an image."""

MMAP_THRESHOLD_BYTES = 32 << 20
"""Size from which an allocation is mapped separately, the largest that glibc allows. A 4K image in colour has 25 MB."""


def keep_freed_memory() -> None:
    """Let the process reuse freed memory for images, if the C library is glibc.

    By default each copy of an image is a new mapping, whose pages the system must find and clear. This takes over a
    third of the time in which an image passes from one process to another.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
        mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES)


def give_back_memory() -> None:
    """Return freed memory to the system, if the C library is glibc."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
