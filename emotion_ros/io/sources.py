"""Pictures from a camera, a video, a folder, a file, or the sample: one image after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.errors import SourceError
from emotion_ros.io.frames import PICTURES, SourceFrame, is_bag, is_camera

SAMPLE_RATE = 15.0
SAMPLE_FRAMES = 90
SAMPLE_FACE = (246, 110)
"""Middle of the face in the sample's portrait, x and y in pixels."""

PICTURE_RATE = 2.0
"""Pictures of a folder per second, where no rate is asked for."""

BACK_OFF = (0.5, 1.0, 2.0, 5.0)
"""Seconds to wait before a lost camera is opened again; the last one is repeated."""


def check_source(source: str) -> None:
    """See that there is something to play, without opening it.

    Raises:
        SourceError: there is nothing of that name.
    """
    if source != "sample" and not source.isdigit() and not Path(source).exists():
        raise SourceError(f"{source}: expected sample, a camera, a video, a picture or a folder, found nothing there")


def frames(source: str, rate: float = 0.0, size: tuple[int, int] = (640, 480)) -> Iterator[SourceFrame]:
    """All frames of a source, as fast as they can be read; a camera never ends.

    Args:
        source: ``sample``, camera index or device, video, picture, folder of pictures, or bag.
        rate: images per second that ``time`` follows; 0: the source's own.
        size: width and height asked of a camera, or of the sample.

    Raises:
        SourceError: it does not exist or cannot be opened.
    """
    check_source(source)
    path = Path(source)
    if is_bag(path):
        from emotion_ros.io.bags import bag_frames

        return bag_frames(path)
    if source == "sample":
        return _sample(rate or SAMPLE_RATE, size)
    if is_camera(source):
        return _camera(source, size)
    if path.is_dir():
        return _pictures(sorted(each for each in path.iterdir() if each.suffix.lower() in PICTURES), path, rate)
    if path.suffix.lower() in PICTURES:
        return _pictures([path], path, rate)
    return _video(path, rate)


def _sample(rate: float, size: tuple[int, int]) -> Iterator[SourceFrame]:
    """A face that moves about: NASA's portrait of Eileen Collins, public domain, from scikit-image."""
    import skimage.data

    portrait = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
    width, height = size
    unit = height / 480
    for number in range(SAMPLE_FRAMES):
        angle = 2 * np.pi * number / SAMPLE_FRAMES
        scale = unit * (1.1 + 0.1 * np.sin(angle))
        left = width / 2 + unit * 60 * np.cos(angle) - scale * SAMPLE_FACE[0]
        top = unit * (160 + 15 * np.sin(2 * angle)) - scale * SAMPLE_FACE[1]
        move = np.array([[scale, 0, left], [0, scale, top]])
        image = cv2.warpAffine(portrait, move, size, borderValue=(60, 50, 45))
        yield SourceFrame("sample", number, number / rate, image)  # type: ignore[arg-type]


def _pictures(paths: list[Path], folder: Path, rate: float) -> Iterator[SourceFrame]:
    if not paths:
        raise SourceError(f"{folder}: expected pictures ({', '.join(PICTURES)}), found none")
    for number, path in enumerate(paths):
        content = np.fromfile(path, np.uint8)
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
        yield SourceFrame(str(path), number, number / (rate or PICTURE_RATE), image)  # type: ignore[arg-type]


def _video(path: Path, rate: float) -> Iterator[SourceFrame]:
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise SourceError(f"{path}: expected a video or a picture that OpenCV can read; it is neither")
    rate = rate or video.get(cv2.CAP_PROP_FPS) or 25.0
    number = 0
    while (read := video.read())[0]:
        yield SourceFrame(str(path), number, number / rate, read[1])  # type: ignore[arg-type]
        number += 1
    video.release()
    if number == 0:
        raise SourceError(f"{path}: the video holds no frame that can be read")


def _open_camera(source: str, size: tuple[int, int]) -> cv2.VideoCapture:
    camera = cv2.VideoCapture(int(source) if source.isdigit() else source)
    camera.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
    camera.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    return camera


def _camera(source: str, size: tuple[int, int]) -> Iterator[SourceFrame]:
    """Frames as the camera gives them; a camera that is lost is opened again, with growing pauses."""
    camera = _open_camera(source, size)
    if not camera.isOpened():
        raise SourceError(f"{source}: no camera there can be opened; is it plugged in, and are you in the group video?")
    start, number, lost = time.monotonic(), 0, 0
    while True:
        good, image = camera.read()
        if good:
            yield SourceFrame(source, number, time.monotonic() - start, image)  # type: ignore[arg-type]
            number, lost = number + 1, 0
        else:
            time.sleep(BACK_OFF[min(lost, len(BACK_OFF) - 1)])
            lost += 1
            camera.release()
            camera = _open_camera(source, size)
