import concurrent.futures
import contextlib
import http.client
import io
import itertools
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image as Pillow
from serve_process import encoded, serving

from emotion_ros.config import PipelineConfig, ServeConfig
from emotion_ros.config.options import build
from emotion_ros.perception.emotion.emotion_model import EmotionModel
from emotion_ros.serving import schemas as api_schemas

TOKEN = "a-token-of-more-than-16-characters"


@pytest.fixture(scope="module")
def server():
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with server.client() as opened:
        yield opened


def without_ids(results):
    """Ids are random, and `detect` calls a picture by its path."""
    for each in results:
        each.pop("source")
        for person in each["people"]:
            person.pop("id")
    return results


def test_detect_answers_what_the_command_line_says(client, portrait, command_line, tmp_path):
    path = tmp_path / "portrait.png"
    path.write_bytes(encoded(portrait))
    said = [json.loads(line) for line in command_line("detect", path, "--json").stdout.splitlines()]
    body = client.post("/v1/detect", content=path.read_bytes(), headers={"Content-Type": "image/png"}).json()
    parts = client.post("/v1/detect", files=[("images", ("a.png", path.read_bytes()))] * 2).json()
    assert [each["source"] for each in parts["results"]] == ["a.png", "a.png"]
    assert body["results"][0]["people"][0]["label"] == "happy"
    expected = without_ids(said)
    assert without_ids(body["results"]) == expected
    assert without_ids(parts["results"]) == expected * 2


def test_annotated_is_the_picture(client, portrait):
    answer = client.post("/v1/detect?annotated=true", content=encoded(portrait))
    assert answer.headers["content-type"] == "image/jpeg"
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == portrait.shape
    assert np.abs(picture.astype(int) - portrait).max() > 100


def test_crops_are_judged_as_they_are(client, portrait):
    classifier = EmotionModel(PipelineConfig()).classifier
    crops = [portrait[100:230, 205:335], portrait[300:400, 100:200]]
    answer = client.post("/v1/classify", files=[("images", (f"{n}", encoded(crop))) for n, crop in enumerate(crops)])
    expected = classifier.classify(crops)
    for each, row in zip(answer.json()["results"], expected, strict=True):
        assert each["label"] == classifier.contract.labels[int(row.argmax())]
        assert [*each["probabilities"].values()] == pytest.approx(row.tolist(), abs=1e-3)


def test_models_health_and_metrics_are_told(client):
    models = client.get("/v1/models").json()
    assert models["model"].startswith("emotion_resnet18")
    assert models["region"] == "face"
    assert {"emotion_resnet18", "emotion_faces"} <= {each["name"] for each in models["catalog"] if each["downloaded"]}
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}
    client.get("/nowhere-at-all")
    figures = client.get("/metrics").text
    assert 'emotion_ros_requests_total{path="/healthz",status="200"}' in figures
    assert "nowhere" not in figures  # what callers invent makes no new figures
    assert 'path="other",status="404"' in figures


