"""What the pipeline costs on this machine, without ROS."""

from __future__ import annotations

import statistics
import time
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
from emotion_ros.types import Box, Face, Hand, Image

CROWDS = {1: (1, 1), 2: (2, 1), 4: (2, 2), 8: (4, 2)}
"""Number of faces to columns and rows that they stand in."""


def stages(source: str) -> dict[str, float]:
    """Median milliseconds per stage on the first frames of a source at 640×480, and frames per second of it all.

    Raises:
        SourceError: the source has no picture.
    """
    images = _images(source)
    pipeline = Pipeline(PipelineConfig())
    seen = [pipeline.perceive(image, float(number)) for number, image in enumerate(images)]
    start = time.perf_counter()
    seen += [pipeline.perceive(image, float(number)) for number, image in enumerate(images)]
    seconds = time.perf_counter() - start
    figures = {f"{each}_ms": statistics.median(one.timings[each] for one in seen) for each in seen[0].timings}
    figures["draw_ms"] = median_ms(lambda: draw(images[0], seen[0]))
    figures["frames_per_second"] = len(images) / seconds
    figures["faces_per_frame"] = statistics.mean(len(one.people) for one in seen)
    figures["hands_per_frame"] = statistics.mean(
        len(one.hands) + sum(len(person.hands) for person in one.people) for one in seen
    )
    pipeline.close()
    return figures


def crowd(count: int) -> dict[str, float]:
    """What ``count`` faces in a 640×480 image cost: milliseconds of the classifier, of what makes people of them
    (tracking, quality, gestures, smoothing) and of the whole pipeline; and how many were found."""
    image = crowd_image(count)
    pipeline = Pipeline(PipelineConfig())
    seen = [pipeline.perceive(image, float(number)) for number in range(TIMED_CALLS)]
    pipeline.close()
    return {
        "found": len(seen[0].people),
        "classify_ms": statistics.median(one.timings["classify"] for one in seen),
        "people_ms": statistics.median(one.timings["people"] for one in seen),
        "pipeline_ms": statistics.median(one.timings["total"] for one in seen),
    }


def crowd_image(count: int) -> Image:
    """The sample's face so many times (of :data:`CROWDS`) in 640×480."""
    columns, rows = CROWDS[count]
    head = cv2.resize(_images("sample")[0][56:338, 267:455], (160, 240))
    image = np.full((480, 640, 3), 60, np.uint8)
    for index in range(count):
        x, y = index % columns * (640 // columns), index // columns * (480 // rows)
        image[y : y + 240, x : x + 160] = head
    return image


def cameras(count: int) -> dict[str, float]:
    """Milliseconds for an image of each of ``count`` cameras that share a pipeline, and images per second of all."""
    images = _images("sample")
    pipeline = Pipeline(PipelineConfig())
    spans = []
    for number, image in enumerate(images):
        shots = [Frame(image, number / 30, f"camera{index}") for index in range(count)]
        spans.append(pipeline.perceive_all(shots)[0].timings["total"])
    pipeline.close()
    median = statistics.median(spans)
    return {"round_ms": median, "images_per_second": 1000 * count / median}


def gestures() -> dict[str, float]:
    """Milliseconds to tell the gesture of a hand, to fuse it with a face, and to judge the quality of a face."""
    image = _images("sample")[0]
    known = read_gestures(default_gestures())
    hand = Hand("left", Box(0, 0, 90, 90), 0.9, np.random.default_rng(0).random((21, 2), np.float32) * 90)
    face = Face(Box(250, 90, 120, 120), 0.9, np.array([(280, 130), (330, 130), (305, 160), (305, 180)], np.float32))
    told = replace(hand, gesture="thumb_up", gesture_confidence=1.0)
    probabilities = np.full(7, 1 / 7, np.float32)
    return {
        "gesture_ms": median_ms(lambda: recognize_gesture(HandObservation(hand.landmarks), known)),
        "fusion_ms": median_ms(lambda: with_gestures(probabilities, [told], {"thumb_up": 3}, 1.0)),
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
