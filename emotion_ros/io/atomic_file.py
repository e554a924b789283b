"""Files that are either written whole or left as they were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path in the same folder; what the block writes there replaces ``path`` at its end.

    If the block raises, ``path`` stays as it was and the partial file is removed. The partial file keeps the suffix of
    ``path``, by which OpenCV and others choose a format.

    Raises:
        OSError: the file cannot be replaced; and whatever the block raises.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
