"""Batching of concurrent requests: one thread owns the pipeline and processes the queued images together."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from emotion_ros.config import PipelineConfig
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.serving.inference_backend import (
    BATCH_WAIT_S,
    SECONDS_PER_IMAGE,
    BackendInfo,
    BusyError,
    CropResult,
    classify_crops,
    perceive_images,
    pipeline_info,
)
from emotion_ros.types import Image, Perception

MIN_RETRY_AFTER_S = 0.1


@dataclass
class _Job:
    """Images of one request and the future of their results. ``crops``: classify them instead of perceive."""

    images: Sequence[Image]
    crops: bool
    results: Future[list[Any]] = field(default_factory=Future)


class BatchingQueue:
    """A pipeline that is shared by many clients; see :class:`InferenceBackend`.

    Args:
        read_config: returns the pipeline's settings. Called by the worker thread before each batch; a pipeline whose
            settings differ is replaced. Also called by :meth:`info` while there is no pipeline.
        max_batch_size: maximum number of images per batch; a single request may have more.
        max_queue_size: maximum number of queued images.
        on_batch: called by the worker thread with the number of images of each batch.
    """

    def __init__(
        self,
        read_config: Callable[[], PipelineConfig],
        max_batch_size: int,
        max_queue_size: int,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.arriving_requests = 0
        self._read_config, self._on_batch = read_config, on_batch
        self._max_batch_size, self._max_queue_size = max_batch_size, max_queue_size
        self._pipeline: Pipeline | None = None
        # Guards _pipeline. Held by the worker while it creates or replaces the pipeline, and by callers of info(). Only
        # the worker closes a pipeline and only the worker runs images, so that it runs them without the lock.
        self._pipeline_lock = threading.Lock()
        self._jobs: deque[_Job] = deque()
        # Guards _jobs and _closing. Held only for bookkeeping, never while images are processed.
        self._changed = threading.Condition()
        self._closing = False
        self._seconds_per_image = SECONDS_PER_IMAGE
        self._thread = threading.Thread(target=self._run_batches, name="batches", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """See :class:`InferenceBackend`."""
        return self._thread.is_alive() and not self._closing

    @property
    def queued_images(self) -> int:
        """See :class:`InferenceBackend`."""
        with self._changed:
            return self._queued()

    def info(self) -> BackendInfo:
        """See :class:`InferenceBackend`."""
        with self._pipeline_lock:
            self._pipeline = self._pipeline or Pipeline(self._read_config())
            return pipeline_info(self._pipeline)

    async def perceive(self, images: Sequence[Image]) -> list[Perception]:
        """See :class:`InferenceBackend`."""
        return await self._submit(_Job(images, crops=False))

    async def classify(self, crops: Sequence[Image]) -> list[CropResult]:
        """See :class:`InferenceBackend`."""
        return await self._submit(_Job(crops, crops=True))

    def close(self) -> None:
        """See :class:`InferenceBackend`."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        if self._pipeline:
            self._pipeline.close()

    async def _submit(self, job: _Job) -> list[Any]:
        with self._changed:
            queued = self._queued()
            if self._closing or (self._jobs and queued + len(job.images) > self._max_queue_size):
                raise BusyError(max(queued * self._seconds_per_image, MIN_RETRY_AFTER_S))
            self._jobs.append(job)
            self._changed.notify()
        return await asyncio.wrap_future(job.results)

    def _queued(self) -> int:
        """Return the number of queued images; the caller holds ``_changed``."""
        return sum(len(job.images) for job in self._jobs)

    def _run_batches(self) -> None:
        """Process batches until the queue is closed and empty; the worker thread."""
        while jobs := self._next_batch():
            begin = time.perf_counter()
            self._run_batch(jobs)
            count = sum(len(job.images) for job in jobs)
            self._on_batch(count)
            self._seconds_per_image += 0.1 * ((time.perf_counter() - begin) / count - self._seconds_per_image)

    def _run_batch(self, jobs: Sequence[_Job]) -> None:
        """Process jobs; errors are returned to the requests; the worker thread continues."""
        try:
            pipeline = self._current_pipeline()
        except Exception as error:
            for job in jobs:
                job.results.set_exception(error)
            return
        for crops in (False, True):
            self._process(pipeline, [job for job in jobs if job.crops == crops])

    def _next_batch(self) -> list[_Job]:
        """Wait for the jobs of the next batch; empty at the end."""
        while True:
            with self._changed:
                while not self._jobs:
                    if self._closing:
                        return []
                    self._changed.wait()
                self._wait_for_arriving_requests()
                jobs = self._take_batch()
            if jobs:
                return jobs

    def _wait_for_arriving_requests(self) -> None:
        """Wait until the batch is full, no request is arriving or the time is over; the caller holds ``_changed``.

        ``arriving_requests`` is written by the server's thread without the lock: a stale value costs at most
        :data:`BATCH_WAIT_S`.
        """
        deadline = time.monotonic() + BATCH_WAIT_S
        while self.arriving_requests and self._queued() < self._max_batch_size:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            self._changed.wait(remaining)

    def _take_batch(self) -> list[_Job]:
        """Remove the jobs of a batch from the queue, without cancelled ones; the caller holds ``_changed``."""
        batch: list[_Job] = []
        count = 0
        while self._jobs and (not batch or count + len(self._jobs[0].images) <= self._max_batch_size):
            job = self._jobs.popleft()
            if job.results.set_running_or_notify_cancel():  # False: the client is gone
                batch.append(job)
                count += len(job.images)
        return batch

    def _process(self, pipeline: Pipeline, jobs: Sequence[_Job]) -> None:
        """Process jobs of one kind together; if that fails, each alone, so that one request does not fail another."""
        try:
            results = _infer(pipeline, jobs)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].results.set_exception(error)
                return
            for job in jobs:
                self._process(pipeline, [job])
            return
        for job in jobs:
            job.results.set_result(results[: len(job.images)])
            results = results[len(job.images) :]

    def _current_pipeline(self) -> Pipeline:
        """Return a pipeline with the current settings; called by the worker thread only."""
        config = self._read_config()
        with self._pipeline_lock:
            if self._pipeline is None or self._pipeline.config != config:
                replaced, self._pipeline = self._pipeline, None
                if replaced is not None:
                    replaced.close()
                self._pipeline = Pipeline(config)
            return self._pipeline


def _infer(pipeline: Pipeline, jobs: Sequence[_Job]) -> list[Any]:
    """Run the images of all jobs, which are of one kind, through the pipeline."""
    images = [image for job in jobs for image in job.images]
    if not images:
        return []
    return classify_crops(pipeline, images) if jobs[0].crops else perceive_images(pipeline, images)
