"""Time of the pipeline and its stages on this machine, without ROS."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from emotion_ros.config import PipelineConfig
from emotion_ros.config.package_files import default_gestures
from emotion_ros.errors import SourceError
from emotion_ros.inference.timing import TIMED_CALLS, median_ms
from emotion_ros.io.drawing import draw
from emotion_ros.io.sources import frames
from emotion_ros.perception.gesture_fusion import with_gestures
from emotion_ros.perception.gesture_rules import read_gestures
from emotion_ros.perception.gestures import HandObservation, recognize_gesture
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.quality import quality
from emotion_ros.perception.state import Frame
from emotion_ros.types import Box, Face, Hand, Image, Perception

FRAME_RATE_HZ = 30
"""Frames per second of a usual camera."""

CROWDS = {1: (1, 1), 2: (2, 1), 4: (2, 2), 8: (4, 2)}
"""Number of faces to the columns and rows of their grid."""


def stages(source: str, hand_detector: str = "emotion_hands") -> dict[str, float]:
    """Measure the first frames of a source at 640×480.

    Args:
        source: of the frames.
        hand_detector: see :class:`PipelineConfig`.

    Returns:
        Median milliseconds per stage if all stages run in each frame (``…_ms``); ``frames_per_second`` of the whole
        pipeline on frames with stamps at 30 Hz, as fast as it can; and the mean number of faces and hands per frame.

    Raises:
        SourceError: the source has no picture.
        ModelError: the hand detector is not installed.
    """
    images = _images(source)
    pipeline = Pipeline(PipelineConfig(hand_detector=hand_detector))
    results = [pipeline.perceive(image, float(number)) for number, image in enumerate(images)]
    start = time.perf_counter()
    for number, image in enumerate(images):
        pipeline.perceive(image, len(images) + number / FRAME_RATE_HZ)
    seconds = time.perf_counter() - start
    pipeline.close()
    return {
        **{f"{stage}_ms": _median_timing(results, stage) for stage in results[0].timings},
        "draw_ms": median_ms(lambda: draw(images[0], results[0])),
        "frames_per_second": len(images) / seconds,
        "faces_per_frame": statistics.mean(len(result.people) for result in results),
        "hands_per_frame": statistics.mean(_hand_count(result) for result in results),
    }


def _median_timing(results: Sequence[Perception], stage: str) -> float:
    return statistics.median(result.timings[stage] for result in results)


def _hand_count(result: Perception) -> int:
    return len(result.hands) + sum(len(person.hands) for person in result.people)


def crowd(count: int) -> dict[str, float]:
    """Measure an image of ``count`` faces (of :data:`CROWDS`) at 640×480.

    Returns:
        ``found`` faces, and milliseconds of the classifier, of people (tracking, quality, gestures, filter) and of the
        whole pipeline.
    """
    image = crowd_image(count)
    pipeline = Pipeline(PipelineConfig())
    results = [pipeline.perceive(image, float(number)) for number in range(TIMED_CALLS)]
    pipeline.close()
    return {
        "found": len(results[0].people),
        "classify_ms": _median_timing(results, "classify"),
        "people_ms": _median_timing(results, "people"),
        "pipeline_ms": _median_timing(results, "total"),
    }


def crowd_image(count: int) -> Image:
    """Return 640×480 pixels with the sample's face ``count`` times (of :data:`CROWDS`)."""
    columns, rows = CROWDS[count]
    head = cv2.resize(_images("sample")[0][56:338, 267:455], (160, 240))
    image = np.full((480, 640, 3), 60, np.uint8)
    for index in range(count):
        x, y = index % columns * (640 // columns), index // columns * (480 // rows)
        image[y : y + 240, x : x + 160] = head
    return image


def cameras(count: int) -> dict[str, float]:
    """Measure ``count`` cameras that share a pipeline.

    Returns:
        Median milliseconds for one image of each (``round_ms``), and images per second of all.
    """
    images = _images("sample")
    pipeline = Pipeline(PipelineConfig())
    times = []
    for number, image in enumerate(images):
        round_frames = [Frame(image, number / 30, f"camera{index}") for index in range(count)]
        times.append(pipeline.perceive_all(round_frames)[0].timings["total"])
    pipeline.close()
    median = statistics.median(times)
    return {"round_ms": median, "images_per_second": 1000 * count / median}


def gestures() -> dict[str, float]:
    """Measure one gesture recognition, one fusion of a gesture with a face, and one face quality, in milliseconds."""
    image = _images("sample")[0]
    rules = read_gestures(default_gestures())
    hand = Hand("left", Box(0, 0, 90, 90), 0.9, np.random.default_rng(0).random((21, 2), np.float32) * 90)
    face = Face(Box(250, 90, 120, 120), 0.9, np.array([(280, 130), (330, 130), (305, 160), (305, 180)], np.float32))
    thumb_up = replace(hand, gesture="thumb_up", gesture_confidence=1.0)
    probabilities = np.full(7, 1 / 7, np.float32)
    return {
        "gesture_ms": median_ms(lambda: recognize_gesture(HandObservation(hand.landmarks), rules)),
        "fusion_ms": median_ms(lambda: with_gestures(probabilities, [thumb_up], {"thumb_up": 3}, 1.0)),
        "quality_ms": median_ms(lambda: quality(image, face)),
    }


def _images(source: str) -> list[Image]:
    images: list[Image] = []
    for frame in frames(source):
        if frame.image is not None:
            images.append(cv2.resize(frame.image, (640, 480)))  # type: ignore[arg-type]
        if len(images) == TIMED_CALLS:
            break
    if not images:
        raise SourceError(f"{source}: expected pictures, none could be read")
    return images
