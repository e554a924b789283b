"""What a live page shows: the newest of everything, for whoever watches, as fast as each of them can take it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any

from fastapi import Depends, FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from emotion_ros.config import ServeConfig
from emotion_ros.io.drawing import COLORS, OTHER
from emotion_ros.serving.app import add_answers, add_detect
from emotion_ros.serving.authentication import COOKIE, Authenticator
from emotion_ros.serving.batching import InferenceBackend

ASSETS = {"app.js": "text/javascript", "style.css": "text/css", "icon.svg": "image/svg+xml"}
"""All that the page loads; nothing of it comes from elsewhere."""

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; media-src blob:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

PATIENCE = 1.0
"""Seconds after which a watcher is told that there is nothing new."""

Capture = Callable[[str, int], tuple[bool, str]]
"""Stores so many pictures of a label; whether it does, and what to tell."""


class LiveState:
    """The newest picture and the newest state, put in by one thread, looked at by any number of watchers.

    Attributes:
        watchers: how many there are; with none, nothing needs to be put in.
    """

    def __init__(self) -> None:
        self.watchers = 0
        self._state: dict[str, Any] = {}
        self._picture = b""
        self._number = 0
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def put(self, picture: bytes | None = None, **state: Any) -> None:
        """A JPEG, or parts of the state that have changed."""
        with self._lock:
            self._state = {**self._state, **state}
            if picture is not None:
                self._picture, self._number = picture, self._number + 1
            waiting, self._waiting = self._waiting, set()
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    def forget(self) -> None:
        """What was put in is old: nobody watched, and nobody put in more."""
        with self._lock:
            self._state, self._picture = {}, b""

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Be a watcher."""
        with self._lock:
            self.watchers += 1
        try:
            yield
        finally:
            with self._lock:
                self.watchers -= 1

    async def after(self, number: int) -> tuple[Mapping[str, Any], bytes, int]:
        """State, picture and its number, once the picture is newer than ``number``, or after a while as it is."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while True:
            event = asyncio.Event()
            with self._lock:
                entry = (asyncio.get_running_loop(), event)
                found = self._state, self._picture, self._number
                if self._number == number:
                    self._waiting.add(entry)
            left = until - asyncio.get_running_loop().time()
            if found[2] != number or left <= 0:
                self._waiting.discard(entry)
                return found
            try:
                await asyncio.wait_for(event.wait(), left)
            except asyncio.TimeoutError:
                continue


class CaptureIn(BaseModel):
    """Pictures to store."""

    label: str = Field(min_length=1, max_length=64, pattern=r"^[\w][\w -]*$")
    count: int = Field(10, ge=1, le=1000)


def create_page(feed: LiveState, engine: InferenceBackend, token: str, capture: Capture) -> FastAPI:
    """The live page, and ``/v1/detect`` for pictures that are dropped onto it.

    Args:
        feed: what is seen.
        engine: judges dropped pictures; it is opened when the first is dropped.
        token: that visitors need, once, as ``?token=``; empty: visitors on this machine need none.
        capture: stores pictures for training.
    """
    guard = Authenticator(token)
    app = FastAPI(title="emotion_ros", docs_url=None, redoc_url=None, openapi_url=None)
    add_answers(app)
    add_detect(app, engine, ServeConfig(), Depends(guard))

    @app.get("/")
    async def page(request: Request) -> Response:
        sent = request.query_params.get("token")
        if token and sent is not None and guard.fits(sent):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(COOKIE, sent, httponly=True, samesite="strict", max_age=30 * 86400)
            return answer
        guard(request)
        return Response(_asset("index.html"), media_type="text/html", headers=HEADERS)

    @app.get("/page/{name}", dependencies=[Depends(guard)])
    async def asset(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404, f"expected one of {', '.join(ASSETS)}")
        return Response(_asset(name), media_type=ASSETS[name], headers=HEADERS)

    @app.get("/healthz")
    async def alive() -> Response:
        return JSONResponse({"status": "ok"})

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        try:
            guard(socket)
        except HTTPException:
            await socket.close(1008)
            return
        await socket.accept()
        # starlette raises RuntimeError where the watcher has gone while something was sent
        with feed.watch(), suppress(WebSocketDisconnect, RuntimeError):
            await _show(socket, feed)

    @app.post("/capture", dependencies=[Depends(guard)])
    async def store(wanted: CaptureIn) -> Response:
        done, said = await run_in_threadpool(capture, wanted.label, wanted.count)
        return JSONResponse({"detail": said}, 200 if done else 409)

    return app


async def _show(socket: WebSocket, feed: LiveState) -> None:
    """Each time the watcher asks for it, the state and the newest picture, if that is another; so a slow one misses
    pictures, and nobody waits for it."""
    await socket.send_json({"colors": {name: _css(bgr) for name, bgr in {**COLORS, "": OTHER}.items()}})
    last = -1
    while True:
        await socket.receive_text()
        state, picture, number = await feed.after(last)
        await socket.send_json({"state": state, "picture": bool(picture) and number != last})
        if picture and number != last:
            await socket.send_bytes(picture)
        last = number


def _css(bgr: tuple[int, int, int]) -> str:
    return "#{2:02x}{1:02x}{0:02x}".format(*bgr)


def _asset(name: str) -> bytes:
    return (files("emotion_ros.serving") / "page" / name).read_bytes()
