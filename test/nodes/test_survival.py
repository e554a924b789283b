"""The nodes survive processes that are killed, cameras that misbehave, files that vanish and clocks that jump."""

import os
import shutil
import signal
import subprocess
import sys
import time
from array import array
from pathlib import Path

import cv2
import numpy as np
import pytest
from emotion_ros.msg import EmotionArray
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ImageError
from emotion_ros.inference.catalog import default_model
from emotion_ros.io.encodings import ENCODINGS, decode, to_bgr
from emotion_ros.nodes.image_conversion import to_jpeg, to_message
from emotion_ros.nodes.shared_memory import MIN_AGE_S, SHARED_MEMORY, remove_stale_segments
from emotion_ros.perception.pipeline import Pipeline


def header(seconds):
    made = Header(frame_id="camera")
    made.stamp.sec, made.stamp.nanosec = int(seconds), int(seconds % 1 * 1e9)
    return made


@pytest.fixture
def camera(listener):
    """A function that publishes images to the detector until it answers them with ``count`` messages.

    Late answers to images that were published before do not count, if their headers differ.
    """
    publisher = listener.node.create_publisher(Image, "image_raw", 5)
    heard = listener.hear(EmotionArray, "emotions", depth=200)

    def publish(messages, count, seconds=60):
        assert listener.until(publisher.get_subscription_count), "the detector did not come up"
        before, deadline, number = len(heard), time.monotonic() + seconds, 0
        headers = [message.header for message in messages]

        def answers():
            return [each for each in heard[before:] if each.header in headers]

        while len(answers()) < count and time.monotonic() < deadline:
            publisher.publish(messages[number % len(messages)])
            number += 1
            listener.until(lambda: len(answers()) >= count, 0.1)
        return answers()

    return publish


@pytest.mark.parametrize("order", [("source", "detector"), ("detector", "source"), ("detector", "detector")])
def test_images_flow_again_after_processes_are_killed_in_any_order(listener, start, order):
    begin = {
        "source": lambda: start("image_source", source="sample", loop=True, rate=10.0),
        "detector": lambda: start("detector", hands=False),
    }
    running = {name: run() for name, run in begin.items()}
    heard = listener.hear(EmotionArray, "emotions")
    assert listener.until(lambda: len(heard) > 3)
    for name in order:
        running[name].send_signal(signal.SIGKILL)
        running[name].wait()
        listener.until(lambda: False, 0.3)
        running[name] = begin[name]()
        heard.clear()
        assert listener.until(lambda: len(heard) > 3 and heard[-1].emotions), f"silent after {name} was killed"


def test_shared_memory_of_killed_processes_is_freed_by_the_next_to_start(listener, start):
    def segments():
        return {path.name for path in SHARED_MEMORY.glob("fastdds_????????????????")}

    before = segments()
    killed = start("image_source", source="sample", loop=True, rate=5.0)
    heard = listener.hear(Image, "image_raw")
    assert listener.until(lambda: heard)
    mapped = Path(f"/proc/{killed.pid}/maps").read_text()
    left = {name for name in segments() - before if name in mapped}  # others may run nodes at the same time
    killed.kill()
    killed.wait()
    assert left <= segments()
    time.sleep(MIN_AGE_S)
    start("image_source", source="sample", loop=True, rate=5.0)
    heard.clear()
    assert listener.until(lambda: heard)
    assert left
    assert listener.until(lambda: not left & segments()), "the memory of a killed process was not freed"
    heard.clear()
    assert listener.until(lambda: len(heard) > 5), "the memory of a living process was freed"


def test_pipe_and_link_with_the_name_of_a_lock_are_left_alone(tmp_path):
    """Anybody may make them in /dev/shm. Opening a pipe waits for a writer: no node would start."""
    stale, pipe, link = (tmp_path / f"fastdds_{number:016}" for number in range(3))
    for segment in (stale, pipe, link):
        segment.write_bytes(bytes(1000))
    Path(f"{stale}_el").touch()
    os.mkfifo(f"{pipe}_el")
    Path(f"{link}_el").symlink_to(f"{stale}_el")
    old = time.time() - 2 * MIN_AGE_S
    for lock in tmp_path.glob("*_el"):
        os.utime(lock, (old, old), follow_symlinks=False)
    begin = time.monotonic()
    assert remove_stale_segments(tmp_path) == 1000
    assert time.monotonic() - begin < 1
    assert not stale.exists()
    assert pipe.exists()
    assert link.exists()


