"""Raw connections to a server, for what no HTTP library sends."""

import contextlib
import re
import socket
import time
from pathlib import Path

HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connected(url, source="127.0.0.1", timeout=10):
    """A connection to a server from an address of this machine."""
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout, source_address=(source, 0))


def status(connection):
    """Status of the answer on a connection; None if the server closed it."""
    with contextlib.suppress(ConnectionError):
        if answer := connection.recv(1 << 16):
            return int(answer.split(maxsplit=2)[1])
    return None


def posted(url, head=b"", body=b"", path="/v1/detect", **options):
    """A connection on which a request was sent, with its body or a part of it."""
    connection = connected(url, **options)
    connection.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s" % (path.encode(), head, body))
    return connection


def seconds_to_health(url, **options):
    """Seconds until a new client gets the answer to /healthz."""
    begin = time.monotonic()
    with connected(url, **options) as client:
        client.sendall(HEALTHZ)
        assert status(client) == 200
    return time.monotonic() - begin


def until_closed(connection):
    """Seconds until the server closes a connection."""
    begin = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while connection.recv(1 << 16):
            pass
    return time.monotonic() - begin


def peak_memory(process):
    """Peak of the resident memory of a process, bytes, since :func:`reset_peak`."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[1]) << 10


def reset_peak(process):
    """Let the peak of the resident memory of a process begin at its present value, and return that, bytes."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return peak_memory(process)
