"""Requests to a running HTTP service: heads, bodies and forms that no client sends."""

import contextlib
import itertools
import random
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ament_index_python.packages import get_package_prefix
from mutation import mutate_bytes
from processes import peak_mebibytes, reset_peak, running
from results import Result
from uploads import bodies

PATHS = (
    *["/v1/detect"] * 5,
    *["/v1/detect?annotated=true"] * 3,
    *["/v1/classify"] * 4,
    "/v1/models",
    "/healthz",
    "/metrics",
    "/../%00",
    "/",
)
METHODS = (*["POST"] * 10, "GET", "PUT", "HEAD", "OPTIONS", "\0")

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

ANSWER_S = 5.0
"""Time after which the client ends its half of the connection, which the service takes as its leave."""

CONNECTIONS = 8
"""Number of requests at once: an incomplete one takes the time limit."""

START_S = 300.0

NO_ANSWER = "no answer"
FAULTS = (500, 502, NO_ANSWER)

EXPECTED = frozenset({200, 400, 404, 405, 422})
"""Statuses that some of the requests must get in a run: pictures that are processed, and each kind of refusal."""

MIN_CHECKED = 300
"""Number of requests from which on each of these is likely."""

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
    """Send bytes, and return the last status of the answer; 0 if the service closed the connection without one."""
    answer = b""
    with socket.create_connection(address, MAX_SECONDS) as connection, contextlib.suppress(ConnectionError):
        with contextlib.suppress(ConnectionError):  # the service refuses a body before its end
            connection.sendall(content)
        connection.settimeout(ANSWER_S)
        try:
            answer = _answer(connection)
        except TimeoutError:
            with contextlib.suppress(OSError):  # the service has closed the connection
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(MAX_SECONDS)
            answer = _answer(connection)
    status = re.match(rb"HTTP/1\.1 (\d+)", answer)
    return int(status[1]) if status else 0


def _answer(connection):
    """Return the beginning of the answer after interim ones (such as 100 Continue)."""
    answer = connection.recv(1 << 16)
    while answer.startswith(b"HTTP/1.1 1"):
        answer = answer.partition(b"\r\n\r\n")[2] or connection.recv(1 << 16)
    return answer


def attack(seed, count):
    """Send ``count`` requests to a service, and return the :class:`Result`."""
    result = Result("requests to the HTTP service", (MAX_SECONDS, MAX_MEBIBYTES))
    program = Path(get_package_prefix("emotion_ros")) / "lib" / "emotion_ros" / "emotion-ros"
    options = ("--port", 0, "--request-timeout", REQUEST_TIMEOUT_S, "--no-hands")
    with running([program, "serve", *options]) as (process, output):
        address = _address(process, output)
        before, statuses = reset_peak(process), set()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            contents = itertools.islice(requests(seed), count)
            for content, status, seconds in pool.map(lambda each: _try(address, each), contents):
                outcome = "accepted" if status in range(200, 400) else "failed" if status in FAULTS else "refused"
                memory = peak_mebibytes(process) - before
                result.record(outcome, seconds, memory, f"{status} after {content[:80]!r}")
                statuses.add(status)
                if process.poll() is not None:
                    break
        if count >= MIN_CHECKED and (missing := EXPECTED - statuses):
            result.failures.append(f"no request was answered with {sorted(missing)}: the attack reaches too little")
        if process.poll() is not None or send(address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") != 200:
            result.failures.append(f"the service does not answer any more (exit code {process.poll()})")
        _, found, traceback = output().partition("Traceback")
        if found:
            result.failures.append(f"a traceback in the log of the service: {traceback[-MAX_SHOWN:]}")
    return result


def _try(address, content):
    """Return the bytes sent, the status or "no answer", and the seconds until it."""
    start = time.monotonic()
    try:
        status = send(address, content)
    except OSError:  # also a time-out
        status = NO_ANSWER
    return content, status, time.monotonic() - start


def _address(process, output):
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"http://([\d.]+):(\d+)", output()):
            return found[1], int(found[2])
        time.sleep(0.1)
    raise SystemExit(f"attack: the service did not start: {output()}")
