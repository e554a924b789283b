import contextlib
import functools
import hashlib
import http.server
import itertools
import os
import socket
import threading
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotion_ros.errors import ModelError, OutputError, SourceError
from emotion_ros.inference import catalog
from emotion_ros.inference.catalog import Entry, fetch
from emotion_ros.io import pictures, sources
from emotion_ros.io.frames import is_camera
from emotion_ros.io.sources import frames


class FakeCamera:
    """Stands in for cv2.VideoCapture, as no camera is here: gives two images per opening, then is lost."""

    opened = 0
    absent = ()

    def __init__(self, source):
        type(self).opened += 1
        self.there = self.opened not in self.absent
        self.left = 2

    def isOpened(self):  # noqa: N802
        return self.there

    def set(self, *_):
        return True

    def read(self):
        self.left -= 1
        return (True, np.zeros((4, 4, 3), np.uint8)) if self.there and self.left >= 0 else (False, None)

    def release(self):
        pass


@pytest.fixture
def camera(monkeypatch):
    class Camera(FakeCamera):
        pass

    monkeypatch.setattr(sources.cv2, "VideoCapture", Camera)
    return Camera


def test_lost_camera_is_opened_again_with_growing_pauses(camera, monkeypatch):
    pauses = []
    monkeypatch.setattr(sources.time, "sleep", pauses.append)
    camera.absent = (2, 3)
    received = list(islice(frames("0"), 6))
    assert [frame.number for frame in received] == [0, 1, 2, 3, 4, 5]
    assert camera.opened == 5
    assert pauses == [0.5, 1.0, 2.0, 0.5]


def test_camera_that_is_not_there(camera):
    camera.absent = (1,)
    with pytest.raises(SourceError, match="plugged in"):
        next(frames("0"))


