"""Writes labelled pictures into a data set."""

from __future__ import annotations

import csv
import os
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import cv2

from emotion_ros.errors import ConfigError, OutputError
from emotion_ros.types import Image

CAPTURES = "captures.csv"
"""Beside the folders of the classes: file, label, time (ISO 8601, UTC), burst and source of each picture."""


COLUMNS = ("file", "label", "time", "burst", "source")


WANTED = 150
"""Pictures of each class that are enough for a first model."""


@dataclass(frozen=True)
class Request:
    """What to capture.

    ``label`` names the class, ``out`` the data set's folder. ``count`` pictures, one ``every`` seconds (0: as fast as
    they come). ``require``: ``sharp``, ``face``, ``hand``; pictures without are refused.
    """

    label: str
    out: Path
    count: int = 30
    every: float = 0.3
    require: tuple[str, ...] = ()
    wanted: int = WANTED

    def __post_init__(self) -> None:
        name = self.label
        if not name or name != name.strip() or name.startswith(".") or "/" in name or "\\" in name:
            raise ConfigError(f"label: expected a name that can be a folder, got {name!r}")
        unknown = set(self.require) - {"sharp", "face", "hand"}
        if unknown:
            raise ConfigError(f"require: expected sharp, face or hand, got {', '.join(sorted(unknown))}")
        if self.count < 1 or self.every < 0:
            raise ConfigError(f"expected a count of 1 or more and every of 0 or more, got {self.count}, {self.every}")


class DatasetWriter:
    """The pictures of a data set on disk: adds to them, counts them."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.burst = uuid.uuid4().hex[:8]
        self._folder = request.out / request.label
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self._folder}: expected a folder that can be written to: {error.strerror}") from error
        numbers = [path.stem.removeprefix(request.label) for path in self._folder.glob(f"{request.label}*.jpg")]
        self._next = 1 + max((int(number) for number in numbers if number.isdigit()), default=0)

    def new_burst(self) -> None:
        """What comes now does not belong to what came before."""
        self.burst = uuid.uuid4().hex[:8]

    def add(self, image: Image, source: str) -> Path:
        """Store a picture (BGR, h × w × 3) under the next free name.

        Raises:
            OutputError: it cannot be written; what was there stays as it is.
        """
        path = self._folder / f"{self.request.label}{self._next:04}.jpg"
        partial = path.with_suffix(".partial")
        try:
            partial.write_bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
            self._note(path, source)
            os.replace(partial, path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
        self._next += 1
        return path

    def _note(self, path: Path, source: str) -> None:
        notes = self.request.out / CAPTURES
        fresh = not notes.is_file()
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        with notes.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(COLUMNS)
            writer.writerow((path.name, self.request.label, moment, self.burst, source))

    def counts(self) -> str:
        """How many pictures each class has, and how many are still wanted."""
        classes = sorted(path for path in self.request.out.iterdir() if path.is_dir())
        numbers = {path.name: sum(1 for _ in path.glob("*.jpg")) for path in classes}
        return ", ".join(
            f"{name} {number}" + (f" ({self.request.wanted - number} to go)" if number < self.request.wanted else "")
            for name, number in numbers.items()
        )
