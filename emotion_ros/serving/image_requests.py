"""Admission of requests with images: limits on their number and pixels, until their images are decoded."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

import anyio
from fastapi import Request
from starlette.exceptions import HTTPException

from emotion_ros.config import ServeConfig
from emotion_ros.serving.inference_backend import SECONDS_PER_IMAGE, BusyError, InferenceBackend
from emotion_ros.serving.uploads import PixelBudget, Upload, UploadLimits, decode_image, read_uploads
from emotion_ros.types import Image

PIXEL_BUDGET_IMAGES = 2
"""Images of the maximum size that may be decoded at a time, of one request or of several. Bounds the memory: at the
default 50 megapixels, 2 × 150 MB, and 2 × 431 MB while progressive JPEGs are decoded."""

MIN_ARRIVAL_S = 1.0
"""Seconds that the body of a request has to arrive even if all places are taken. 8 MiB take 0.7 s at 100 Mbit/s."""


@dataclass(eq=False)
class _Arrival:
    """A request whose body is being received. ``scope``: cancelled if it must give its place to another."""

    address: str
    begin: float = field(default_factory=time.monotonic)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class ImageRequests:
    """Receives the images of requests. Used by the event loop's thread only.

    Args:
        backend: processes the images; its counter of arriving requests is updated.
        config: limits.
    """

    def __init__(self, backend: InferenceBackend, config: ServeConfig) -> None:
        self._backend, self._config = backend, config
        self._limits = UploadLimits(config.max_body_size << 20, config.max_image_pixels)
        self._max_pixels = PIXEL_BUDGET_IMAGES * self._limits.image_pixels
        self._budget = PixelBudget(self._max_pixels)
        self._open_requests = 0
        self._arrivals: list[_Arrival] = []  # the oldest first

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[tuple[list[str], list[Image]]]:
        """Yield the names and decoded images of a request; the body of the ``async with`` processes them.

        Raises:
            HTTPException: 4xx, the request is refused.
        """
        arrival = _Arrival(request.client.host if request.client else "")
        try:
            with self._admitted(arrival), ExitStack() as preparation:
                preparation.enter_context(self._delaying_batches())
                uploads = await self._read(request, arrival)
                async with self._budget.reserve(self._pixels(uploads)):
                    images = [await decode_image(upload) for upload in uploads]
                    preparation.close()
                    yield [upload.name for upload in uploads], images
        except BusyError as error:
            raise _too_many_requests(error.retry_after_s) from error

    @contextmanager
    def _admitted(self, arrival: _Arrival) -> Iterator[None]:
        """Count an open request; refuse it if there are too many and none gives its place."""
        if self._open_requests >= self._config.max_queue_size:
            self._displace(arrival)
        self._open_requests += 1
        try:
            yield
        finally:
            self._open_requests -= 1

    def _displace(self, newcomer: _Arrival) -> None:
        """Cancel the oldest arriving request of the address that has most of them.

        It keeps its place if it is not slow and the address of the newcomer has about as many.

        Raises:
            BusyError: no request gives its place.
        """
        counts = Counter(each.address for each in self._arrivals)
        most = max(counts.values(), default=0)
        oldest = next((each for each in self._arrivals if counts[each.address] == most), None)
        if oldest is None or (most <= counts[newcomer.address] + 1 and time.monotonic() - oldest.begin < MIN_ARRIVAL_S):
            raise BusyError(self._backend.queued_images * SECONDS_PER_IMAGE)
        self._arrivals.remove(oldest)
        oldest.scope.cancel()

    async def _read(self, request: Request, arrival: _Arrival) -> list[Upload]:
        """Read the body.

        Raises:
            BusyError: the request gave its place to another.
            HTTPException: see :func:`read_uploads`.
        """
        self._arrivals.append(arrival)
        try:
            with arrival.scope:
                return await read_uploads(request, self._limits)
        finally:
            with suppress(ValueError):  # it has given its place
                self._arrivals.remove(arrival)
        raise BusyError(MIN_ARRIVAL_S)

    @contextmanager
    def _delaying_batches(self) -> Iterator[None]:
        """Let the backend delay a batch for this request, until its images are decoded."""
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
