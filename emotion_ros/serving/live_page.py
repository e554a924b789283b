"""The live page: the latest image and results of the detector in a browser, and classification of dropped pictures."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from emotion_ros.config import ServeConfig
from emotion_ros.io.drawing import COLORS, OTHER
from emotion_ros.serving.app import add_detect, add_error_handlers
from emotion_ros.serving.authentication import TOKEN_COOKIE, Authenticator
from emotion_ros.serving.image_requests import ImageRequests
from emotion_ros.serving.inference_backend import InferenceBackend
from emotion_ros.serving.request_guard import RequestGuard

ASSETS = {"app.js": "text/javascript", "style.css": "text/css", "icon.svg": "image/svg+xml"}
"""Files that the page loads, with their media types. The page loads nothing from other servers."""

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; media-src blob:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

UPDATE_TIMEOUT_S = 1.0
"""Maximum seconds between two updates of a viewer; without a new picture the current state is sent again."""

PUBLIC_PATHS = frozenset({"/", "/healthz"})
"""Paths that need no authentication by :class:`RequestGuard`. The page checks visitors itself: its address may have the
token."""

COOKIE_LIFETIME_S = 30 * 86400

StartCapture = Callable[[str, int], tuple[bool, str]]
"""Stores a number of pictures under a label: ``(label, count)`` to success and a message for the viewer."""


class LiveState:
    """The latest picture and state. Written by the ROS thread, read by the viewers' coroutines.

    Attributes:
        viewers: number of open pages; without viewers no updates are needed.
    """

    def __init__(self) -> None:
        self.viewers = 0
        self._state: dict[str, Any] = {}
        self._picture = b""
        self._number = 0
        # Guards all attributes. Held by both threads for assignments only, never while anything is sent or awaited.
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def update(self, picture: bytes | None = None, **state: Any) -> None:
        """Store a JPEG picture, entries of the state, or both, and wake the viewers. Thread-safe."""
        with self._lock:
            self._state = {**self._state, **state}
            if picture is not None:
                self._picture, self._number = picture, self._number + 1
            waiting, self._waiting = self._waiting, set()
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    def clear(self) -> None:
        """Remove the picture and the state, which are outdated after a time without viewers. Thread-safe."""
        with self._lock:
            self._state, self._picture = {}, b""

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """Count a viewer in the body of the ``with``."""
        with self._lock:
            self.viewers += 1
        try:
            yield
        finally:
            with self._lock:
                self.viewers -= 1

    async def wait_for_picture(self, number: int) -> tuple[Mapping[str, Any], bytes, int]:
        """Wait until the picture's number differs from ``number``, at most :data:`UPDATE_TIMEOUT_S`.

        Returns:
            State, picture (JPEG; empty before the first) and the picture's number.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + UPDATE_TIMEOUT_S
        while True:
            event = asyncio.Event()
            entry = (loop, event)
            with self._lock:
                latest = self._state, self._picture, self._number
                remaining = deadline - loop.time()
                if self._number != number or remaining <= 0:
                    return latest
                self._waiting.add(entry)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(event.wait(), remaining)
            with self._lock:
                self._waiting.discard(entry)


class CaptureRequest(BaseModel):
    """Number of pictures to store under a label."""

    label: str = Field(min_length=1, max_length=64, pattern=r"^[\w][\w -]*$")
    count: int = Field(10, ge=1, le=1000)


def create_page(
    state: LiveState,
    backend: InferenceBackend,
    token: str,
    start_capture: StartCapture,
    settings_source: Callable[[], str],
) -> FastAPI:
    """Return the web application of the live page.

    Args:
        state: latest picture and results, shown to the viewers.
        backend: classifies dropped pictures (``POST /v1/detect``).
        token: token that visitors send once as ``?token=``; empty: accept visitors on this machine without one.
        start_capture: stores pictures for training. Called in a thread.
        settings_source: returns the origin of the settings in words, for the answer to dropped pictures.
    """
    authenticator = Authenticator(token)
    app = FastAPI(title="emotion_ros", docs_url=None, redoc_url=None, openapi_url=None)
    add_error_handlers(app, detailed=True)
    config = ServeConfig()
    add_detect(app, backend, ImageRequests(backend, config), lambda: {"settings": settings_source()})
    _add_files(app, authenticator, token)
    _add_live(app, state)
    app.add_middleware(RequestGuard, authenticator=authenticator, config=config, public_paths=PUBLIC_PATHS)

    @app.get("/healthz")
    async def alive() -> Response:
        return JSONResponse({"status": "ok"})

    @app.post("/capture")
    async def capture(request: CaptureRequest) -> Response:
        started, message = await run_in_threadpool(start_capture, request.label, request.count)
        return JSONResponse({"detail": message}, 200 if started else 409)

    return app


def _add_files(app: FastAPI, authenticator: Authenticator, token: str) -> None:
    """Add the page and its assets; a visit with ``?token=`` stores the token in a cookie."""

    @app.get("/")
    async def page(request: Request) -> Response:
        sent = request.query_params.get("token")
        if token and sent is not None and authenticator.accepts(sent):
            redirect = RedirectResponse("/", 303)  # removes the token from the address bar and the history
            redirect.set_cookie(TOKEN_COOKIE, sent, httponly=True, samesite="strict", max_age=COOKIE_LIFETIME_S)
            return redirect
        authenticator(request)
        return _file("index.html", "text/html")

    @app.get("/page/{name}")
    async def asset(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404, f"expected one of {', '.join(ASSETS)}, got {name}")
        return _file(name, ASSETS[name])


def _add_live(app: FastAPI, state: LiveState) -> None:
    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        # starlette raises RuntimeError if the viewer disconnects while a message is sent
        with state.viewer(), suppress(WebSocketDisconnect, RuntimeError):
            await _send_updates(socket, state)


async def _send_updates(socket: WebSocket, state: LiveState) -> None:
    """Send the state and the latest picture each time the viewer requests it.

    A slow viewer skips pictures and does not delay others. A viewer that sends binary data is disconnected.
    """
    await socket.send_json({"colors": {name: _css(bgr) for name, bgr in {**COLORS, "": OTHER}.items()}})
    last = -1
    while True:
        if (await socket.receive()).get("text") is None:
            await socket.close(1003)  # unsupported data; RuntimeError if the viewer has disconnected
            return
        latest, picture, number = await state.wait_for_picture(last)
        is_new = bool(picture) and number != last
        await socket.send_json({"state": latest, "picture": is_new})
        if is_new:
            await socket.send_bytes(picture)
        last = number


def _css(bgr: tuple[int, int, int]) -> str:
    """Return a colour (0 to 255 each) in CSS notation."""
    return "#{2:02x}{1:02x}{0:02x}".format(*bgr)


def _file(name: str, media_type: str) -> Response:
    content = (files("emotion_ros.serving") / "page" / name).read_bytes()
    return Response(content, media_type=media_type, headers=PAGE_HEADERS)
