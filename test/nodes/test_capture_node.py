"""The capture node in a process of its own, called as a robot's operator would."""

import time

import cv2
from emotion_ros.srv import StartCapture
from std_srvs.srv import Trigger

from emotion_ros.io.dataset_writer import CAPTURES_CSV


def taken(folder):
    """Stored pictures, without a hidden one that is being written."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/[!.]*.jpg"))


def test_pictures_are_stored_between_start_and_stop_only(start, listener, tmp_path):
    out = tmp_path / "mine"
    start("image_source", source="sample", loop=True, rate=20.0)
    node = start("capture", out=str(out), every=0.05, require="face")
    assert listener.call(Trigger, "/capture/stop", Trigger.Request()).message == "nothing was being stored"
    time.sleep(1)
    assert not out.exists()
    answer = listener.call(StartCapture, "/capture/start", StartCapture.Request(label="happy", count=3))
    assert answer.success
    assert listener.until(lambda: len(taken(out)) == 3)
    time.sleep(0.5)
    assert taken(out) == ["happy/happy0001.jpg", "happy/happy0002.jpg", "happy/happy0003.jpg"]
    assert cv2.imread(str(out / "happy" / "happy0001.jpg")).shape == (480, 640, 3)
    listener.call(StartCapture, "/capture/start", StartCapture.Request(label="sad"))
    assert listener.until(lambda: len(taken(out)) >= 5)
    assert "happy 3" in listener.call(Trigger, "/capture/stop", Trigger.Request()).message
    time.sleep(0.3)
    count = len(taken(out))
    time.sleep(0.5)
    assert len(taken(out)) == count
    rows = (out / CAPTURES_CSV).read_text().splitlines()
    assert len(rows) == count + 1
    assert len({row.split(",")[3] for row in rows[1:]}) == 2
    assert node.poll() is None


def test_label_that_got_no_picture_leaves_no_class(start, listener, tmp_path):
    """It would be an empty class, which split refuses."""
    start("capture", out=str(tmp_path))
    for label in ("happy", "sad"):
        assert listener.call(StartCapture, "/capture/start", StartCapture.Request(label=label)).success
    assert [path.name for path in tmp_path.iterdir()] == ["sad"]
    listener.call(Trigger, "/capture/stop", Trigger.Request())
    assert not list(tmp_path.iterdir())


def test_label_that_cannot_be_a_folder_is_refused_and_the_node_lives(start, listener, tmp_path):
    node = start("capture", out=str(tmp_path / "mine"))
    for label in ("", "../x", "a/b"):
        answer = listener.call(StartCapture, "/capture/start", StartCapture.Request(label=label))
        assert not answer.success
        assert "expected a name that can be a folder" in answer.message
    assert node.poll() is None
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_written_is_one_clear_answer(start, listener, tmp_path):
    (tmp_path / "file").touch()
    start("capture", out=str(tmp_path / "file"))
    answer = listener.call(StartCapture, "/capture/start", StartCapture.Request(label="happy"))
    assert not answer.success
    assert "can be written" in answer.message


def test_missing_folder_is_wrong_use(start):
    node = start("capture")
    _, errors = node.communicate(timeout=30)
    assert node.returncode == 1
    assert "parameter out" in errors


def test_unknown_requirement_is_wrong_use(start, tmp_path):
    node = start("capture", out=str(tmp_path / "mine"), require="sharp,tail")
    _, errors = node.communicate(timeout=30)
    assert node.returncode == 1
    assert "expected sharp, face, hand, got tail" in errors
