"""Clients that attack the live page with raw connections."""

import contextlib
import re
from pathlib import Path

import httpx
import pytest
from raw_http import connected, peak_memory, posted, reset_peak, seconds_to_health, status
from serve_process import answering, free_port
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

TOKEN = "a-token-of-more-than-16-characters"


def test_a_body_is_read_after_token_and_origin_were_checked_and_up_to_a_size(start, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    port = free_port()
    node = start("web", host="0.0.0.0", port=port, token_file=str(tmp_path / "token"))
    url = answering(f"http://127.0.0.1:{port}")
    before = reset_peak(node)
    authorized = b"Authorization: Bearer %s\r\n" % TOKEN.encode()
    foreign = authorized + b"Origin: http://evil.example\r\n"
    for head, expected in ((b"", 401), (foreign, 403), (authorized, 413)):
        with posted(
            url, head + b"Content-Type: application/json\r\nContent-Length: 4000000000\r\n", b" ", "/capture"
        ) as post:
            with contextlib.suppress(OSError):
                for _ in range(100):
                    post.sendall(b" " * (1 << 20))
            assert status(post) in (expected, None)
    assert peak_memory(node) - before < 30 << 20
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        assert client.post("/capture", content=b" " * (70 << 10)).status_code == 413
        assert client.post("/capture", json={"label": "joy"}).status_code == 409
        client.headers.clear()
        assert client.post("/capture", content=b" " * (70 << 10)).status_code == 401


def test_what_viewers_send_writes_nothing_to_the_log(start):
    port = free_port()
    node = start("web", port=port)
    url = answering(f"http://127.0.0.1:{port}")
    live = url.replace("http", "ws") + "/live"
    for message, code in ((b"binary", 1003), ("x" * 2000, 1009)):
        with connect(live) as viewer:
            viewer.recv(5)
            viewer.send(message)
            with pytest.raises(ConnectionClosed) as closed:
                viewer.recv(5)
            assert closed.value.rcvd.code == code
    for _ in range(20):
        posted(url, b"Content-Length: 1000\r\n", b"x").close()
    assert httpx.get(f"{url}/healthz").status_code == 200
    node.terminate()
    assert not re.search("Traceback|Error|WARN", node.communicate(timeout=10)[1])


def test_request_that_is_open_when_the_node_ends_is_refused_without_a_stack_trace(start):
    port = free_port()
    node = start("web", port=port)
    url = answering(f"http://127.0.0.1:{port}")
    with posted(url, b"Content-Length: 1000\r\n", b"x") as post:
        seconds_to_health(url)
        node.terminate()
        assert status(post) == 503
    assert "Traceback" not in node.communicate(timeout=10)[1]


def test_half_open_connections_do_not_shut_a_viewer_out(start):
    port = free_port()
    node = start("web", port=port)
    url = answering(f"http://127.0.0.1:{port}")
    with contextlib.ExitStack() as connections:
        for _ in range(700):
            connections.enter_context(connected(url)).sendall(b"GET ")
        assert seconds_to_health(url) < 5
        with connect(url.replace("http", "ws") + "/live") as viewer:
            assert "colors" in viewer.recv(5)
        assert len([*Path(f"/proc/{node.pid}/fd").iterdir()]) < 400
