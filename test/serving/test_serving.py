"""The HTTP service in a process of its own."""

import concurrent.futures
import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from serve_process import encoded, serving

from emotion_ros.config import PipelineConfig, ServeConfig
from emotion_ros.config.options import build
from emotion_ros.perception.emotion.emotion_model import EmotionModel
from emotion_ros.serving import schemas as api_schemas

TOKEN = "a-token-of-more-than-16-characters"


def without_ids(results):
    """Results without random ids and without sources, which are paths for `detect`."""
    for each in results:
        each.pop("source")
        for person in each["people"]:
            person.pop("id")
    return results


def test_detect_returns_the_results_of_the_command_line(client, portrait, command_line, tmp_path):
    path = tmp_path / "portrait.png"
    path.write_bytes(encoded(portrait))
    lines = [json.loads(line) for line in command_line("detect", path, "--json").stdout.splitlines()]
    body = client.post("/v1/detect", content=path.read_bytes(), headers={"Content-Type": "image/png"}).json()
    parts = client.post("/v1/detect", files=[("images", ("a.png", path.read_bytes()))] * 2).json()
    assert [each["source"] for each in parts["results"]] == ["a.png", "a.png"]
    assert body["results"][0]["people"][0]["label"] == "happy"
    expected = without_ids(lines)
    assert without_ids(body["results"]) == expected
    assert without_ids(parts["results"]) == expected * 2


def test_annotated_returns_the_drawn_picture(client, portrait):
    answer = client.post("/v1/detect?annotated=true", content=encoded(portrait))
    assert answer.headers["content-type"] == "image/jpeg"
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == portrait.shape
    assert np.abs(picture.astype(int) - portrait).max() > 100


def test_crops_are_classified_without_detection(client, portrait):
    classifier = EmotionModel(PipelineConfig()).classifier
    crops = [portrait[100:230, 205:335], portrait[300:400, 100:200]]
    answer = client.post("/v1/classify", files=[("images", (f"{n}", encoded(crop))) for n, crop in enumerate(crops)])
    expected = classifier.classify(crops)
    for each, row in zip(answer.json()["results"], expected, strict=True):
        assert each["label"] == classifier.metadata.labels[int(row.argmax())]
        assert [*each["probabilities"].values()] == pytest.approx(row.tolist(), abs=1e-3)


def test_models_health_and_metrics_are_reported(client):
    models = client.get("/v1/models").json()
    assert models["model"].startswith("emotion_resnet18")
    assert models["region"] == "face"
    assert {"emotion_resnet18", "emotion_faces"} <= {each["name"] for each in models["catalog"] if each["downloaded"]}
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}
    client.get("/nowhere-at-all")
    figures = client.get("/metrics").text
    assert 'emotion_ros_requests_total{path="/healthz",status="200"}' in figures
    assert "nowhere" not in figures  # unknown paths create no new metrics
    assert 'path="other",status="404"' in figures


def test_answers_to_random_requests_match_the_openapi_description(server, tmp_path):
    """Random bytes are not images, so they are refused although their type is valid (the excluded check)."""
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


def test_requests_from_other_web_sites_or_to_other_hosts_are_refused(client):
    assert client.get("/v1/models", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/v1/models", headers={"Origin": "null"}).status_code == 403
    assert client.get("/v1/models", headers={"Origin": "http://[oops"}).status_code == 403
    assert client.get("/v1/models", headers={"Host": "rebound.example"}).status_code == 403
    answer = client.options(
        "/v1/detect", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert "access-control-allow-origin" not in answer.headers


def test_concurrent_requests_are_batched_and_get_the_same_results_as_alone(client, portrait):
    picture = encoded(portrait, ".jpg")
    alone = without_ids(client.post("/v1/detect", content=picture).json()["results"])
    before = batches(client)
    with concurrent.futures.ThreadPoolExecutor(16) as callers:
        answers = [*callers.map(lambda _: client.post("/v1/detect", content=picture), range(64))]
    assert {each.status_code for each in answers} == {200}
    assert all(without_ids(each.json()["results"]) == alone for each in answers)
    assert batches(client) - before < 64


def batches(client):
    """Number of batches so far."""
    return float(re.search(r"^emotion_ros_batch_images_count (\S+)", client.get("/metrics").text, re.M)[1])


def test_requests_beyond_the_queue_size_get_retry_after(portrait):
    picture = encoded(portrait, ".jpg")
    with serving("--max-queue-size", "2", "--max-batch-size", "1") as server, server.client() as client:
        with concurrent.futures.ThreadPoolExecutor(12) as callers:
            answers = [*callers.map(lambda _: client.post("/v1/detect", content=picture), range(36))]
        codes = [each.status_code for each in answers]
        assert set(codes) == {200, 429}
        assert all(int(each.headers["retry-after"]) >= 1 for each in answers if each.status_code == 429)
        assert client.post("/v1/detect", content=picture).status_code == 200


def test_an_address_that_others_reach_needs_a_token(command_line):
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


@pytest.mark.parametrize(("content", "message"), [(None, "No such file"), ("short", "16 ASCII characters")])
def test_an_unusable_token_file_gives_a_one_line_error(command_line, tmp_path, content, message):
    file = tmp_path / "token"
    if content:
        file.write_text(content)
    refused = command_line("serve", "--token-file", file, "--port", "0")
    assert refused.returncode == 2
    assert message in refused.stderr.splitlines()[-1]


def test_a_port_in_use_gives_a_one_line_error(server, command_line):
    refused = command_line("serve", "--port", server.url.rpartition(":")[2])
    assert refused.returncode == 2
    assert "choose another --port" in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr


def test_every_open_request_is_answered_after_sigterm(portrait):
    """The server awaits the bodies of eight requests when it is stopped. It accepts no further connection."""
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
