"""What the pipeline costs on this machine."""

from __future__ import annotations

import statistics
import time

import numpy as np

from emotion_ros.config import PipelineConfig
from emotion_ros.drawing import draw
from emotion_ros.pipeline import Pipeline
from emotion_ros.sources import frames

ROUNDS = 60


def benchmark() -> dict[str, float]:
    """Median milliseconds per stage and frames per second on the sample (640×480, one face), and milliseconds of the
    classifier for 1, 2, 4 and 8 faces."""
    pipeline = Pipeline(PipelineConfig())
    images = [frame.image for frame in frames("sample") if frame.image is not None][:ROUNDS]
    stages: dict[str, list[float]] = {}
    start = time.perf_counter()
    for number, image in enumerate(images):
        for stage, value in pipeline.perceive(image, number / 30).timings.items():
            stages.setdefault(stage, []).append(value)
    seconds = time.perf_counter() - start
    figures = {f"{stage} ms": statistics.median(values) for stage, values in stages.items()}
    perception = pipeline.perceive(images[0], 100.0)
    figures["draw ms"] = _median(lambda: draw(images[0], perception))
    figures["pipeline frames per second"] = len(images) / seconds
    crop = np.ascontiguousarray(images[0][100:228, 250:378])
    for faces in (1, 2, 4, 8):
        crops = [crop] * faces
        figures[f"classify {faces} faces ms"] = _median(lambda crops=crops: pipeline.classifier.classify(crops))
    return figures


def _median(call: object) -> float:
    spans = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()  # type: ignore[operator]
        spans.append(1000 * (time.perf_counter() - start))
    return statistics.median(spans)
