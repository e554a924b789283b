"""Inference backend on Ray Serve: several pipelines on one machine or on a cluster, each with its own batches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from ray import serve
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from emotion_ros.config import PipelineConfig, ServeConfig
from emotion_ros.errors import ConfigError, EmotionRosError
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.serving.inference_backend import (
    BATCH_WAIT_S,
    BackendInfo,
    BusyError,
    CropResult,
    classify_crops,
    perceive_images,
    pipeline_info,
)
from emotion_ros.serving.ray_cluster import join, leave
from emotion_ros.types import Image, Perception

R = TypeVar("R")

APPLICATION_NAME = "emotion_ros"

DEPLOYMENT_NAME = "pipeline"

MAX_RETRIES = 2
"""Further attempts with another pipeline if a pipeline dies while it processes an image."""

RETRY_AFTER_S = 1.0
"""Seconds after which clients retry if the queue is full or every pipeline is dead."""


class Replica:
    """One pipeline in a process of Ray.

    Args:
        config: settings of the pipeline.
        max_batch_size: maximum number of images per batch.
    """

    def __init__(self, config: PipelineConfig, max_batch_size: int) -> None:
        self._pipeline = Pipeline(config)
        for method in (self.perceive, self.classify):
            method.set_max_batch_size(max_batch_size)  # type: ignore[attr-defined, union-attr]
            method.set_batch_wait_timeout_s(BATCH_WAIT_S)  # type: ignore[attr-defined, union-attr]
        # Guards the pipeline, which is not thread-safe; held while a batch of either method is processed.
        self._lock = asyncio.Lock()

    async def info(self) -> BackendInfo:
        """Return the description of the pipeline."""
        return pipeline_info(self._pipeline)

    @serve.batch
    async def perceive(self, images: list[Image]) -> list[tuple[Perception, int]]:
        """Detect people and hands in each image; see :func:`_with_batch_size`."""
        async with self._lock:
            perceptions = await asyncio.to_thread(perceive_images, self._pipeline, images)
        return _with_batch_size(perceptions)

    @serve.batch
    async def classify(self, crops: list[Image]) -> list[tuple[CropResult, int]]:
        """Classify each crop; see :func:`_with_batch_size`."""
        async with self._lock:
            results = await asyncio.to_thread(classify_crops, self._pipeline, crops)
        return _with_batch_size(results)


def _with_batch_size(results: list[R]) -> list[tuple[R, int]]:
    """Pair the first result with the batch size and the others with 0, so that each batch is counted once."""
    return [(result, 0 if number else len(results)) for number, result in enumerate(results)]


class RayBackend:
    """Pipelines on Ray Serve; see :class:`emotion_ros.serving.inference_backend.InferenceBackend`.

    Args:
        config: numbers of pipelines, batch and queue sizes, and the cluster.
        pipeline: settings of each pipeline.
        on_batch: called by the event loop's thread with the number of images of each batch.

    Raises:
        ConfigError: the cluster does not answer, or a pipeline cannot be created on it.
    """

    def __init__(self, config: ServeConfig, pipeline: PipelineConfig, on_batch: Callable[[int], None]) -> None:
        self.arriving_requests = self.queued_images = 0
        self._max_queue_size, self._on_batch = config.max_queue_size, on_batch
        join(config.ray)
        try:
            serve.start(proxy_location="Disabled")
            application = _deployment(config).bind(pipeline, config.max_batch_size)
            self._handle = serve.run(application, name=APPLICATION_NAME, route_prefix=None)
            self._info: BackendInfo = self._handle.info.remote().result()
        except RuntimeError as error:
            leave()
            cluster = config.ray or "this machine"
            raise ConfigError(f"engine ray: expected to create pipelines on {cluster}: {error}") from error

    @property
    def ready(self) -> bool:
        """See :class:`InferenceBackend`."""
        states = serve.status().applications[APPLICATION_NAME].deployments[DEPLOYMENT_NAME].replica_states
        return any(count for state, count in states.items() if state == "RUNNING")

    def info(self) -> BackendInfo:
        """See :class:`InferenceBackend`."""
        return self._info

    async def perceive(self, images: Sequence[Image]) -> list[Perception]:
        """See :class:`InferenceBackend`."""
        return await self._process(self._handle.perceive, images)

    async def classify(self, crops: Sequence[Image]) -> list[CropResult]:
        """See :class:`InferenceBackend`."""
        return await self._process(self._handle.classify, crops)

    def close(self) -> None:
        """See :class:`InferenceBackend`."""
        serve.shutdown()  # type: ignore[no-untyped-call]
        leave()

    async def _process(self, method: Any, images: Sequence[Image]) -> list[Any]:
        if self.queued_images and self.queued_images + len(images) > self._max_queue_size:
            raise BusyError(RETRY_AFTER_S)
        self.queued_images += len(images)
        try:
            return list(await asyncio.gather(*(self._process_one(method, image) for image in images)))
        finally:
            self.queued_images -= len(images)

    async def _process_one(self, method: Any, image: Image) -> Any:
        """Process an image; retry with another pipeline if one dies. Processing an image twice has no side effects."""
        for _ in range(1 + MAX_RETRIES):
            try:
                response: Awaitable[tuple[Any, int]] = method.remote(image)
                result, batch_size = await response
                if batch_size:
                    self._on_batch(batch_size)
                return result
            except BackPressureError as error:
                raise BusyError(RETRY_AFTER_S) from error
            except RayTaskError as error:
                if isinstance(error.cause, EmotionRosError):
                    raise error.cause from error
                raise
            except (RayActorError, DeploymentUnavailableError):
                continue
        raise BusyError(RETRY_AFTER_S)


def _deployment(config: ServeConfig) -> Any:
    """Return the Ray Serve deployment that scales :class:`Replica` with the load."""
    return serve.deployment(
        name=DEPLOYMENT_NAME,
        max_ongoing_requests=2 * config.max_batch_size,
        max_queued_requests=config.max_queue_size,
        ray_actor_options={"num_cpus": 1},
        health_check_period_s=1,
        autoscaling_config={
            "min_replicas": config.min_replicas,
            "initial_replicas": config.min_replicas,
            "max_replicas": max(config.min_replicas, config.max_replicas),
            "target_ongoing_requests": config.max_batch_size,
        },
    )(Replica)
