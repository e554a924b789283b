"""Uploads to the HTTP service: hostile ones are refused, and no picture is stored."""

import contextlib
import io
import itertools
import os
import re
import socket
from pathlib import Path

import httpx
import numpy as np
import pytest
from hostile_pictures import png
from PIL import Image as Pillow
from serve_process import encoded, serving


def gif():
    buffer = io.BytesIO()
    Pillow.new("RGB", (64, 64)).save(buffer, "GIF")
    return buffer.getvalue()


PNG = encoded(np.zeros((64, 64, 3)))

HOSTILE_UPLOADS = {
    "empty body": (b"", 422, "got nothing"),
    "text": (b"<script>alert(1)</script>", 415, "expected JPEG, PNG, WEBP, BMP"),
    "SVG with entities": (b'<!DOCTYPE svg [<!ENTITY x "y">]><svg>&x;</svg>', 415, "expected JPEG"),
    "GIF": (gif(), 415, "expected JPEG"),
    "decompression bomb": (png(30_000, 30_000), 413, "got 30000 × 30000"),
    "too many pixels": (png(7072, 7072), 413, "expected at most 50000000 pixels, got 7072 × 7072"),
    "PNG with a chunk longer than the body": (PNG[:33] + b"\0\xff" + PNG[35:], 422, "broken"),
    "truncated PNG": (encoded(np.zeros((64, 64, 3), np.uint8))[:60], 422, "broken"),
    "JPEG header and noise": (b"\xff\xd8\xff\xe0\x00\x10" + bytes(range(256)), 422, "broken JPEG"),
    "pickle": (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os", 415, "expected JPEG"),
    "too many bytes": (bytes((8 << 20) + 1), 413, "at most 8388608 bytes"),
}


@pytest.mark.parametrize("upload", HOSTILE_UPLOADS)
def test_a_hostile_upload_gets_a_clear_error_and_the_service_goes_on(client, upload):
    content, status, message = HOSTILE_UPLOADS[upload]
    for path in ("/v1/detect", "/v1/classify"):
        answer = client.post(path, content=content, headers={"Content-Type": "image/png"})
        assert answer.status_code == status
        assert message in answer.json()["detail"]
    assert client.get("/readyz").status_code == 200


def test_a_body_without_length_is_refused_at_the_limit(client):
    answer = client.post("/v1/detect", content=(bytes(1 << 20) for _ in range(40)))
    assert answer.status_code == 413
    sent = itertools.count()
    with contextlib.suppress(httpx.TransportError):  # cut off, perhaps before the answer is read
        client.post("/v1/detect", content=(bytes(1 << 20) for _ in zip(range(2000), sent, strict=False)))
    assert next(sent) < 500


def test_a_form_of_many_large_images_is_refused_before_they_are_decoded(client):
    answer = client.post("/v1/detect", files=[("images", ("a", png(7000, 7000)))] * 3)
    assert answer.status_code == 413
    assert "at most 100000000 pixels in a request, got 147000000" in answer.json()["detail"]


def test_malformed_forms_are_refused(client, portrait):
    picture = encoded(portrait)
    form = {"Content-Type": "multipart/form-data"}
    assert client.post("/v1/detect", content=b"x", headers=form).status_code == 400
    assert client.post("/v1/detect", files={"photo": picture}).status_code == 422
    assert client.post("/v1/detect", data={"images": "text"}, files={"images": picture}).status_code == 400
    too_many = client.post("/v1/detect", files=[("images", ("a", picture))] * 17)
    assert too_many.status_code == 400
    assert "at most 16" in too_many.json()["detail"]
    several = client.post("/v1/detect?annotated=true", files=[("images", ("a", picture))] * 2)
    assert several.status_code == 422
    assert client.post("/v1/detect?annotated=maybe", content=picture).json()["detail"].startswith("annotated")


def test_no_picture_is_written_or_logged(server, client):
    """Not even a temporary file while a large form is read."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    before = written_bytes(server)
    client.post("/v1/detect", files={"images": encoded(noise)})
    assert not [name for name in open_files(server) if name.startswith("/tmp") and "deleted" in name]
    assert written_bytes(server) - before < 100_000
    assert not [line for line in server.log if "portrait" in line or "images" in line]


def written_bytes(server):
    """Number of bytes that the server has written to disk."""
    return int(re.search(r"^write_bytes: (\d+)", Path(f"/proc/{server.process.pid}/io").read_text(), re.M)[1])


def open_files(server):
    """Paths of the files that the server has open."""
    descriptors = Path(f"/proc/{server.process.pid}/fd").iterdir()
    return [os.readlink(descriptor) for descriptor in descriptors if os.path.lexists(descriptor)]


def test_a_body_that_arrives_too_slowly_is_refused(portrait):
    with serving("--request-timeout", "1") as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 10) as slow:
            slow.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        with server.client() as client:
            assert client.post("/v1/detect", content=encoded(portrait)).status_code == 200
