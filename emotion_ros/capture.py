"""``emotion-ros capture``: labelled pictures for training, from a camera, a video or a folder."""

from __future__ import annotations

import csv
import os
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.config import PipelineConfig
from emotion_ros.detection import HAND_DETECTORS
from emotion_ros.errors import ConfigError, OutputError
from emotion_ros.pipeline import open_faces
from emotion_ros.sources import frames, is_camera
from emotion_ros.types import Image

CAPTURES = "captures.csv"
"""Beside the folders of the classes: file, label, time (ISO 8601, UTC), burst and source of each picture."""

COLUMNS = ("file", "label", "time", "burst", "source")

WANTED = 150
"""Pictures of each class that are enough for a first model."""

SHARPEST = 320
"""Pixels of the longer side at which sharpness is measured, so that it does not depend on the camera."""

BLURRED = 40.0
"""Variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000) below which a
picture counts as blurred. Of 60 webcam pictures of people the least sharp had 112, and none more than 20 once it was
smeared over 25 of its 640 pixels."""

BURST = 10
"""Pictures of a burst, taken at one key press."""


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


class Album:
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


def sharpness(image: Image) -> float:
    """Variance of the Laplacian of the picture at :data:`SHARPEST` pixels."""
    scale = SHARPEST / max(image.shape[:2])
    grey = cv2.cvtColor(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def checks(require: Sequence[str]) -> Callable[[Image], str]:
    """A function that says why a picture is refused; an empty text where it is not."""
    config = PipelineConfig()
    faces = open_faces(config) if "face" in require else None
    hands = HAND_DETECTORS["mediapipe"](config.hand_confidence, config.max_hands) if "hand" in require else None

    def check(image: Image) -> str:
        if "sharp" in require and sharpness(image) < BLURRED:
            return "blurred"
        if faces and not faces.detect(image, config.face_confidence, config.min_face_size):
            return "no face"
        return "no hand" if hands and not hands.detect(image) else ""

    return check


def capture(request: Request, source: str) -> int:
    """Take pictures until there are enough, the source ends, or q is pressed.

    With a screen a window shows what the camera sees: the space bar takes one picture, b a burst of ten, q ends.
    Without one, or for a source that is no camera, a picture is taken every ``request.every`` seconds.

    Returns:
        How many were taken.

    Raises:
        SourceError: the source cannot be read.
        OutputError: a picture cannot be written.
    """
    album, check = Album(request), checks(request.require)
    window = _Window() if is_camera(source) and _screen() else None
    taken, due = 0, -np.inf
    pending = 0
    for frame in frames(source):
        if frame.image is None:
            continue
        pending = window.show(frame.image, album, pending) if window else int(frame.time >= due)
        if pending < 0 or taken == request.count:
            break
        if not pending:
            continue
        reason = check(frame.image)
        if reason:
            print(f"refused: {reason}", file=sys.stderr)
        else:
            print(f"{album.add(frame.image, frame.source)}  {album.counts()}")
            taken, due = taken + 1, frame.time + request.every
        pending -= 1
        if taken == request.count:
            break
    if window:
        cv2.destroyAllWindows()
    print(f"{taken} pictures taken: {album.counts()}")
    return taken


class _Window:
    """A live preview; keys say how many of the next frames are taken."""

    def show(self, image: Image, album: Album, pending: int) -> int:
        picture = image.copy()
        cv2.putText(picture, album.counts(), (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
        cv2.imshow("space: one, b: burst, q: end", picture)
        key = cv2.waitKey(1) & 0xFF
        if key == ord("q"):
            return -1
        if key in (ord(" "), ord("b")):
            album.new_burst()
            return 1 if key == ord(" ") else BURST
        return pending


def _screen() -> bool:
    """Whether there is a screen, and an OpenCV that can draw on it."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        cv2.namedWindow("space: one, b: burst, q: end")
    except cv2.error:
        return False
    return True
