"""Read the images of a camera, a video, a picture, a folder, a bag, a pipe or the sample, one after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.config.image_limit import MAX_IMAGE_PIXELS
from emotion_ros.errors import ImageError, SourceError
from emotion_ros.io.frames import SourceFrame, is_bag, is_camera, is_picture
from emotion_ros.io.pictures import picture_files, read_picture, read_piped_picture

SAMPLE_RATE_HZ = 15.0
SAMPLE_FRAMES = 90
SAMPLE_FACE_PX = (246, 110)
"""Middle of the face in the sample's portrait, x and y in pixels."""

PICTURE_RATE_HZ = 2.0
"""Pictures of a folder per second, if no rate is given."""

DEFAULT_VIDEO_RATE_HZ, MAX_VIDEO_RATE_HZ = 25.0, 1000.0
"""Frame rate of a video whose file names none, or one that is not plausible."""

CAMERA_RETRY_DELAYS_S = (0.5, 1.0, 2.0, 5.0)
"""Delays before a lost camera is opened again; the last one is repeated."""


def check_source(source: str) -> None:
    """Check that a source exists, without opening it.

    Raises:
        SourceError: there is nothing of that name.
    """
    if source != "sample" and not source.isdigit() and not os.path.exists(source):
        raise SourceError(f"{source}: expected sample, a camera, a video, a picture or a folder, found nothing there")


def check_live_source(source: str) -> None:
    """Check that a source exists and can be played as a camera, without opening it.

    Raises:
        SourceError: there is nothing of that name, or it is a bag, which has other times and many topics.
    """
    check_source(source)
    if is_bag(Path(source)):
        raise SourceError(
            f"{source}: expected sample, a camera, a video, a picture or a folder of pictures, got a bag; "
            f"play it with: ros2 bag play {source}"
        )


def frames(
    source: str, rate: float = 0.0, size: tuple[int, int] = (640, 480), max_pixels: int = MAX_IMAGE_PIXELS
) -> Iterator[SourceFrame]:
    """Return all frames of a source, read as fast as possible; those of a camera never end.

    Args:
        source: ``sample``, camera index or device, video, picture, folder of pictures, bag, or pipe with a picture.
        rate: images per second for ``SourceFrame.time``; 0: the source's own.
        size: width and height requested of a camera, or of the sample, pixels.
        max_pixels: maximum width × height of an image; a larger picture has no image, a larger video is refused.

    Raises:
        SourceError: it does not exist or cannot be opened; possibly at the first frame.
    """
    check_source(source)
    if source == "sample":
        return _sample(rate or SAMPLE_RATE_HZ, size)
    if is_camera(source):
        return _camera(source, size)
    path = Path(source)
    if is_bag(path):
        # Imported here because rosbags is an optional dependency. bags does not import sources.
        from emotion_ros.io.bags import bag_frames

        return bag_frames(path, max_pixels)
    if os.path.isdir(path):
        return _pictures(picture_files(path), rate or PICTURE_RATE_HZ, max_pixels)
    if is_picture(path):
        return _pictures([path], rate or PICTURE_RATE_HZ, max_pixels)
    if os.path.isfile(path):
        return _video(path, rate, max_pixels)
    return _pipe(path, max_pixels)


def _sample(rate: float, size: tuple[int, int]) -> Iterator[SourceFrame]:
    """Yield a face that moves around: NASA's portrait of Eileen Collins, public domain, from scikit-image."""
    import skimage.data

    portrait = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
    width, height = size
    unit = height / 480
    for number in range(SAMPLE_FRAMES):
        angle = 2 * np.pi * number / SAMPLE_FRAMES
        scale = unit * (1.1 + 0.1 * np.sin(angle))
        left = width / 2 + unit * 60 * np.cos(angle) - scale * SAMPLE_FACE_PX[0]
        top = unit * (160 + 15 * np.sin(2 * angle)) - scale * SAMPLE_FACE_PX[1]
        transform = np.array([[scale, 0, left], [0, scale, top]])
        image = cv2.warpAffine(portrait, transform, size, borderValue=(60, 50, 45))
        yield SourceFrame("sample", number, number / rate, image, rate)  # type: ignore[arg-type]


def _pictures(paths: list[Path], rate: float, max_pixels: int) -> Iterator[SourceFrame]:
    return (picture_frame(path, number, rate, max_pixels) for number, path in enumerate(paths))


def picture_frame(path: Path, number: int, rate: float, max_pixels: int) -> SourceFrame:
    """Read a picture as the frame of this number of a folder; ``rate`` and ``max_pixels`` as in :func:`frames`."""
    try:
        image, problem = read_picture(path, max_pixels), ""
    except ImageError as error:
        image, problem = None, str(error)
    return SourceFrame(str(path), number, number / rate, image, rate, problem)


def _pipe(path: Path, max_pixels: int) -> Iterator[SourceFrame]:
    yield SourceFrame(str(path), 0, 0.0, read_piped_picture(path, max_pixels))


def _video(path: Path, rate: float, max_pixels: int) -> Iterator[SourceFrame]:
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise SourceError(f"{path}: expected a video or a picture that OpenCV can read; it is neither")
    width, height = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > max_pixels:
        raise SourceError(f"{path}: expected at most {max_pixels} pixels (max_image_pixels), got {width} × {height}")
    named = video.get(cv2.CAP_PROP_FPS)
    rate = rate or (named if 0 < named <= MAX_VIDEO_RATE_HZ else DEFAULT_VIDEO_RATE_HZ)
    number = 0
    while (read := video.read())[0]:
        yield SourceFrame(str(path), number, number / rate, read[1], rate)  # type: ignore[arg-type]
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
    """Yield frames as the camera delivers them; reopen a lost camera, with growing delays."""
    camera = _open_camera(source, size)
    if not camera.isOpened():
        raise SourceError(f"{source}: no camera there can be opened; is it plugged in, and are you in the group video?")
    start, number, attempts = time.monotonic(), 0, 0
    while True:
        success, image = camera.read()
        if success:
            yield SourceFrame(source, number, time.monotonic() - start, image)  # type: ignore[arg-type]
            number, attempts = number + 1, 0
        else:
            time.sleep(CAMERA_RETRY_DELAYS_S[min(attempts, len(CAMERA_RETRY_DELAYS_S) - 1)])
            attempts += 1
            camera.release()
            camera = _open_camera(source, size)
