"""Writes labelled pictures into a data set: a folder per class, and a CSV file that names the burst of each picture."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import count
from pathlib import Path

import cv2

from emotion_ros.errors import ConfigError, OutputError
from emotion_ros.io.atomic_file import replacing
from emotion_ros.io.frames import PICTURES
from emotion_ros.types import Image

CAPTURES_CSV = "captures.csv"
"""Name of the CSV file in the data set's folder."""

COLUMNS = ("file", "label", "time", "burst", "source")
"""Columns of the CSV file: file name, class, time (ISO 8601, UTC), burst, and the source's name."""

RECOMMENDED_PICTURES_PER_CLASS = 150
"""Number that docs/train_your_own.md recommends; messages give the number that a class still lacks."""

JPEG_QUALITY_PERCENT = 95
"""JPEG quality of stored pictures: OpenCV's default."""


@dataclass(frozen=True)
class CaptureRequest:
    """Pictures to capture for one class.

    ``label`` is the class, and the name of its folder in ``out``, the data set's folder. ``count`` is the number of
    pictures, ``every`` the seconds between two of them (0: each frame).
    """

    label: str
    out: Path
    count: int = 30
    every: float = 0.3

    def __post_init__(self) -> None:
        name = self.label
        is_folder_name = name and name == name.strip() and name.isprintable() and not name.startswith(".")
        if not is_folder_name or "/" in name or "\\" in name or name == CAPTURES_CSV:
            raise ConfigError(f"label: expected a name that can be a folder, got {name!r}")
        if self.count < 1 or self.every < 0:
            raise ConfigError(f"expected a count of 1 or more and every of 0 or more, got {self.count}, {self.every}")


class DatasetWriter:
    """Adds pictures to one class of a data set. Several writers may add to the same data set at once."""

    def __init__(self, request: CaptureRequest) -> None:
        """Create the class's folder.

        Raises:
            OutputError: the folder cannot be created.
        """
        self._out, self._label = request.out, request.label
        self._folder = request.out / request.label
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            first = 1 + max((self._number(path) for path in self._folder.iterdir()), default=0)
        except OSError as error:
            raise OutputError(f"{self._folder}: expected a folder that can be written to: {error.strerror}") from error
        self._paths = (self._folder / f"{self._label}{number:04}.jpg" for number in count(first))
        self.start_burst()

    def start_burst(self) -> None:
        """Start a new burst. The pictures of one burst are kept in one split by ``emotion-ros split``."""
        self._burst = uuid.uuid4().hex[:8]

    def add(self, image: Image, source: str) -> Path:
        """Write a picture as JPEG under the next free name and return its path.

        No existing file is overwritten, also if another process adds pictures of the same label.

        Args:
            image: BGR, uint8, h × w × 3.
            source: name of the camera, file or topic, for the CSV file.

        Raises:
            OutputError: the picture cannot be written. No part of it remains.
        """
        content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY_PERCENT])[1].tobytes()
        try:
            return self._write(content, source)
        except OSError as error:
            raise OutputError(f"{self._folder}: a picture cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Remove the class's folder if it has no picture: a data set with an empty class cannot be divided."""
        with contextlib.suppress(OSError):  # it holds pictures, or is gone
            self._folder.rmdir()

    def summary(self) -> str:
        """Return the number of pictures of each class, and how many a class lacks of the recommended number."""
        classes = sorted(path for path in self._out.iterdir() if path.is_dir())
        return ", ".join(
            _class_summary(path.name, sum(1 for each in path.iterdir() if is_picture(each))) for path in classes
        )

    def _write(self, content: bytes, source: str) -> Path:
        self._folder.mkdir(exist_ok=True)  # another writer of the class may have removed it
        path = create_first_free(self._paths)
        try:
            with replacing(path) as partial:
                partial.write_bytes(content)
                self._append_row(path, source)
        except BaseException:
            path.unlink(missing_ok=True)  # the empty file that held the name
            raise
        return path

    def _number(self, path: Path) -> int:
        """Return the number in the name of one of this label's pictures; 0 for any other file."""
        digits = path.stem.removeprefix(self._label)
        return int(digits) if path.stem.startswith(self._label) and digits.isdecimal() and digits.isascii() else 0

    def _append_row(self, path: Path, source: str) -> None:
        time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        with (self._out / CAPTURES_CSV).open("a", newline="") as file:
            # Guards the header: of two processes only the one that finds the file empty writes it. Released on close.
            fcntl.flock(file, fcntl.LOCK_EX)
            writer = csv.writer(file)
            if file.seek(0, 2) == 0:
                writer.writerow(COLUMNS)
            writer.writerow((path.name, self._label, time, self._burst, source))


def create_first_free(paths: Iterable[Path]) -> Path:
    """Create the first of the paths that does not exist, as an empty file, and return it.

    The check and the creation are one operation of the file system, so two processes never get the same path.

    Raises:
        OSError: the file cannot be created.
    """
    for path in paths:
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise ValueError("expected at least one free path, all of them exist")


def is_picture(path: Path) -> bool:
    """Return True for a name with the suffix of a picture, False for a hidden file such as one half written."""
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")


def _class_summary(name: str, pictures: int) -> str:
    lacking = RECOMMENDED_PICTURES_PER_CLASS - pictures
    return f"{name} {pictures} ({lacking} to go)" if lacking > 0 else f"{name} {pictures}"
