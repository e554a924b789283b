"""Images of a source, and which kind of source a name is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emotion_ros.types import Image

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


BAGS = (".mcap", ".db3")
"""Endings of a recording's file."""


@dataclass(frozen=True)
class SourceFrame:
    """An image, where it is from, its number there, and the seconds since the start at which it is due.

    ``image`` is None where the file could not be read.
    """

    source: str
    number: int
    time: float
    image: Image | None


def is_camera(source: str) -> bool:
    """Whether a source is a camera: an index, or a device file."""
    return source.isdigit() or source.startswith("/dev/")


def is_bag(path: Path) -> bool:
    """Whether a path is a recording of ROS: a folder that rosbag2 wrote, or a file of one."""
    return path.suffix in BAGS or (path / "metadata.yaml").is_file()
