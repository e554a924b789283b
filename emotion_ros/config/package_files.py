"""Files that are installed with the package."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from emotion_ros.errors import ConfigError


def package_folders() -> Iterator[Path]:
    """Where config/ and models/ of this package may be: the installed package, the source tree."""
    for prefix in (*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix):
        yield Path(prefix) / "share" / "emotion_ros"
    yield Path(__file__).resolve().parents[2]


def find_of_package(name: str) -> Path:
    """A file that comes with this package, by its path in the source tree.

    Raises:
        ConfigError: it is not installed.
    """
    places = [*package_folders()]
    found = next((folder / name for folder in places if (folder / name).is_file()), None)
    if found is None:
        raise ConfigError(f"{name}: not found in {', '.join(map(str, places))}; install the package again")
    return found


def default_gestures() -> Path:
    """``config/gestures.yaml`` of this package.

    Raises:
        ConfigError: it is not installed.
    """
    return find_of_package("config/gestures.yaml")
