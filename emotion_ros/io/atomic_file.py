"""Replace files atomically."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a partial file, which replaces ``path`` when the block ends.

    If the block raises, ``path`` is unchanged and the partial file is removed. The partial file is in the same folder
    and has the same suffix, from which OpenCV and others derive the format.

    Raises:
        OSError: the file cannot be replaced. Errors of the block are passed on.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
