"""The door of both servers: what every request must pass before its route sees it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emotion_ros.config import ServeConfig
from emotion_ros.serving.authentication import Authenticator
from emotion_ros.serving.connections import MAX_HEAD_BYTES

LOG = logging.getLogger("emotion_ros.serving")

IMAGE_PATHS = frozenset({"/v1/detect", "/v1/classify"})
"""Paths that receive images; their bodies may have ``max_body_size``."""

MAX_OTHER_BODY_BYTES = 64 << 10
"""Maximum size of other bodies: a JSON object of a few fields."""

MAX_HEADERS = 100
"""Maximum number of headers; browsers send about 20. The default of Apache (``LimitRequestFields``)."""

DRAINED_BODIES = 8
"""Size up to which a too large body is read and discarded, in multiples of the limit. Clients that are still sending
do not read the response."""

INTERNAL_ERROR = "the request failed; the log of the service has the cause"

CLIENT_CLOSED_REQUEST = 499
"""Status in the metrics of a request whose client left before its body was complete; the number is nginx's."""


class RequestGuard:
    """ASGI middleware: authenticates requests, and limits head, body and duration.

    A request that fails writes one line to the log, not a stack trace.

    Args:
        app: receives the requests that pass.
        authenticator: rejects requests; called before any of the body is read.
        config: limits.
        public_paths: paths without authentication.
    """

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, config: ServeConfig, public_paths: Collection[str]
    ) -> None:
        self._app, self._authenticator, self._public_paths = app, authenticator, public_paths
        self._timeout_s, self._max_image_body = config.request_timeout, config.max_body_size << 20

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        is_answered = False

        async def send_and_note(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            self._check_head(HTTPConnection(scope))
            if scope["type"] == "websocket":
                await self._app(scope, receive, send_and_note)
            else:
                await self._forward(scope, receive, send_and_note)
        except HTTPException as error:
            refusal = error
        except asyncio.CancelledError:  # by the server's shutdown, after SHUTDOWN_TIMEOUT_S; it would log a stack trace
            refusal = HTTPException(503, "the service is shutting down", {"Retry-After": "1"})
        except Exception as error:
            LOG.error("a request failed: %s: %s", type(error).__name__, error)
            refusal = HTTPException(500, INTERNAL_ERROR)
        else:
            return
        if not is_answered:  # otherwise the server cuts the answer off
            await _refuse(refusal, scope, receive, send)

    def _check_head(self, request: HTTPConnection) -> None:
        """Check number and size of the headers, then token, host and origin.

        Raises:
            HTTPException: 401, 403 or 431.
        """
        headers = request.scope["headers"]
        size = len(request.scope["query_string"]) + sum(len(name) + len(value) for name, value in headers)
        if len(headers) > MAX_HEADERS or size > MAX_HEAD_BYTES:
            raise HTTPException(431, f"expected at most {MAX_HEADERS} headers, {MAX_HEAD_BYTES} bytes, got more")
        if request.scope["path"] not in self._public_paths:
            self._authenticator(request)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request whose body and duration are limited.

        Raises:
            HTTPException: 408 (the body did not arrive in time), 503 (processing takes too long) or 499.
        """
        limit = self._timeout_s
        body = _LimitedBody(receive, self._max_image_body if scope["path"] in IMAGE_PATHS else MAX_OTHER_BODY_BYTES)
        try:
            with anyio.fail_after(limit):
                await self._app(scope, body.receive, send)
        except TimeoutError as error:
            if body.is_complete:
                raise HTTPException(503, f"processing took longer than {limit:g} s", {"Retry-After": "1"}) from error
            raise HTTPException(408, f"expected the body within {limit:g} s", {"Connection": "close"}) from error
        except ClientDisconnect as error:
            raise HTTPException(CLIENT_CLOSED_REQUEST) from error


class _LimitedBody:
    """Body of a request up to a size.

    Attributes:
        is_complete: True if all of it has been received.
    """

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self.is_complete = False
        self._receive, self._max_bytes, self._size = receive, max_bytes, 0

    async def receive(self) -> Message:
        """Return the next message; discard a too large body up to :data:`DRAINED_BODIES` limits.

        Raises:
            HTTPException: 413, the body is larger.
        """
        message = await self._next()
        if self._size <= self._max_bytes:
            return message
        while not self.is_complete and self._size <= DRAINED_BODIES * self._max_bytes:
            await self._next()
        detail = f"expected a body of at most {self._max_bytes} bytes, got more"
        raise HTTPException(413, detail, {"Connection": "close"})

    async def _next(self) -> Message:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        self.is_complete = not message.get("more_body", False)  # also if the client has left
        return message


async def _refuse(error: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that was not forwarded, or failed before its answer."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await JSONResponse({"detail": error.detail}, error.status_code, error.headers)(scope, receive, send)
