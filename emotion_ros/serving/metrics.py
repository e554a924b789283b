"""Figures of the service for Prometheus; none of a person."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, exposition, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
    """Requests, how long they took, how many images ran together, and how many wait."""

    KIND = exposition.CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "emotion_ros_requests", "Requests answered", ("path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "emotion_ros_request_seconds", "Time until a request was answered", ("path",), registry=self._registry
        )
        self._batch = Histogram(
            "emotion_ros_batch_images",
            "Images of one run",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self._registry,
        )
        self._waiting = Gauge("emotion_ros_waiting_images", "Images that wait for a run", registry=self._registry)

    def request(self, path: str, status: int, seconds: float) -> None:
        """One was answered."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def ran(self, images: int) -> None:
        """So many images ran together."""
        self._batch.observe(images)

    def text(self, waiting: int) -> bytes:
        """All of it, as Prometheus reads it."""
        self._waiting.set(waiting)
        return generate_latest(self._registry)


class Measured:
    """An app whose requests are counted."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self._metrics.request(path, status, time.perf_counter() - begin)
