"""Clients of the HTTP service that attack it with raw connections; others are served meanwhile."""

import contextlib
import io
import resource
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from raw_http import connected, peak_memory, posted, reset_peak, seconds_to_health, status, until_closed
from serve_process import encoded, serving

from emotion_ros.io.jpeg_scans import MAX_JPEG_SCANS
from emotion_ros.serving.connections import IDLE_TIMEOUT_S, MAX_CONNECTIONS_PER_ADDRESS

TOKEN = "a-token-of-more-than-16-characters"
OTHER_ADDRESS = "127.0.0.2"

EMPTY_SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x10" + bytes(120)
"""Scan of a progressive JPEG that refines no coefficient."""


@pytest.fixture(autouse=True)
def many_files():
    """Let the test open as many connections as an attacker."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def progressive(width=4000, height=4000, more=b""):
    """A progressive JPEG (10 scans), with further scans or segments before its end."""
    buffer = io.BytesIO()
    Pillow.new("RGB", (width, height)).save(buffer, "JPEG", progressive=True)
    return buffer.getvalue()[:-2] + more + b"\xff\xd9"


def segments(count):
    """A JPEG with empty APP1 segments at its beginning."""
    picture = progressive(64, 64)
    return picture[:2] + b"\xff\xe1\x00\x02" * count + picture[2:]


@pytest.mark.parametrize(
    ("bomb", "message"),
    [(progressive(more=EMPTY_SCAN * 15000), "at most 64 scans"), (segments(2_000_000), "at most 2048 segments")],
    ids=["15,000 scans", "2,000,000 segments"],
)
def test_a_jpeg_that_takes_long_to_decode_is_refused_before(client, bomb, message):
    begin = time.monotonic()
    answer = client.post("/v1/detect", content=bomb)
    assert answer.status_code == 413
    assert message in answer.json()["detail"]
    assert time.monotonic() - begin < 3


def test_a_jpeg_with_as_many_scans_as_allowed_is_decoded_in_time(client):
    begin = time.monotonic()
    answer = client.post("/v1/detect", content=progressive(more=EMPTY_SCAN * (MAX_JPEG_SCANS - 10)))
    assert answer.status_code == 200
    assert time.monotonic() - begin < 10


def test_a_progressive_jpeg_with_a_thumbnail_and_a_video_behind_it_is_accepted(client, portrait):
    buffer = io.BytesIO()
    Pillow.fromarray(portrait[..., ::-1]).save(buffer, "JPEG", progressive=True, exif=thumbnail())
    answer = client.post("/v1/detect", content=buffer.getvalue() + b"\xff\xda\x00\x08" * 1000)
    assert answer.json()["results"][0]["people"][0]["label"] == "happy"


def thumbnail():
    """EXIF data with a progressive JPEG."""
    return b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00" + progressive(160, 120)


def test_a_large_head_is_refused_and_not_kept(server, client):
    assert client.get("/v1/models", headers={f"x-{number}": "y" for number in range(200)}).status_code == 431
    assert client.get("/v1/models", headers={"x": "y" * 20000}).status_code in (400, 431)
    before = reset_peak(server.process)
    with contextlib.ExitStack() as connections:
        for _ in range(200):
            connection = connections.enter_context(connected(server.url))
            with contextlib.suppress(ConnectionError):
                for number in range(40):
                    connection.sendall(b"" if number else b"GET / HTTP/1.1\r\nx: ")
                    connection.sendall(b"y" * (16 << 10))
        assert peak_memory(server.process) - before < 50 << 20


def test_half_open_connections_shut_nobody_out(server):
    """Of all those that send no complete request, the newest stay."""
    with contextlib.ExitStack() as connections:
        for number in range(1100):
            source = (OTHER_ADDRESS, "127.0.0.1", "127.0.0.3")[number % 3]
            connection = connections.enter_context(connected(server.url, source))
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
            if number % 100 == 99:
                assert seconds_to_health(server.url) < 5
        assert seconds_to_health(server.url, source=OTHER_ADDRESS) < 5
        assert open_files(server) <= 600


def open_files(server):
    """Number of open files of the server, most of which are connections."""
    return len([*Path(f"/proc/{server.process.pid}/fd").iterdir()])


def test_one_address_has_a_part_of_all_connections(server):
    with contextlib.ExitStack() as connections:
        opened = [connections.enter_context(connected(server.url, OTHER_ADDRESS)) for _ in range(400)]
        assert seconds_to_health(server.url) < 5
        assert open_files(server) < MAX_CONNECTIONS_PER_ADDRESS + 60
        opened[0].settimeout(2)
        assert status(opened[0]) is None  # the oldest was closed


@pytest.mark.parametrize(
    "sent", [b"", b"GET /healthz HTTP/1.1\r\nx: ", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGE"]
)
def test_a_connection_without_a_complete_head_is_closed_after_a_time(server, sent):
    with connected(server.url, timeout=1) as slow:
        begin = time.monotonic()
        slow.sendall(sent)
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begin < 4 * IDLE_TIMEOUT_S:
                try:
                    if slow.recv(1 << 16) == b"":
                        break
                except TimeoutError:
                    slow.sendall(b"y" if sent else b"")
        assert IDLE_TIMEOUT_S - 1 < time.monotonic() - begin < 3 * IDLE_TIMEOUT_S


def test_a_client_that_reads_no_answers_is_disconnected(server):
    with connected(server.url) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(ConnectionError, TimeoutError):
            deaf.settimeout(2)
            while True:
                deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        time.sleep(IDLE_TIMEOUT_S + 2)
        assert deaf.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or until_reset(deaf)
    assert seconds_to_health(server.url) < 5


def until_reset(connection):
    """True if the server has reset a connection."""
    try:
        while connection.recv(1 << 20):
            pass
    except ConnectionError:
        return True
    return False


def test_a_body_without_a_token_is_not_read():
    with serving("--host", "0.0.0.0", token=TOKEN) as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        before = reset_peak(server.process)
        for path in ("/v1/detect", "/nowhere"):
            with posted(url, b"Content-Length: 4000000000\r\n", bytes(1 << 20), path) as connection:
                assert status(connection) == 401
                with contextlib.suppress(OSError):
                    for _ in range(20):
                        connection.sendall(bytes(1 << 20))
        assert peak_memory(server.process) - before < 10 << 20
        assert seconds_to_health(url) < 5


def test_a_body_of_tiny_chunks_is_refused(server):
    """Each chunk takes the event loop as long as a large one."""
    with posted(server.url, b"Transfer-Encoding: chunked\r\n") as hostile:
        with contextlib.suppress(ConnectionError):
            hostile.sendall(b"1\r\nx\r\n" * 500_000)
        assert seconds_to_health(server.url) < 5
        assert status(hostile) in (400, None)


def test_bodies_that_trickle_give_their_places_to_others(server, portrait):
    """All 64 places are taken by one address. Its own clients get in after a second, too."""
    picture = encoded(portrait, ".jpg")
    with contextlib.ExitStack() as connections:
        slow = [
            connections.enter_context(posted(server.url, b"Content-Length: 1000\r\n", b"x", source=OTHER_ADDRESS))
            for _ in range(64)
        ]
        begin = time.monotonic()
        head = b"Content-Length: %d\r\n" % len(picture)
        with posted(server.url, head, picture, timeout=30) as caller:
            assert status(caller) == 200
        assert time.monotonic() - begin < 5
        assert status(slow[0]) == 429
        connections.enter_context(posted(server.url, b"Content-Length: 1000\r\n", b"x", source=OTHER_ADDRESS))
        time.sleep(1)
        with posted(server.url, head, picture, source=OTHER_ADDRESS, timeout=30) as caller:
            assert status(caller) == 200


@pytest.mark.parametrize(
    "charset", ["unicode_escape", "raw_unicode_escape", "idna", "punycode", "utf-7", "utf-16", "hex"]
)
def test_the_charset_of_a_form_is_ignored(client, portrait, charset):
    body = b'--b\r\nContent-Disposition: form-data; name=images; filename="\\ud800\xc3\xa9"\r\n\r\n%s\r\n--b--\r\n'
    form = {"Content-Type": f"multipart/form-data; charset={charset}; boundary=b"}
    answer = client.post("/v1/detect", content=body % encoded(portrait), headers=form)
    assert answer.status_code == 200
    assert answer.json()["results"][0]["source"] == "\\ud800é"


def test_a_form_with_an_empty_boundary_is_refused(client):
    form = {"Content-Type": "multipart/form-data; boundary="}
    assert client.post("/v1/detect", content=b"--\r\n\r\n----", headers=form).status_code in (400, 422)


def test_an_image_that_is_too_long_for_a_jpeg_is_not_annotated(client):
    long = encoded(np.zeros((20, 66000, 3), np.uint8))
    answer = client.post("/v1/detect?annotated=true", content=long)
    assert answer.status_code == 422
    assert "at most 65500 px, got 66000" in answer.json()["detail"]
    assert client.post("/v1/detect", content=long).status_code == 200


def test_clients_that_leave_or_send_nonsense_write_nothing_to_the_log(server, client):
    before = len(server.log)
    form = b"Content-Type: multipart/form-data; boundary=b\r\n"
    for number in range(30):
        head = b"Content-Length: 1000\r\n" + (form if number % 2 else b"")
        posted(server.url, head, b"--b\r\n" if number % 2 else b"x").close()
        with posted(server.url, b"Transfer-Encoding: chunked\r\nOrigin: http://evil.example\r\n") as refused:
            assert status(refused) == 403
            refused.sendall(b"no chunk\r\n")
            until_closed(refused)
        with posted(
            server.url, b"Transfer-Encoding: chunked\r\nOrigin: http://evil.example\r\n", b"no chunk\r\n"
        ) as both:
            assert status(both) == 400
        with connected(server.url) as other:
            other.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
            assert status(other) == 400
        posted(server.url, b"Content-Length: 0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n").close()
    assert 'status="499"' in until_metric(client, 'status="499"')
    assert server.log[before:] == []


def test_malformed_forms_write_nothing_to_the_log(server, client):
    before = len(server.log)
    for content in (b"no form", b"--b\r\nno header\r\n\r\n", b"--b\r\n: \r\n\r\n"):
        form = {"Content-Type": "multipart/form-data; boundary=b"}
        assert client.post("/v1/detect", content=content, headers=form).status_code == 400
    assert server.log[before:] == []


def until_metric(client, part):
    """The metrics of the service, once they have a part."""
    deadline = time.monotonic() + 10
    while part not in (figures := client.get("/metrics").text) and time.monotonic() < deadline:
        time.sleep(0.1)
    return figures
