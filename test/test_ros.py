"""Real nodes in real processes, on a domain of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from array import array

import pytest
import rclpy
from emotion_ros.msg import EmotionArray
from sensor_msgs.msg import Image

from emotion_ros.nodes.graph import Process, environment
from emotion_ros.nodes.images import to_message
from emotion_ros.nodes.qos import PUBLISH

DOMAIN = str(60 + os.getpid() % 40)
os.environ["ROS_DOMAIN_ID"] = DOMAIN
os.environ.update(environment())


def command_line(*arguments, timeout=60):
    code = "import sys; from emotion_ros.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False
    )


def spin_until(node, condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.05)
    return condition()


@pytest.fixture
def node():
    rclpy.init()
    made = rclpy.create_node("listener")
    yield made
    made.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def detector():
    process = subprocess.Popen(Process("detector", {"hands": False}).command(), stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()


def test_sample_goes_through_the_whole_graph(tmp_path):
    result = command_line("run", "--source", "sample", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in (tmp_path / "out" / "emotions.jsonl").read_text().splitlines()]
    people = [person["label"] for line in lines for person in line["people"]]
    assert len(lines) > 20
    assert people.count("happy") > 0.9 * len(people) > 0
    assert (tmp_path / "out" / "annotated.mp4").stat().st_size > 10_000
    assert "images" in result.stdout


def test_bad_images_cost_only_themselves_and_the_node_ends_cleanly(node, detector, portrait):
    images = node.create_publisher(Image, "image_raw", PUBLISH)
    heard = []
    node.create_subscription(EmotionArray, "emotions", heard.append, PUBLISH)
    assert spin_until(node, images.get_subscription_count, 20), "the detector did not come up"

    good = to_message(portrait, Image().header)
    good.header.frame_id, good.header.stamp.sec = "camera", 7
    flaws = [{"encoding": "hologram"}, {"step": 3}, {"data": array("B", b"123")}, {"width": 0}]
    for number, flaw in enumerate(flaws):
        bad = to_message(portrait, good.header)
        for name, value in flaw.items():
            setattr(bad, name, value)
        images.publish(bad)
        time.sleep(0.2)
        heard.clear()
        images.publish(good)
        assert spin_until(node, lambda: heard, 10), f"silent after bad image {number}"
    message = heard[-1]
    assert (message.header.frame_id, message.header.stamp.sec) == ("camera", 7)
    assert (message.width, message.height) == (640, 480)
    assert [each.label for each in message.emotions] == ["happy"]
    assert sum(message.emotions[0].probabilities) == pytest.approx(1, abs=1e-4)

    start = time.monotonic()
    detector.send_signal(signal.SIGTERM)
    assert detector.wait(5) == 0
    assert time.monotonic() - start < 2
    assert "hologram" in detector.stderr.read()


def test_source_that_does_not_exist_is_one_clear_line(tmp_path):
    result = command_line("run", "--source", tmp_path / "none.mp4", "--out", tmp_path)
    assert result.returncode == 1
    assert "expected a camera, a video, a picture or a folder" in result.stderr


def test_detect_reports_unreadable_pictures_and_goes_on(tmp_path, portrait):
    import cv2

    cv2.imwrite(str(tmp_path / "face.png"), portrait)
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    result = command_line("detect", tmp_path, "--json", "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "broken.jpg" in result.stderr
    (line,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert [person["label"] for person in line["people"]] == ["happy"]
    assert (tmp_path / "out" / "face.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["detect", "x.jpg", "--model", "none.onnx"], 1, "cannot read it"),
        (["detect", "x.jpg", "--provider", "cuda"], 1, "not in this ONNX Runtime"),
        (["detect", "x.jpg", "--confidence-floor", "7"], 2, "confidence_floor"),
        (["detect", "x.jpg", "--out", "/proc/none"], 1, "can be written to"),
        (["models", "fetch", "nothing"], 2, "expected one of"),
    ],
)
def test_wrong_use_is_one_clear_line(arguments, code, text):
    result = command_line(*arguments)
    assert result.returncode == code
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_man_is_happy_and_the_cartoon_is_nobody(shared):
    folder = shared("data/photos")
    result = command_line("detect", folder / "happy_man.jpg", folder / "no_human_face.jpg", "--json")
    man, cartoon = (json.loads(line) for line in result.stdout.splitlines())
    assert [person["label"] for person in man["people"]] == ["happy"]
    assert cartoon["people"] == cartoon["hands"] == []