def test_openapi_holds_for_whatever_comes(server, tmp_path):
    """Random requests, right and wrong: each answer is one that the description has. Random bytes are no images, so
    they are refused although their type is right."""
    command = Path(sys.executable).with_name("schemathesis")
    options = ["--exclude-checks", "positive_data_acceptance", "--max-examples", "20", "--no-color", "--seed", "1"]
    ran = subprocess.run(
        [command, "run", f"{server.url}/openapi.json", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert "Selected: 6/6" in ran.stdout


def test_examples_in_the_api_description_are_valid(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    examples = {name: schema["examples"] for name, schema in schemas.items() if "examples" in schema}
    assert set(examples) == {"DetectResponse", "ClassifyResponse", "ErrorResponse"}
    for name, (example,) in examples.items():
        assert getattr(api_schemas, name).model_validate(example)


def bomb(side=60000):
    """A PNG of some kilobytes that would be 10 GB."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


def gif():
    buffer = io.BytesIO()
    Pillow.new("RGB", (64, 64)).save(buffer, "GIF")
    return buffer.getvalue()


HOSTILE = {
    "nothing": (b"", 422, "got nothing"),
    "text": (b"<script>alert(1)</script>", 415, "expected JPEG, PNG, WEBP, BMP"),
    "an SVG with entities": (b'<!DOCTYPE svg [<!ENTITY x "y">]><svg>&x;</svg>', 415, "expected JPEG"),
    "a GIF": (gif(), 415, "expected JPEG"),
    "a decompression bomb": (bomb(), 413, "pixels"),
    "more pixels than allowed": (encoded(np.zeros((4100, 4100), np.uint8)), 413, "got 4100 × 4100"),
    "a PNG that ends early": (encoded(np.zeros((64, 64, 3), np.uint8))[:60], 422, "broken"),
    "a JPEG head with noise": (b"\xff\xd8\xff\xe0\x00\x10" + bytes(range(256)), 415, "expected JPEG"),
    "a pickle": (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os", 415, "expected JPEG"),
    "more bytes than allowed": (bytes((8 << 20) + 1), 413, "at most 8388608 bytes"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_uploads_get_one_clear_answer(client, what):
    content, status, said = HOSTILE[what]
    for path in ("/v1/detect", "/v1/classify"):
        answer = client.post(path, content=content, headers={"Content-Type": "image/png"})
        assert answer.status_code == status
        assert said in answer.json()["detail"]
    assert client.get("/readyz").status_code == 200


def test_a_body_without_length_ends_at_the_limit(client):
    answer = client.post("/v1/detect", content=(bytes(1 << 20) for _ in range(40)))
    assert answer.status_code == 413
    sent = itertools.count()
    with contextlib.suppress(httpx.TransportError):  # who sends without end is cut off, and may not hear why
        client.post("/v1/detect", content=(bytes(1 << 20) for _ in zip(range(2000), sent, strict=False)))
    assert next(sent) < 500


def test_a_form_of_many_large_images_is_refused_before_they_are_decoded(client):
    large = encoded(np.zeros((4000, 4000), np.uint8))
    answer = client.post("/v1/detect", files=[("images", ("a", large))] * 5)
    assert answer.status_code == 413
    assert "at most 64000000 pixels in a request, got 80000000" in answer.json()["detail"]


def test_forms_that_are_none_are_refused(client, portrait):
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


def test_other_web_sites_and_names_are_refused(client):
    assert client.get("/v1/models", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/v1/models", headers={"Origin": "null"}).status_code == 403
    assert client.get("/v1/models", headers={"Origin": "http://[oops"}).status_code == 403
    assert client.get("/v1/models", headers={"Host": "rebound.example"}).status_code == 403
    answer = client.options(
        "/v1/detect", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert "access-control-allow-origin" not in answer.headers


def test_nothing_of_a_picture_is_kept(server, client, portrait, tmp_path):
    """Not even while a large form is read: no file is written by the process."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    before = int(re.search(r"^write_bytes: (\d+)", io_of(server), re.M)[1])
    client.post("/v1/detect", files={"images": encoded(noise)})
    files = [os.readlink(each) for each in each_fd(server)]
    assert not [name for name in files if name.startswith("/tmp") and "deleted" in name]
    assert int(re.search(r"^write_bytes: (\d+)", io_of(server), re.M)[1]) - before < 100_000
    assert not [line for line in server.log if "portrait" in line or "images" in line]


def io_of(server):
    with open(f"/proc/{server.process.pid}/io") as file:
        return file.read()


def each_fd(server):
    with os.scandir(f"/proc/{server.process.pid}/fd") as there:
        return [each.path for each in there if os.path.lexists(each.path)]


def test_requests_that_come_together_run_together(client, server, portrait):
    """Sixteen callers: fewer runs than requests, the same answers as alone."""
    picture = encoded(portrait, ".jpg")
    alone = without_ids(client.post("/v1/detect", content=picture).json()["results"])
    before = runs(client)
    with concurrent.futures.ThreadPoolExecutor(16) as callers:
        answers = [*callers.map(lambda _: client.post("/v1/detect", content=picture), range(64))]
    assert {each.status_code for each in answers} == {200}
    assert all(without_ids(each.json()["results"]) == alone for each in answers)
    assert runs(client) - before < 48


def runs(client):
    return float(re.search(r"^emotion_ros_batch_images_count (\S+)", client.get("/metrics").text, re.M)[1])


def test_more_than_may_wait_is_told_to_come_back(portrait):
    picture = encoded(portrait, ".jpg")
    with serving("--max-queue-size", "2", "--max-batch-size", "1") as small, small.client() as client:
        with concurrent.futures.ThreadPoolExecutor(12) as callers:
            answers = [*callers.map(lambda _: client.post("/v1/detect", content=picture), range(36))]
        codes = [each.status_code for each in answers]
        assert set(codes) == {200, 429}
        assert all(int(each.headers["retry-after"]) >= 1 for each in answers if each.status_code == 429)
        assert client.post("/v1/detect", content=picture).status_code == 200


def test_a_body_that_trickles_is_cut_off(portrait):
    with serving("--request-timeout", "1") as strict:
        host, port = strict.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 10) as slow:
            slow.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        with strict.client() as client:
            assert client.post("/v1/detect", content=encoded(portrait)).status_code == 200


def test_a_token_is_needed_where_others_listen(command_line):
    refused = command_line("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "--token-file" in refused.stderr
    with serving("--host", "0.0.0.0", token=TOKEN) as server:
        with server.client() as client:
            for sent in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
                for path in ("/v1/models", "/metrics"):
                    assert client.get(path, headers=sent).status_code == 401
                assert client.post("/v1/detect", content=b"x", headers=sent).status_code == 401
            assert client.get("/healthz").status_code == 200
        with server.client(headers={"Authorization": f"Bearer {TOKEN}", "Host": "robot.example"}) as client:
            assert client.get("/v1/models").status_code == 200
        assert not [line for line in server.log if TOKEN in line]


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("short", "16 ASCII characters")])
def test_a_token_file_that_cannot_be_used_is_one_line(command_line, tmp_path, content, said):
    file = tmp_path / "token"
    if content:
        file.write_text(content)
    refused = command_line("serve", "--token-file", file, "--port", "0")
    assert refused.returncode == 2
    assert said in refused.stderr.splitlines()[-1]


def test_a_taken_port_is_one_line(server, command_line):
    refused = command_line("serve", "--port", server.url.rpartition(":")[2])
    assert refused.returncode == 2
    assert "choose another --port" in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr


def test_every_open_request_is_answered_after_sigterm(portrait):
    """Eight requests whose body is awaited when the server is told to stop; then it accepts no further connection."""
    picture = encoded(portrait, ".jpg")
    with serving() as server, contextlib.ExitStack() as connections:
        requests = [connections.enter_context(open_request(server.url, len(picture))) for _ in range(8)]
        server.process.send_signal(signal.SIGTERM)
        until_refused(server.url)
        assert server.process.poll() is None
        for request in requests:
            request.sendall(picture)
        for request in requests:
            response = http.client.HTTPResponse(request)
            response.begin()
            assert response.status == 200
            assert json.load(response)["results"][0]["people"][0]["label"] == "happy"
        assert server.process.wait(30) == 0


def open_request(url, length):
    """A connection with a request to detect, without its body, that the server has begun to read."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), 30)
    head = f"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    connection.sendall(head.encode())
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
    return connection


def until_refused(url):
    """Wait until a server accepts no connection."""
    host, port = url.removeprefix("http://").split(":")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError(f"{url} still accepts connections")


def test_serve_options_have_ranges():
    assert build(ServeConfig, {}).host == "127.0.0.1"
    with pytest.raises(Exception, match="expected 0 to 65535"):
        build(ServeConfig, {"port": 70000})


def test_serving_needs_no_ros(server):
    assert "rclpy" not in Path(f"/proc/{server.process.pid}/maps").read_text()
