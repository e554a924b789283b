"""Prometheus metrics of the service. They contain no personal data."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, exposition, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
    """Counts of requests, their durations, batch sizes and queued images."""

    CONTENT_TYPE = exposition.CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "emotion_ros_requests", "Number of requests", ("path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "emotion_ros_request_seconds", "Duration of a request, seconds", ("path",), registry=self._registry
        )
        self._batch = Histogram(
            "emotion_ros_batch_images",
            "Images per batch",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self._registry,
        )
        self._waiting = Gauge("emotion_ros_waiting_images", "Images in the queue", registry=self._registry)

    def observe_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def observe_batch(self, images: int) -> None:
        """Count a batch."""
        self._batch.observe(images)

    def render(self, queued_images: int) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        self._waiting.set(queued_images)
        return generate_latest(self._registry)


class MetricsMiddleware:
    """ASGI middleware that counts requests."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request and count it under its route; unknown paths count as ``other``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 500

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self._metrics.observe_request(path, status, time.perf_counter() - begin)
