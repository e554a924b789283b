"""Limits on connections: the only ones that hold before a request is authenticated."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 512
"""Maximum open connections. With :data:`ACCEPTED_AT_ONCE` well below 1024, the usual limit of open files
(``ulimit -n``); at that limit no connection would be accepted."""

MAX_CONNECTIONS_PER_ADDRESS = 256
"""Maximum open connections of one address, which may be a proxy with many clients."""

ACCEPTED_AT_ONCE = 128
"""Connections that the kernel and the event loop accept before the limits above are applied to them."""

IDLE_TIMEOUT_S = 5.0
"""Maximum seconds without a request, or without progress of a response that the client does not read. The default of
uvicorn for connections that are kept alive."""

MAX_HEAD_BYTES = 16 << 10
"""Maximum size of the head of a request (request line and headers). The default of h11."""

MAX_CHUNKS = 8192
"""Maximum chunks of a body. A chunk of one byte takes the event loop as long as one of many kilobytes; at this number,
the chunks of a body of 8 MiB have 1 KiB."""


class _Connection(h11.Connection):
    """Parser that refuses a body of too many chunks."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self._chunks = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = 0
        elif isinstance(event, h11.Data) and event.chunk_start:
            self._chunks += 1
            if self._chunks > MAX_CHUNKS:
                raise h11.RemoteProtocolError(f"expected at most {MAX_CHUNKS} chunks, got more")
        return event


class LimitedProtocol(H11Protocol):
    """HTTP connection that cannot be held without a request.

    A connection idles until the head of a request is complete, after its response, and while the client does not read.
    It is closed after :data:`IDLE_TIMEOUT_S`, or earlier to make room for a new connection.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = _Connection()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0
        self._unsent_bytes = 0

    @property
    def is_idle(self) -> bool:
        """True while no request is processed, or its response is not read."""
        return self.cycle is None or self.cycle.response_complete or self.flow.write_paused

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Close an idle connection, or else this one, if there are too many."""
        super().connection_made(transport)
        self._make_room()
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        super().connection_lost(exc)
        self._update_timer()

    def data_received(self, data: bytes) -> None:
        """Parse a part of a request."""
        super().data_received(data)
        self._update_timer()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._update_timer()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._update_timer()

    def resume_writing(self) -> None:
        """Continue to send."""
        super().resume_writing()
        self._update_timer()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        with suppress(h11.LocalProtocolError):  # after the response: it is the rest of the body that is not HTTP
            super().send_400_response(msg)
        self.transport.close()
        if self.cycle is not None:  # uvicorn notes this too late for a request that is about to be answered
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _make_room(self) -> None:
        others = [each for each in self.connections if each is not self and not each.transport.is_closing()]
        idle = [each for each in others if isinstance(each, LimitedProtocol) and each.is_idle]
        if sum(_address(each) == _address(self) for each in others) >= MAX_CONNECTIONS_PER_ADDRESS:
            crowded = _address(self)
        elif len(others) >= MAX_CONNECTIONS:
            crowded = Counter(map(_address, idle)).most_common(1)[0][0] if idle else ""
        else:
            return
        candidates = [each for each in idle if _address(each) == crowded]
        min(candidates, key=lambda each: each._idle_since, default=self).transport.abort()

    def _update_timer(self) -> None:
        """Run the timer while the connection idles. It is no longer in ``connections`` if it is lost or a WebSocket."""
        idles = self in self.connections and self.is_idle
        if idles and self._idle_timer is None:
            self._start_timer()
        elif not idles and self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _start_timer(self) -> None:
        self._idle_since, self._unsent_bytes = self.loop.time(), self.transport.get_write_buffer_size()
        self._idle_timer = self.loop.call_later(IDLE_TIMEOUT_S, self._close_idle)

    def _close_idle(self) -> None:
        if 0 < self.transport.get_write_buffer_size() < self._unsent_bytes:  # a slow client reads its response
            self._start_timer()
        else:
            self.transport.abort()


def _address(connection: Any) -> str:
    """Return the address of a connection's client, of HTTP or WebSocket."""
    return connection.client[0] if connection.client else ""