def test_video_ends_and_keeps_its_times(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for value in (10, 120, 240):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    received = list(frames(str(tmp_path / "a.avi")))
    assert [round(frame.time, 3) for frame in received] == [0.0, 0.1, 0.2]
    assert [round(float(frame.image.mean())) for frame in received] == pytest.approx([10, 120, 240], abs=3)


@pytest.mark.parametrize("name", ["none.mp4", "none.jpg", "none/"])
def test_source_that_does_not_exist(name, tmp_path):
    with pytest.raises(SourceError, match="found nothing there"):
        frames(str(tmp_path / name))


def test_empty_folder(tmp_path):
    with pytest.raises(SourceError, match="expected pictures"):
        list(frames(str(tmp_path)))


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and the rest of a file where that is asked for."""

    asked = []  # noqa: RUF012

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        path = Path(self.translate_path(self.path))
        if wanted is None or not path.is_file():
            return super().do_GET()
        content, begin = path.read_bytes(), int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if begin < len(content) else 416)
        self.send_header("Content-Length", str(max(len(content) - begin, 0)))
        self.end_headers()
        self.wfile.write(content[begin:])
        return None


@pytest.fixture
def server(tmp_path):
    """A real HTTP server on this machine; its folder and its address."""
    (tmp_path / "www").mkdir()
    handler = functools.partial(RangeHandler, directory=str(tmp_path / "www"))
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield tmp_path / "www", f"http://127.0.0.1:{running.server_port}"
    running.shutdown()


def entry(address, content):
    return Entry("m", "m.onnx", hashlib.sha256(content).hexdigest(), "MIT", f"{address}/m.onnx", len(content))


def test_model_is_fetched_and_checked(server, tmp_path):
    folder, address = server
    (folder / "m.onnx").write_bytes(b"weights")
    path = fetch(entry(address, b"weights"), tmp_path / "models")
    assert path.read_bytes() == b"weights"
    with pytest.raises(ModelError, match="expected sha256"):
        fetch(entry(address, b"another"), tmp_path / "others")
    assert not list((tmp_path / "others").iterdir())


@pytest.mark.parametrize("have", [3, 7])
def test_interrupted_download_goes_on(have, server, tmp_path):
    folder, address = server
    (folder / "m.onnx").write_bytes(b"weights")
    (tmp_path / "m.onnx.partial").write_bytes(b"weights"[:have])
    RangeHandler.asked.clear()
    assert fetch(entry(address, b"weights"), tmp_path).read_bytes() == b"weights"
    assert RangeHandler.asked == [f"bytes={have}-"]


@contextlib.contextmanager
def answering(header, blocks):
    """A server that answers every request with this header and these blocks, and closes the connection."""

    def serve(listening):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(10_000)
                    connection.sendall(header + b"\r\n\r\n")
                    for block in blocks:
                        connection.sendall(block)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_endless_download_ends_at_the_size_of_the_catalog(tmp_path):
    endless = answering(b"HTTP/1.1 200 OK", itertools.repeat(bytes(1 << 16)))
    with endless as address, pytest.raises(ModelError, match="expected 100000 bytes, got more; nothing was kept"):
        fetch(entry(address, bytes(100_000)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_wrong_length_of_a_download_is_not_believed(tmp_path):
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: abc", [b"weights"]) as address:
        assert fetch(entry(address, b"weights"), tmp_path).read_bytes() == b"weights"


@pytest.mark.parametrize("status", [b"200 OK", b"206 Partial Content"])
def test_download_that_ends_too_early_keeps_what_was_there(status, tmp_path):
    (tmp_path / "m.onnx.partial").write_bytes(b"weig")
    short, message = answering(b"HTTP/1.1 " + status, []), "expected 7 bytes, got 4; the same command resumes"
    with short as address, pytest.raises(ModelError, match=message):
        fetch(entry(address, b"weights"), tmp_path)
    assert (tmp_path / "m.onnx.partial").read_bytes() == b"weig"


def test_downloaded_models_are_verified(tmp_path, monkeypatch, command_line):
    monkeypatch.setenv("EMOTION_ROS_MODELS", str(tmp_path))
    result = command_line("models", "verify")
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("matches the catalog") == 7  # those that come with the package
    (tmp_path / "face_detection_yunet_2026may.onnx").write_bytes(b"half of it")
    result = command_line("models", "verify")
    assert result.returncode == 1
    assert "models fetch yunet_2026may" in result.stdout
    (tmp_path / "face_detection_yunet_2026may.onnx").unlink()
    listed = command_line("models", "list").stdout
    assert "not downloaded: https" in listed
    assert "emotion_resnet18_int8 (Apache-2.0)\n  here:" in listed


def test_model_that_cannot_be_fetched_or_kept(server, tmp_path):
    folder, address = server
    with pytest.raises(ModelError, match="curl -L"):
        fetch(entry(address, b""), tmp_path)
    with pytest.raises(ModelError, match="curl -L"):
        fetch(entry("http://127.0.0.1:9", b""), tmp_path)
    (folder / "m.onnx").write_bytes(b"weights")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="EMOTION_ROS_MODELS"):
        fetch(entry(address, b"weights"), tmp_path / "file")


def test_model_of_the_catalog_that_was_not_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTION_ROS_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="models fetch yunet_2026may"):
        catalog.find_model("yunet_2026may")
    (tmp_path / "face_detection_yunet_2026may.onnx").touch()
    assert catalog.find_model("yunet_2026may").parent == tmp_path
    with pytest.raises(ModelError, match="expected a model file"):
        catalog.find_model("nonsense")


@pytest.fixture
def odd_folder(tmp_path, portrait):
    """A folder of one picture and of entries that are only named like pictures."""
    folder = tmp_path / "odd"
    folder.mkdir()
    cv2.imwrite(str(folder / "m.png"), portrait)
    (folder / "folder.jpg").mkdir()
    (folder / "dangling.jpg").symlink_to(folder / "none.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "endless.jpg").symlink_to("/dev/zero")
    (folder / "locked.jpg").write_bytes(b"secret")
    (folder / "locked.jpg").chmod(0)
    return folder


def test_entries_that_are_no_pictures_cost_only_themselves(odd_folder):
    images = {Path(frame.source).name: frame.image is not None for frame in frames(str(odd_folder))}
    assert images == {
        "dangling.jpg": False,
        "endless.jpg": False,
        "folder.jpg": False,
        "locked.jpg": False,
        "m.png": True,
        "pipe.jpg": False,
    }


@pytest.mark.parametrize("name", ["pipe", "pipe.mp4", "pipe.mcap"])
def test_pipe_without_a_writer_is_an_error_and_does_not_hang(tmp_path, monkeypatch, name):
    monkeypatch.setattr(pictures, "PIPE_TIMEOUT_S", 0.2)
    os.mkfifo(tmp_path / name)
    with pytest.raises(SourceError, match="expected a picture"):
        list(frames(str(tmp_path / name)))


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_device_that_is_no_camera_is_an_error(device):
    assert not is_camera(device)
    with pytest.raises(SourceError, match="device of another kind"):
        list(frames(device))


def test_unplugged_video_device_is_still_a_camera():
    assert is_camera("/dev/video97")
    assert is_camera("0")
    assert not is_camera("/dev/stdin")
    assert not is_camera("video.mp4")


def test_user_without_a_home_uses_the_installed_models_and_is_told_how_to_download(monkeypatch):
    for name in ("HOME", "XDG_DATA_HOME", "EMOTION_ROS_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4242)  # a number that the user database does not have
    assert catalog.find_model("emotion_resnet18").is_file()
    with pytest.raises(ModelError, match="models fetch yunet_2026may"):
        catalog.find_model("yunet_2026may")
    with pytest.raises(OutputError, match="set EMOTION_ROS_MODELS"):
        catalog.writable_folder()
