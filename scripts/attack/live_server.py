"""Requests to a running HTTP service: heads, bodies and forms that no client sends."""

import contextlib
import random
import re
import socket
import time
from pathlib import Path

from ament_index_python.packages import get_package_prefix
from mutation import mutate_bytes
from processes import peak_mebibytes, reset_peak, running
from results import Result
from uploads import bodies

PATHS = (
    "/v1/detect",
    "/v1/detect?annotated=true",
    "/v1/classify",
    "/v1/models",
    "/healthz",
    "/metrics",
    "/../%00",
    "/",
)
METHODS = ("POST", "POST", "POST", "GET", "PUT", "HEAD", "OPTIONS", "\0")

HEADERS = (
    "Origin: http://evil.example",
    "Host: evil.example",
    "Transfer-Encoding: chunked",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Expect: 100-continue",
    "Connection: upgrade\r\nUpgrade: websocket",
    "Authorization: Bearer \xff",
    "X-Forwarded-For: " + "1.2.3.4, " * 500,
    "Content-Encoding: gzip",
    "a: b\r\n" * 120 + "a: b",
    "x: " + "y" * 20_000,
)

REQUEST_TIMEOUT_S = 2
"""Time limit of the service for a request, so that incomplete ones do not take the whole run."""

MAX_SECONDS = 20.0
MAX_MEBIBYTES = 870
"""Memory of the decoded images of all requests together, as docs/serving.md states it."""

START_S = 300.0

MAX_SHOWN = 2_000
"""Characters of a log in a failure."""


def requests(seed):
    """Yield bytes that are sent on a connection."""
    generator = random.Random(seed)
    for kind, body in bodies(seed):
        head = [f"{generator.choice(METHODS)} {generator.choice(PATHS)} HTTP/1.1", "Host: localhost"]
        head += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        head += generator.sample(HEADERS, generator.choice((0, 0, 0, 1, 2)))
        content = "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body
        yield mutate_bytes(content, generator, 300) if generator.random() < 0.3 else content


def send(address, content):
    """Send bytes, and return the status of the answer; 0 if the service closed the connection without one."""
    with socket.create_connection(address, MAX_SECONDS) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(content)
        with contextlib.suppress(OSError):  # the service has closed the connection
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(1 << 16)
            if status := re.match(rb"HTTP/1\.1 (\d+)", answer):
                return int(status[1])
    return 0


def attack(seed, count):
    """Send ``count`` requests to a service, and return the :class:`Result`."""
    result = Result("requests to the HTTP service", (MAX_SECONDS, MAX_MEBIBYTES))
    program = Path(get_package_prefix("emotion_ros")) / "lib" / "emotion_ros" / "emotion-ros"
    options = ("--port", 0, "--request-timeout", REQUEST_TIMEOUT_S, "--no-hands")
    with running([program, "serve", *options]) as (process, output):
        address = _address(process, output)
        before, generator = reset_peak(process), requests(seed)
        while result.tried < count and process.poll() is None:
            _try(address, next(generator), result, lambda: peak_mebibytes(process) - before)
        if process.poll() is not None or send(address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") != 200:
            result.failures.append(f"the service does not answer any more (exit code {process.poll()})")
        _, found, traceback = output().partition("Traceback")
        if found:
            result.failures.append(f"a traceback in the log of the service: {traceback[-MAX_SHOWN:]}")
    return result


def _try(address, content, result, memory):
    start = time.monotonic()
    try:
        status = send(address, content)
    except OSError as error:
        result.record("failed", time.monotonic() - start, memory(), f"{error!r} after {content[:80]!r}")
        return
    outcome = "accepted" if 0 < status < 400 else "failed" if status in (500, 502) else "refused"
    result.record(outcome, time.monotonic() - start, memory(), f"status {status} after {content[:80]!r}")


def _address(process, output):
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"http://([\d.]+):(\d+)", output()):
            return found[1], int(found[2])
        time.sleep(0.1)
    raise SystemExit(f"attack: the service did not start: {output()}")
