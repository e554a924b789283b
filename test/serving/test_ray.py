"""Scale-out on a Ray of this machine: its own processes, two pipelines, one of which is killed."""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from serve_process import encoded, serving

from emotion_ros.inference.catalog import find_model

pytest.importorskip("ray", reason="ray is missing: pip install 'ray[serve,data]'")


def replicas():
    """Processes of Ray Serve that have a pipeline."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"ray::ServeReplica:emotion_ros:pipeline" in each.read_bytes():
                found.append(int(each.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.timeout(300)
def test_a_pipeline_is_killed_under_load_and_no_request_is_lost(portrait):
    """Each gets an answer, or is told when to come back; another pipeline takes the place of the dead one."""
    picture = encoded(portrait, ".jpg")
    with serving("--engine", "ray", "--min-replicas", "2", "--max-replicas", "2") as server, server.client() as client:
        first = client.post("/v1/detect", content=picture)
        assert first.json()["results"][0]["people"][0]["label"] == "happy"
        before = replicas()
        assert len(before) == 2
        crops = client.post("/v1/classify", files=[("images", ("a", encoded(portrait[112:227, 305:415])))] * 3)
        assert [each["label"] for each in crops.json()["results"]] == ["happy"] * 3
        with concurrent.futures.ThreadPoolExecutor(8) as callers:
            asked = [callers.submit(client.post, "/v1/detect", content=picture) for _ in range(160)]
            time.sleep(0.5)
            os.kill(before[0], signal.SIGKILL)
            answers = [each.result() for each in asked]
        codes = [each.status_code for each in answers]
        assert set(codes) <= {200, 429}
        assert all("retry-after" in each.headers for each in answers if each.status_code == 429)
        assert codes.count(200) > 140
        until = time.monotonic() + 60
        while len(set(replicas()) - {before[0]}) < 2 and time.monotonic() < until:
            time.sleep(0.5)
        assert len(replicas()) == 2
        assert client.post("/v1/detect", content=picture).status_code == 200
        images = float(re.search(r"^emotion_ros_batch_images_sum (\S+)", client.get("/metrics").text, re.M)[1])
        assert codes.count(200) <= images <= len(codes) + 16  # each run is counted once; some had images judged twice
        assert client.get("/readyz").status_code == 200
    until = time.monotonic() + 20
    while replicas() and time.monotonic() < until:
        time.sleep(0.2)
    assert replicas() == []


def without_ids(text):
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        for named in (*line["people"], *line.get("events", ())):
            named.pop("id")
    return lines


@pytest.mark.timeout(300)
def test_folders_and_videos_give_the_same_as_without_ray_and_are_not_perceived_twice(command_line, portrait, tmp_path):
    folder, video, out = tmp_path / "folder", tmp_path / "clip.avi", tmp_path / "out"
    folder.mkdir()
    for number in range(40):
        cv2.imwrite(str(folder / f"{number:02}.png"), np.roll(portrait, number, 1)[:240, 100:420])
    (folder / "broken.jpg").write_bytes(b"none")
    (folder / "folder.jpg").mkdir()
    (folder / "dangling.jpg").symlink_to(folder / "none.jpg")
    os.mkfifo(folder / "pipe.jpg")
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (640, 480))
    for _ in range(6):
        writer.write(portrait)
    writer.release()
    command = ["detect", folder, video, "--json", "--no-hands"]
    alone = command_line(*command)
    spread = command_line(*command, "--engine", "ray", "--out", out, timeout=200)
    assert alone.returncode == spread.returncode == 1
    assert len(without_ids(alone.stdout)) == 46
    assert without_ids(spread.stdout) == without_ids(alone.stdout)
    for name in ("broken.jpg", "folder.jpg", "dangling.jpg", "pipe.jpg"):
        reason = "expected a picture" if name == "broken.jpg" else "not a picture"
        assert f"{name}: {reason}" in alone.stderr
        assert f"{name}: {reason}" in spread.stderr
    parts = sorted(out.glob("*.json"))
    assert len(parts) == 3
    parts[0].unlink()
    kept = [(each, each.stat().st_mtime_ns) for each in parts[1:]]
    again = command_line(*command, "--engine", "ray", "--out", out, timeout=200)
    assert without_ids(again.stdout) == without_ids(alone.stdout)
    assert [(each, each.stat().st_mtime_ns) for each in parts[1:]] == kept
    kept = [(each, each.stat().st_mtime_ns) for each in parts]
    assert command_line(*command, "--engine", "ray", "--out", out).stdout == again.stdout
    assert [(each, each.stat().st_mtime_ns) for each in parts] == kept


@pytest.mark.timeout(300)
def test_kept_results_are_not_used_for_another_model_at_the_same_path(command_line, portrait, tmp_path):
    photo, model, out = tmp_path / "photo.png", tmp_path / "model.onnx", tmp_path / "out"
    cv2.imwrite(str(photo), portrait)
    command = ["detect", photo, "--json", "--no-hands", "--model", model]
    for name in ("emotion_resnet18", "emotion_resnet18_int8"):
        shutil.copy(find_model(name), model)
        result = command_line(*command, "--engine", "ray", "--out", out, timeout=200)
        assert result.returncode == 0, result.stderr
    assert without_ids(result.stdout) == without_ids(command_line(*command).stdout)


def test_wrong_use_of_ray_is_one_line(command_line, tmp_path):
    for arguments, message in (
        (["detect", "sample", "--engine", "ray"], "expected --out FOLDER"),
        (["detect", "sample", "--engine", "ray", "--out", tmp_path], "expected pictures, folders, videos or bags"),
        (["detect", tmp_path / "none", "--engine", "ray", "--out", tmp_path], "found nothing there"),
        (["serve", "--engine", "ray", "--ray", "127.0.0.1:1", "--port", "0"], "expected a cluster at 127.0.0.1:1"),
    ):
        refused = command_line(*arguments)
        assert refused.returncode in (1, 2)
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr
