"""Files that are installed with the package."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from emotion_ros.errors import ConfigError


def package_folders() -> Iterator[Path]:
    """Yield the folders that may hold config/, models/ and msg/: of the installed package, then the source tree."""
    for prefix in (*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix):
        yield Path(prefix) / "share" / "emotion_ros"
    yield Path(__file__).resolve().parents[2]


def find_package_file(name: str) -> Path:
    """Return a file that is installed with this package.

    Args:
        name: its path in the source tree, such as ``config/gestures.yaml``.

    Raises:
        ConfigError: it is not installed.
    """
    folders = [*package_folders()]
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        raise ConfigError(f"{name}: not found in {', '.join(map(str, folders))}; install the package again")
    return path


def default_gestures() -> Path:
    """Return ``config/gestures.yaml`` of this package.

    Raises:
        ConfigError: it is not installed.
    """
    return find_package_file("config/gestures.yaml")
