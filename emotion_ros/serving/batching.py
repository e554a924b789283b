"""Requests that wait together run together: one thread owns the pipeline and takes what is there as a batch."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.state import Frame
from emotion_ros.types import Image, Perception

PER_IMAGE = 0.05
"""Seconds that an image is supposed to take while nothing better is known."""


class BusyError(Exception):
    """More is waiting than is allowed; ``seconds`` until there may be room."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"busy for about {seconds:.1f} s")
        self.seconds = seconds


@dataclass(frozen=True)
class CropResult:
    """What the classifier says of one crop: a label, how sure it is, and the probability of each label, 0…1."""

    label: str
    confidence: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class BackendInfo:
    """What an engine runs: the classifier's name, its execution provider, the labels of its probabilities, what a crop
    for it shows (``face``, ``face_hands`` or ``frame``), and what finds faces."""

    model: str
    provider: str
    labels: tuple[str, ...]
    region: str
    face_detector: str


class InferenceBackend(Protocol):
    """What stands between requests and pipelines."""

    arriving: int
    """Requests whose images are not here yet."""

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""

    @property
    def waiting(self) -> int:
        """Images that wait."""

    def about(self) -> BackendInfo:
        """What runs."""

    async def perceive(self, images: Sequence[Image]) -> list[Perception]:
        """All people and hands in each image (BGR, uint8, h × w × 3); no image has to do with another.

        Raises:
            BusyError: too many wait already.
            EmotionRosError: as :meth:`Pipeline.perceive`.
        """

    async def classify(self, crops: Sequence[Image]) -> list[CropResult]:
        """What the classifier says of each crop, which shows what its contract's region is.

        Raises:
            BusyError: too many wait already.
            ModelError: its outputs are no finite numbers.
        """

    def close(self) -> None:
        """Answer what waits, then end."""


def about(pipeline: Pipeline) -> BackendInfo:
    """What a pipeline is."""
    classifier = pipeline.classifier
    return BackendInfo(
        classifier.name,
        classifier.provider,
        pipeline.labels,
        classifier.contract.region,
        pipeline.config.face_detector,
    )


def perceive(pipeline: Pipeline, images: Sequence[Image]) -> list[Perception]:
    """All people and hands in each image, together."""
    try:
        return pipeline.perceive_all([Frame(image, 0.0, str(number)) for number, image in enumerate(images)])
    finally:
        pipeline.forget()


def classify(pipeline: Pipeline, crops: Sequence[Image]) -> list[CropResult]:
    """What the classifier says of each crop."""
    labels = pipeline.labels
    return [
        CropResult(labels[int(np.argmax(row))], float(row.max()), dict(zip(labels, row.tolist(), strict=True)))
        for row in pipeline.classify(crops)
    ]


@dataclass
class _Job:
    images: Sequence[Image]
    crops: bool
    answer: Future[list[Any]] = field(default_factory=Future)


class BatchingQueue:
    """A pipeline for many callers.

    Args:
        open_pipeline: makes the pipeline when it is needed first.
        batch: images of one run at most, but for a single request with more.
        wait: seconds that a run is held back at most, and only while :attr:`arriving` says that more comes.
        queue: images that may wait.
        seen: is told how many images each run had.
    """

    def __init__(
        self,
        open_pipeline: Callable[[], Pipeline],
        batch: int,
        wait: float,
        queue: int,
        seen: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.arriving = 0
        self._open, self._opening = open_pipeline, threading.Lock()
        self._pipeline: Pipeline | None = None
        self._batch, self._wait, self._queue, self._seen = batch, wait, queue, seen
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._per_image = PER_IMAGE
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    @property
    def pipeline(self) -> Pipeline:
        """The one that answers; only to ask what it is.

        Raises:
            EmotionRosError: it cannot be made.
        """
        with self._opening:
            self._pipeline = self._pipeline or self._open()
            return self._pipeline

    @property
    def ready(self) -> bool:
        """See :class:`InferenceBackend`."""
        return self._thread.is_alive() and not self._closing

    @property
    def waiting(self) -> int:
        """See :class:`InferenceBackend`."""
        with self._changed:
            return sum(len(job.images) for job in self._jobs)

    def about(self) -> BackendInfo:
        """See :class:`InferenceBackend`."""
        return about(self.pipeline)

    async def perceive(self, images: Sequence[Image]) -> list[Perception]:
        """See :class:`InferenceBackend`."""
        return await self._ask(_Job(images, False))

    async def classify(self, crops: Sequence[Image]) -> list[CropResult]:
        """See :class:`InferenceBackend`."""
        return await self._ask(_Job(crops, True))

    def close(self) -> None:
        """See :class:`InferenceBackend`."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        if self._pipeline:
            self._pipeline.close()

    async def _ask(self, job: _Job) -> list[Any]:
        with self._changed:
            there = sum(len(each.images) for each in self._jobs)
            if self._closing or (self._jobs and there + len(job.images) > self._queue):
                raise BusyError(max(there * self._per_image, 0.1))
            self._jobs.append(job)
            self._changed.notify()
        return await asyncio.wrap_future(job.answer)

    def _work(self) -> None:
        while jobs := self._next():
            begin = time.perf_counter()
            for crops in (False, True):
                self._run([job for job in jobs if job.crops == crops])
            count = sum(len(job.images) for job in jobs)
            self._seen(count)
            self._per_image += 0.1 * ((time.perf_counter() - begin) / count - self._per_image)

    def _next(self) -> list[_Job]:
        """Jobs for one run; none at the end."""
        while True:
            with self._changed:
                while not self._jobs:
                    if self._closing:
                        return []
                    self._changed.wait()
                until = time.monotonic() + self._wait
                while self.arriving and not self._full() and (left := until - time.monotonic()) > 0:
                    self._changed.wait(left)
                jobs = self._take()
            if jobs:
                return jobs

    def _take(self) -> list[_Job]:
        jobs: list[_Job] = []
        count = 0
        while self._jobs and (not jobs or count + len(self._jobs[0].images) <= self._batch):
            job = self._jobs.popleft()
            if job.answer.set_running_or_notify_cancel():  # else nobody waits for it any more
                jobs.append(job)
                count += len(job.images)
        return jobs

    def _full(self) -> bool:
        return sum(len(job.images) for job in self._jobs) >= self._batch

    def _run(self, jobs: Sequence[_Job]) -> None:
        """All together; where that fails each alone, so that one request does not spoil another."""
        if not jobs:
            return
        try:
            images = [image for job in jobs for image in job.images]
            results: list[Any] = (classify if jobs[0].crops else perceive)(self.pipeline, images)  # type: ignore[operator]
        except Exception as error:  # whatever it is, it is the answer, and the thread lives on
            if len(jobs) == 1:
                jobs[0].answer.set_exception(error)
                return
            for job in jobs:
                self._run([job])
            return
        for job in jobs:
            job.answer.set_result(results[: len(job.images)])
            results = results[len(job.images) :]
