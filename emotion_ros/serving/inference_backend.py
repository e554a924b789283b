"""Interface between HTTP requests and perception pipelines, and the pipeline calls that all backends share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.state import Frame
from emotion_ros.types import Image, Perception

BATCH_WAIT_S = 0.005
"""Maximum delay of a batch while further requests arrive;
short compared with the processing time of one image."""

SECONDS_PER_IMAGE = 0.05
"""Estimated processing time of an image, used until it is measured."""


class BusyError(Exception):
    """The queue is full.

    Attributes:
        retry_after_s: estimated seconds until the queue has room.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"busy for about {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class CropResult:
    """Classification of one crop.

    Attributes:
        label: most probable label.
        confidence: its probability, 0 to 1.
        probabilities: probability of each label, 0 to 1, sum 1.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class BackendInfo:
    """Description of a pipeline.

    Attributes:
        model: name of the classifier.
        provider: its execution provider.
        labels: labels of the probabilities.
        region: image region that a crop for the classifier shows: ``face``, ``face_hands`` or ``frame``.
        face_detector: name of the face detector.
    """

    model: str
    provider: str
    labels: tuple[str, ...]
    region: str
    face_detector: str


class InferenceBackend(Protocol):
    """Runs images through one pipeline or several. Its coroutines are called from the event loop of the server.

    Attributes:
        arriving_requests: number of requests whose body is being received; written by the server.
    """

    arriving_requests: int

    @property
    def ready(self) -> bool:
        """True while requests are processed."""

    @property
    def queued_images(self) -> int:
        """Number of images in the queue."""

    def info(self) -> BackendInfo:
        """Return the description of the pipeline.

        Raises:
            EmotionRosError: the pipeline cannot be created.
        """

    async def perceive(self, images: Sequence[Image]) -> list[Perception]:
        """Detect people and hands in images (BGR, uint8, height × width × 3), each independent of the others.

        Raises:
            BusyError: the queue is full.
            EmotionRosError: see :meth:`Pipeline.perceive_all`.
        """

    async def classify(self, crops: Sequence[Image]) -> list[CropResult]:
        """Classify crops (BGR, uint8, height × width × 3) of the region in :class:`BackendInfo`.

        Raises:
            BusyError: the queue is full.
            ModelError: the outputs of the classifier are not finite.
        """

    def close(self) -> None:
        """Process the queued images, then free the pipeline."""


def pipeline_info(pipeline: Pipeline) -> BackendInfo:
    """Return the description of a pipeline."""
    classifier = pipeline.models.emotion.classifier
    return BackendInfo(
        model=classifier.name,
        provider=classifier.provider,
        labels=pipeline.models.emotion.labels,
        region=classifier.metadata.region,
        face_detector=pipeline.config.face_detector,
    )


def perceive_images(pipeline: Pipeline, images: Sequence[Image]) -> list[Perception]:
    """Detect people and hands in unrelated images, in one run of the pipeline."""
    frames = [Frame(image, 0.0, camera=str(number)) for number, image in enumerate(images)]
    try:
        return pipeline.perceive_all(frames)
    finally:
        pipeline.reset()  # the next request's images are of other people


def classify_crops(pipeline: Pipeline, crops: Sequence[Image]) -> list[CropResult]:
    """Classify crops in one run of the classifier."""
    return [_crop_result(pipeline.models.emotion.labels, row.tolist()) for row in pipeline.classify(crops)]


def _crop_result(labels: Sequence[str], probabilities: Sequence[float]) -> CropResult:
    best = int(np.argmax(probabilities))
    return CropResult(labels[best], probabilities[best], dict(zip(labels, probabilities, strict=True)))
