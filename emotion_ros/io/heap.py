"""Settings of the C library's heap for processes that allocate and free megabytes many times a second."""

from __future__ import annotations

import ctypes
import gc
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8
"""Options of mallopt(3), from glibc's malloc.h."""

TRIM_THRESHOLD_BYTES = 64 << 20
"""Free memory at the top of the heap above which glibc returns it to the system: several copies of an image."""

MMAP_THRESHOLD_BYTES = 32 << 20
"""Size from which an allocation is mapped separately, the largest that glibc allows. A 4K image in colour has 25 MB."""


MAX_TRIM_THRESHOLD_BYTES = (1 << 31) - 1
"""Largest value of an option of mallopt(3), an int."""

MAX_ARENAS = 2
"""Heaps that the threads share. With one per thread, freed memory of detectors and models remains fragmented."""


def keep_freed_memory() -> None:
    """Let the process reuse freed memory for images, if the C library is glibc.

    By default each copy of an image is a new mapping, whose pages the system must find and clear. This takes over a
    third of the time in which an image passes from one process to another.
    """
    _set({M_MMAP_THRESHOLD: MMAP_THRESHOLD_BYTES, M_TRIM_THRESHOLD: TRIM_THRESHOLD_BYTES})


def keep_all_freed_memory() -> None:
    """Let the process reuse freed memory of any size, if the C library is glibc: for the tensors of a training.

    A step of training frees and allocates more than a gigabyte. With new mappings each time, a step of
    ``train-detector`` takes 1.5 times as long.
    """
    _set({M_MMAP_MAX: 0, M_TRIM_THRESHOLD: MAX_TRIM_THRESHOLD_BYTES})


def _set(options: dict[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in options.items():
            mallopt(option, value)


def limit_arenas() -> None:
    """Let all threads share :data:`MAX_ARENAS` heaps, if the C library is glibc and the user has not set their number.

    To be called before threads start.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        _set({M_ARENA_MAX: MAX_ARENAS})


def give_back_memory() -> None:
    """Return freed memory to the system, if the C library is glibc."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
