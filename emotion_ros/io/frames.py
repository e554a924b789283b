"""Images of a source, and what kind of source a name is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from emotion_ros.types import Image

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
"""Suffixes of pictures, in lower case."""

BAGS = (".mcap", ".db3")
"""Suffixes of a bag's storage file."""

V4L_MAJOR = 81
"""Device number of cameras (video4linux): Linux, Documentation/admin-guide/devices.txt."""


@dataclass(frozen=True)
class SourceFrame:
    """An image of a source.

    Attributes:
        source: name of the source; of a folder, the path of the picture; of a bag, the topic.
        number: index in the source, from 0.
        time: seconds since the start of the source; of a bag, the stamp.
        image: BGR; None if it cannot be read.
        rate: images per second of the source; 0: unknown, as of a camera or a bag.
        problem: why the image cannot be read.
    """

    source: str
    number: int
    time: float
    image: Image | None
    rate: float = 0.0
    problem: str = ""


def is_camera(source: str) -> bool:
    """Return whether a source is a camera: an index, or a video device, also one that is unplugged at the moment."""
    if source.isdigit():
        return True
    if not source.startswith("/dev/"):
        return False
    try:
        return os.major(os.stat(source).st_rdev) == V4L_MAJOR
    except OSError:
        return True


def source_name(source: str) -> str:
    """Return the name that frames of a source carry: a path without ``./``, ``//`` and the like."""
    return source if source == "sample" or is_camera(source) else str(Path(source))


def is_picture(path: Path) -> bool:
    """Return whether a path has the suffix of a picture."""
    return path.suffix.lower() in PICTURES


def is_bag(path: Path) -> bool:
    """Return whether a path is a bag: a folder that rosbag2 wrote, or its storage file."""
    return (path.suffix in BAGS and not path.is_fifo()) or os.path.isfile(path / "metadata.yaml")
