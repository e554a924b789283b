"""Admission of requests: limits on their number, size and duration, until their images are decoded."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager

import anyio
from fastapi import Request
from starlette.exceptions import HTTPException

from emotion_ros.config import ServeConfig
from emotion_ros.serving.inference_backend import SECONDS_PER_IMAGE, BusyError, InferenceBackend
from emotion_ros.serving.uploads import PixelBudget, Upload, UploadLimits, decode_image, read_uploads
from emotion_ros.types import Image

PIXEL_BUDGET_IMAGES = 4
"""Images of the maximum size that may be decoded at a time, of one request or of several. Bounds the memory: at the
default 16 megapixels, 4 × 48 MB."""


class ImageRequests:
    """Receives the images of requests. Used by the event loop's thread only.

    Args:
        backend: processes the images; its counter of arriving requests is updated.
        config: limits.
    """

    def __init__(self, backend: InferenceBackend, config: ServeConfig) -> None:
        self._backend, self._config = backend, config
        self._limits = UploadLimits(config.max_body_size << 20, config.max_image_size * 10**6)
        self._max_pixels = PIXEL_BUDGET_IMAGES * self._limits.image_pixels
        self._budget = PixelBudget(self._max_pixels)
        self._open_requests = 0

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[tuple[list[str], list[Image]]]:
        """Yield the names and decoded images of a request; the body of the ``async with`` processes them.

        Raises:
            HTTPException: 4xx, the request is refused; 503, it takes longer than ``request_timeout``.
        """
        limit = self._config.request_timeout
        timeout = HTTPException(408, f"expected the body within {limit:g} s", {"Connection": "close"})
        try:
            with self._admitted(), ExitStack() as arrival, anyio.fail_after(limit):
                arrival.enter_context(self._arriving())
                uploads = await read_uploads(request, self._limits)
                timeout = HTTPException(503, f"processing took longer than {limit:g} s", {"Retry-After": "1"})
                async with self._budget.reserve(self._pixels(uploads)):
                    images = [await decode_image(upload) for upload in uploads]
                    arrival.close()  # the next batch need not wait for this request any longer
                    yield [upload.name for upload in uploads], images
        except TimeoutError as error:
            raise timeout from error
        except BusyError as error:
            raise _too_many_requests(error.retry_after_s) from error

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Count an open request; refuse it if there are too many."""
        if self._open_requests >= self._config.max_queue_size:
            raise BusyError(self._backend.queued_images * SECONDS_PER_IMAGE)
        self._open_requests += 1
        try:
            yield
        finally:
            self._open_requests -= 1

    @contextmanager
    def _arriving(self) -> Iterator[None]:
        """Let the backend delay a batch for this request."""
        self._backend.arriving_requests += 1
        try:
            yield
        finally:
            self._backend.arriving_requests -= 1

    def _pixels(self, uploads: Sequence[Upload]) -> int:
        total = sum(upload.pixels for upload in uploads)
        if total > self._max_pixels:
            raise HTTPException(413, f"expected at most {self._max_pixels} pixels in a request, got {total}")
        return total


def _too_many_requests(retry_after_s: float) -> HTTPException:
    seconds = str(max(math.ceil(retry_after_s), 1))
    return HTTPException(429, f"too many requests; retry in {seconds} s", {"Retry-After": seconds})
