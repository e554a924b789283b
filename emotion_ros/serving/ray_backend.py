"""Pipelines on Ray Serve: as many as load asks for, on this machine or many; what waits for one runs together."""

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
from emotion_ros.serving.batching import BackendInfo, BusyError, CropResult, about, classify, perceive
from emotion_ros.serving.ray_cluster import join, leave
from emotion_ros.types import Image, Perception

R = TypeVar("R")

NAME, PIPELINE = "emotion_ros", "pipeline"
"""Of the application on Ray Serve, and of its deployment."""

AGAIN = 2
"""Times that an image is given to another pipeline where the one that had it died."""


class Replica:
    """One pipeline."""

    def __init__(self, config: PipelineConfig, batch: int, wait: float) -> None:
        self._pipeline = Pipeline(config)
        for each in (self.perceive, self.classify):
            each.set_max_batch_size(batch)  # type: ignore[attr-defined, union-attr]
            each.set_batch_wait_timeout_s(wait)  # type: ignore[attr-defined, union-attr]
        self._lock = asyncio.Lock()

    async def about(self) -> BackendInfo:
        """What it is."""
        return about(self._pipeline)

    @serve.batch
    async def perceive(self, images: list[Image]) -> list[tuple[Perception, int]]:
        """All people and hands of each image; beside the first, how many there were in the run, beside others 0."""
        async with self._lock:
            seen = await asyncio.to_thread(perceive, self._pipeline, images)
        return _with_count(seen)

    @serve.batch
    async def classify(self, crops: list[Image]) -> list[tuple[CropResult, int]]:
        """What the classifier says of each crop; beside the first, how many there were in the run, beside others 0."""
        async with self._lock:
            judged = await asyncio.to_thread(classify, self._pipeline, crops)
        return _with_count(judged)


def _with_count(results: list[R]) -> list[tuple[R, int]]:
    return [(each, 0 if number else len(results)) for number, each in enumerate(results)]


class RayBackend:
    """See :class:`emotion_ros.serving.batching.InferenceBackend`.

    Args:
        config: how many pipelines, how large a batch, how long the queue, which cluster.
        pipeline: what each runs.
        seen: is told how many images a run had.

    Raises:
        ConfigError: the cluster cannot be reached, or a pipeline cannot be made on it.
    """

    def __init__(self, config: ServeConfig, pipeline: PipelineConfig, seen: Callable[[int], None]) -> None:
        self.arriving = self.waiting = 0
        self._queue, self._seen = config.queue, seen
        join(config.ray)
        try:
            serve.start(proxy_location="Disabled")
            deployment = serve.deployment(
                name=PIPELINE,
                max_ongoing_requests=2 * config.batch,
                max_queued_requests=config.queue,
                ray_actor_options={"num_cpus": 1},
                health_check_period_s=1,
                autoscaling_config={
                    "min_replicas": config.replicas,
                    "initial_replicas": config.replicas,
                    "max_replicas": max(config.replicas, config.most_replicas),
                    "target_ongoing_requests": config.batch,
                },
            )(Replica)
            application = deployment.bind(pipeline, config.batch, config.wait / 1000)
            self._handle = serve.run(application, name=NAME, route_prefix=None)
            self._about: BackendInfo = self._handle.about.remote().result()
        except RuntimeError as error:
            leave()
            raise ConfigError(f"engine ray: expected pipelines on {config.ray or 'this machine'}: {error}") from error

    @property
    def ready(self) -> bool:
        """See :class:`InferenceBackend`."""
        pipelines = serve.status().applications[NAME].deployments[PIPELINE].replica_states
        return any(count for state, count in pipelines.items() if state == "RUNNING")

    def about(self) -> BackendInfo:
        """See :class:`InferenceBackend`."""
        return self._about

    async def perceive(self, images: Sequence[Image]) -> list[Perception]:
        """See :class:`InferenceBackend`."""
        return await self._ask(self._handle.perceive, images)

    async def classify(self, crops: Sequence[Image]) -> list[CropResult]:
        """See :class:`InferenceBackend`."""
        return await self._ask(self._handle.classify, crops)

    def close(self) -> None:
        """See :class:`InferenceBackend`."""
        serve.shutdown()  # type: ignore[no-untyped-call]
        leave()

    async def _ask(self, method: Any, images: Sequence[Image]) -> list[Any]:
        if self.waiting and self.waiting + len(images) > self._queue:
            raise BusyError(1.0)
        self.waiting += len(images)
        try:
            return list(await asyncio.gather(*(self._one(method, image) for image in images)))
        finally:
            self.waiting -= len(images)

    async def _one(self, method: Any, image: Image) -> Any:
        """The answer for one image, by another pipeline where the first dies; an image is judged twice at no harm."""
        for _ in range(1 + AGAIN):
            try:
                pending: Awaitable[tuple[Any, int]] = method.remote(image)
                answer, together = await pending
                if together:  # each run is told of once
                    self._seen(together)
                return answer
            except BackPressureError as error:
                raise BusyError(1.0) from error
            except RayTaskError as error:
                if isinstance(error.cause, EmotionRosError):
                    raise error.cause from error
                raise
            except (RayActorError, DeploymentUnavailableError):
                continue
        raise BusyError(1.0)