SUBSCRIBER = """
import sys, time, rclpy
from emotion_ros.msg import EmotionArray
rclpy.init()
node = rclpy.create_node("slow")
def heard(message):
    print("heard", flush=True)
    time.sleep(float(sys.argv[1]))
node.create_subscription(EmotionArray, "emotions", heard, 1)
rclpy.spin(node)
"""


def rate(listener, heard, seconds=4.0):
    heard.clear()
    listener.until(lambda: False, seconds)
    return len(heard) / seconds


def test_slow_and_killed_subscribers_do_not_slow_the_detector(listener, start):
    start("detector", hands=False)
    start("image_source", source="sample", loop=True, rate=5.0)
    heard = listener.hear(EmotionArray, "emotions", depth=200)
    assert listener.until(lambda: len(heard) > 5)
    alone = rate(listener, heard)

    def best_rate():  # other work on the machine slows single windows down
        return max(rate(listener, heard) for _ in range(2))

    slow = subprocess.Popen([sys.executable, "-c", SUBSCRIBER, "2"], stdout=subprocess.PIPE, text=True)
    try:
        assert "heard" in slow.stdout.readline()
        beside = best_rate()
    finally:
        slow.kill()
        slow.communicate()
    after = best_rate()
    assert min(beside, after) > 0.8 * alone > 0


def test_camera_changes_size_and_encoding_stalls_and_jumps_back_in_time(listener, camera, start, portrait):
    start("detector", hands=False)
    small = cv2.resize(portrait, (320, 240))
    rgb = to_message(cv2.cvtColor(portrait, cv2.COLOR_BGR2RGB), header(101.0))
    rgb.encoding = "rgb8"
    grey = cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)
    mono = Image(
        header=header(102.0), encoding="mono8", height=480, width=640, step=640, data=array("B", grey.tobytes())
    )
    for message, size in (
        (to_message(portrait, header(100.0)), (640, 480)),
        (rgb, (640, 480)),
        (mono, (640, 480)),
        (to_message(small, header(103.0)), (320, 240)),
        (to_message(portrait, header(5.0)), (640, 480)),
        (to_message(portrait, header(1.9e9)), (640, 480)),
    ):
        answers = camera([message], 2)
        assert len(answers) == 2
        assert {(each.width, each.height) for each in answers[1:]} == {size}
        assert answers[-1].header == message.header
        assert [each.label for each in answers[-1].emotions] == ["happy"]
    listener.until(lambda: False, 3)
    assert camera([to_message(portrait, header(200.0))], 1)


def test_model_file_may_vanish_under_a_running_node(camera, start, portrait, tmp_path):
    model = tmp_path / "model.onnx"
    shutil.copy(default_model(), model)
    start("detector", hands=False, model=str(model))
    message = to_message(portrait, header(1.0))
    assert camera([message], 1)
    model.unlink()
    assert [each.label for each in camera([message], 2)[-1].emotions] == ["happy"]


def test_simulated_time_stands_still_jumps_and_goes_back(listener, camera, start, portrait):
    start("detector", hands=False, use_sim_time=True)
    clock = listener.node.create_publisher(Clock, "/clock", 10)
    message = to_message(portrait, header(50.0))
    assert camera([message], 2)
    for seconds in (50, 5000, 10):
        tick = Clock()
        tick.clock.sec = seconds
        for _ in range(5):
            clock.publish(tick)
            listener.until(lambda: False, 0.05)
        assert len(camera([message], 2)) == 2


def test_sixty_four_faces_in_one_image(camera, start, portrait):
    start("detector", hands=False)
    crowd = np.ascontiguousarray(np.tile(cv2.resize(portrait[75:215, 285:425], (120, 120)), (8, 8, 1)))
    answers = []
    for stamp in (1.0, 1.1, 1.2):
        answers += camera([to_message(crowd, header(stamp))], 1)
    first, *later = answers
    ids = {person.id for person in first.emotions}
    assert len(first.emotions) == len(ids) == 64
    assert [{person.id for person in each.emotions} for each in later] == [ids] * len(later)
    assert {person.label for person in first.emotions} == {"happy"}
    boxes = {(round(each.face.x_offset / 120), round(each.face.y_offset / 120)) for each in first.emotions}
    assert len(boxes) == 64  # each in its own place of the picture


def mutated(random):
    """An image message with some fields as they should not be."""
    height, width = (int(each) for each in random.integers(0, 40, 2))
    encoding = str(random.choice([*ENCODINGS, "nv12", "", "32FC1", "bgr8", "hologram"]))
    step = int(random.choice([width, 2 * width, 3 * width, 4 * width, 0, 1, 2**32 - 1]))
    size = int(random.choice([height * step % 100_000, 3 * height * width, 0, int(random.integers(0, 6000))]))
    message = Image(encoding=encoding, is_bigendian=int(random.integers(0, 2)), step=step)
    message.height, message.width = (2**32 - 1, 2**32 - 1) if random.random() < 0.01 else (height, width)
    message.data = array("B", random.integers(0, 256, size, np.uint8).tobytes())
    return message


def mutated_jpeg(random, jpeg):
    data = bytearray(jpeg)
    for position in random.integers(0, len(data), random.integers(0, 12)).tolist():
        data[position] = int(random.integers(0, 256))
    return CompressedImage(format="jpeg", data=array("B", bytes(data[: int(random.integers(0, len(data) + 1))])))


@pytest.mark.timeout(300)
def test_ten_thousand_random_and_mutated_images_are_read_or_refused(portrait):
    random = np.random.default_rng(11)
    small = cv2.resize(portrait, (64, 48))
    jpeg = bytes(to_jpeg(small, Header()).data)
    pipeline = Pipeline(PipelineConfig(hands=False))
    read = refused = 0
    for number in range(10_000):
        try:
            image = decode(mutated_jpeg(random, jpeg)) if number % 3 == 0 else to_bgr(mutated(random))
            pipeline.perceive(image, number / 30)
            read += 1
        except ImageError:
            refused += 1
    pipeline.close()
    assert read + refused == 10_000
    assert min(read, refused) > 1000


def test_node_survives_mutated_messages_on_its_topic(camera, start, portrait):
    random = np.random.default_rng(12)
    detector = start("detector", hands=False)
    good = to_message(portrait, header(1.0))
    assert camera([good], 1)
    assert camera([*(mutated(random) for _ in range(300)), good], 40, seconds=60)
    assert [each.label for each in camera([good], 3)[-1].emotions] == ["happy"]
    assert detector.poll() is None


def test_memory_of_one_huge_image_is_given_back(listener, camera, start, portrait):
    def megabytes():
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{detector.pid}/status").read_text().splitlines())
        return int(lines["RssAnon"].split()[0]) / 1024

    detector = start("detector", hands=False)
    small = to_message(portrait, header(1.0))
    assert camera([small], 3)
    before = megabytes()
    huge = Image(header=header(2.0), encoding="bgr8", height=6000, width=6000, step=18_000)
    huge.data = array("B", bytes(3 * 6000 * 6000))
    answers = camera([huge], 1, seconds=40)
    assert answers[0].width == 6000
    assert camera([small], 10, seconds=40)
    assert listener.until(lambda: megabytes() < before + 50), (before, megabytes())
    assert [each.label for each in camera([small], 2)[-1].emotions] == ["happy"]


def test_closed_pipeline_leaves_no_thread():
    before = set(os.listdir("/proc/self/task"))
    for _ in range(3):
        Pipeline(PipelineConfig()).close()
    assert len(set(os.listdir("/proc/self/task")) - before) <= 2
