"""A camera of the detector: topic names, subscriptions and frames, in a node of the test's own."""

import os
import sys
import time
from pathlib import Path
from subprocess import PIPE, Popen

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from emotion_ros.msg import EmotionArray
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from emotion_ros.config import DetectorConfig
from emotion_ros.config.image_limit import MAX_IMAGE_PIXELS
from emotion_ros.errors import ConfigError
from emotion_ros.nodes.camera import Camera, check_topics
from emotion_ros.nodes.graph import Process, stop
from emotion_ros.nodes.image_conversion import to_message
from emotion_ros.nodes.reception import WINDOW_S

PICTURES = {"annotated", "annotated/compressed"}
OUTPUTS = {"emotions", "events", "detections", "markers", "label_info", "vision_info"} | PICTURES


@pytest.fixture
def make_node():
    """A function that creates a node with remappings."""
    nodes = []

    def make(*remappings):
        arguments = [part for rule in remappings for part in ("-r", rule)]
        rclpy.init(args=["--ros-args", *arguments] if arguments else [])
        nodes.append(rclpy.create_node("camera_test"))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def published(node):
    names = {name for name, _ in node.get_publisher_names_and_types_by_node(node.get_name(), node.get_namespace())}
    return names - {"/rosout", "/parameter_events"}


def header(seconds=7):
    made = Header(frame_id="camera")
    made.stamp.sec = seconds
    return made


def test_outputs_are_below_the_prefix_and_go_with_the_camera(make_node):
    node = make_node()
    left, only = Camera(node, "left/image_raw", "left/"), Camera(node, "image_raw", "")
    assert published(node) == {f"/left/{name}" for name in OUTPUTS} | {f"/{name}" for name in OUTPUTS}
    left.close()
    assert published(node) == {f"/{name}" for name in OUTPUTS}
    only.close()
    assert published(node) == set()


@pytest.mark.parametrize(
    ("topics", "remappings", "text"),
    [
        ([], [], "at least one topic"),
        (["no topic!"], [], "no topic!"),
        (["image_raw", "image_raw"], [], "both /image_raw"),
        (["image_raw", "/image_raw"], [], "both /image_raw"),
        (["left", "right"], ["left:=/eye/image", "right:=/eye/image"], "both /eye/image"),
        (["left", "/eye/image"], ["left:=/eye/image"], "both /eye/image"),
    ],
)
def test_topics_that_cannot_be_told_apart_are_refused(make_node, topics, remappings, text):
    with pytest.raises(ConfigError, match="image_topics") as error:
        check_topics(make_node(*remappings), topics)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("topic", "remappings"),
    [("/eye/image_raw/compressed", []), ("image_raw", ["image_raw:=/eye/image_raw/compressed"])],
)
def test_topic_of_compressed_images_is_refused_with_the_one_to_name(make_node, topic, remappings):
    with pytest.raises(ConfigError, match="name /eye/image_raw and set image_transport: compressed"):
        check_topics(make_node(*remappings), [topic])


def test_different_topics_are_accepted(make_node):
    check_topics(make_node("left:=/eye/image"), ["left", "right", "/image"])


def test_camera_is_subscribed_until_it_is_unsubscribed(make_node):
    node = make_node()
    camera = Camera(node, "eye/image_raw", "")
    assert not camera.is_subscribed
    camera.subscribe(DetectorConfig(), lambda *_: None)
    assert camera.subscription == "/eye/image_raw (reliable)"
    assert camera.is_subscribed
    assert "/camera_info" in published(node)  # beside the annotated images
    assert [node.count_subscribers(f"/eye/{name}") for name in ("image_raw", "camera_info")] == [1, 1]
    assert camera.describe_source() == "/eye/image_raw (0 publishers)"
    camera.unsubscribe()
    assert not camera.is_subscribed
    assert [node.count_subscribers(f"/eye/{name}") for name in ("image_raw", "camera_info")] == [0, 0]
    assert "/camera_info" not in published(node)


def test_subscription_that_fails_leaves_nothing(make_node, monkeypatch):
    node = make_node()
    camera = Camera(node, "eye/image_raw", "")
    with monkeypatch.context() as full:
        full.setattr(node, "create_publisher", lambda *_: (_ for _ in ()).throw(RuntimeError("no more publishers")))
        with pytest.raises(RuntimeError, match="no more publishers"):
            camera.subscribe(DetectorConfig(), lambda *_: None)
    assert not camera.is_subscribed
    assert node.count_subscribers("/eye/image_raw") == 0
    camera.subscribe(DetectorConfig(), lambda *_: None)
    assert camera.is_subscribed


def test_outputs_have_subscribers_only_while_somebody_subscribes(make_node):
    node = make_node()
    camera = Camera(node, "image_raw", "")
    assert not camera.has_subscribers
    subscription = node.create_subscription(EmotionArray, "emotions", lambda _: None, 5)
    assert camera.has_subscribers
    node.destroy_subscription(subscription)
    assert not camera.has_subscribers


def test_frame_has_stamp_and_intrinsics_of_its_messages(make_node, portrait):
    node = make_node()
    camera = Camera(node, "image_raw", "")
    received = []
    camera.subscribe(DetectorConfig(), lambda topic, message: received.append((topic, message)))
    images, infos = node.create_publisher(Image, "image_raw", 5), node.create_publisher(CameraInfo, "camera_info", 5)
    infos.publish(CameraInfo(width=640, height=480, k=[500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]))
    images.publish(to_message(portrait, header(7)))
    for _ in range(200):
        rclpy.spin_once(node, timeout_sec=0.05)
        if received and camera.intrinsics is not None:
            break
    ((topic, message),) = received
    frame = camera.to_frame(message, 7.0, MAX_IMAGE_PIXELS)
    assert (topic, frame.camera, frame.stamp) == ("image_raw", "image_raw", 7.0)
    assert np.array_equal(frame.image, portrait)
    assert (camera.intrinsics.fx, camera.intrinsics.fy, camera.intrinsics.cx) == (500.0, 510.0, 320.0)
    assert camera.to_frame(message, 12.5, MAX_IMAGE_PIXELS).stamp == 12.5


def test_uncalibrated_camera_has_no_intrinsics(make_node):
    node = make_node()
    camera = Camera(node, "image_raw", "")
    camera.subscribe(DetectorConfig(), lambda *_: None)
    infos = node.create_publisher(CameraInfo, "camera_info", 5)
    for _ in range(5):
        infos.publish(CameraInfo(width=640, height=480))
        rclpy.spin_once(node, timeout_sec=0.1)
    assert camera.intrinsics is None


def spin_until(node, camera, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        camera.follow_publishers()
        if condition():
            return True
        rclpy.spin_once(node, timeout_sec=0.05)
    return False


def test_subscription_is_reliable_while_all_publishers_are_and_follows_them(make_node):
    node = make_node()
    camera = Camera(node, "image_raw", "")
    camera.subscribe(DetectorConfig(), lambda *_: None)
    reliable = node.create_publisher(Image, "image_raw", 5)
    assert spin_until(node, camera, reliable.get_subscription_count)
    assert camera.subscription == "/image_raw (reliable)"
    best_effort = node.create_publisher(Image, "image_raw", qos_profile_sensor_data)
    assert spin_until(node, camera, lambda: camera.subscription == "/image_raw (best_effort)")
    assert spin_until(node, camera, lambda: reliable.get_subscription_count() and best_effort.get_subscription_count())
    node.destroy_publisher(best_effort)
    assert spin_until(node, camera, lambda: camera.subscription == "/image_raw (reliable)")
    node.destroy_publisher(reliable)
    assert not spin_until(node, camera, lambda: camera.subscription != "/image_raw (reliable)", 5)


@pytest.mark.parametrize("fixed", ["reliable", "best_effort"])
def test_fixed_reliability_does_not_follow_publishers(make_node, fixed):
    node = make_node()
    camera = Camera(node, "image_raw", "")
    camera.subscribe(DetectorConfig(reliability=fixed), lambda *_: None)
    other = 5 if fixed == "best_effort" else qos_profile_sensor_data
    node.create_publisher(Image, "image_raw", other)
    assert not spin_until(node, camera, lambda: camera.subscription != f"/image_raw ({fixed})", 5)


def test_compressed_images_are_taken_while_only_they_are_published(make_node):
    node = make_node("image_raw:=/eye/image", "image_raw/compressed:=/eye/image/compressed")
    camera = Camera(node, "image_raw", "")
    camera.subscribe(DetectorConfig(), lambda *_: None)
    node.create_publisher(CompressedImage, "/eye/image/compressed", 5)
    assert spin_until(node, camera, lambda: camera.subscription == "/eye/image/compressed (reliable)")
    assert node.count_subscribers("/eye/camera_info") == 1
    node.create_publisher(Image, "/eye/image", 5)
    assert spin_until(node, camera, lambda: camera.subscription == "/eye/image (reliable)")


def test_publishers_of_another_type_do_not_count(make_node):
    node = make_node()
    camera = Camera(node, "image_raw", "")
    camera.subscribe(DetectorConfig(image_transport="raw"), lambda *_: None)
    context = rclpy.Context()  # a topic has one type within a context
    rclpy.init(context=context)
    driver = rclpy.create_node("driver", context=context)
    driver.create_publisher(CompressedImage, "image_raw", 5)
    assert spin_until(node, camera, lambda: node.count_publishers("image_raw"))
    time.sleep(WINDOW_S)
    camera.follow_publishers()
    assert camera.describe_source() == "/image_raw (0 publishers)"
    assert camera.describe_loss() == ""
    driver.destroy_node()
    context.shutdown()


DRIVER = Path(__file__).resolve().parents[2] / "scripts" / "foreign_camera.py"
ROS_VARIABLES = ("HOME", "PATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "PYTHONPATH", "ROS_DOMAIN_ID")


@pytest.fixture
def measure():
    """Function that plays a driver with default DDS settings for 4 s.

    Returns the detector's diagnostics, the published images and the detector's log.
    """

    def play(reliability, **variables):
        plain = {name: os.environ[name] for name in ROS_VARIABLES if name in os.environ}
        command = [sys.executable, DRIVER, "driver", 640, 480, reliability, 4]
        rclpy.init()
        node = rclpy.create_node("listener")
        statuses = []
        node.create_subscription(DiagnosticArray, "/diagnostics", lambda array: statuses.append(array.status[0]), 50)
        node.create_subscription(EmotionArray, "emotions", lambda _: None, 10)
        detector = Popen(Process("detector", {"hands": False}).command(), env=plain | variables, stderr=PIPE, text=True)
        driver = Popen([str(each) for each in command], env=plain, stdout=PIPE, text=True)
        try:
            while driver.poll() is None:
                rclpy.spin_once(node, timeout_sec=0.1)
        finally:
            stop([driver, detector])
        return statuses, int(driver.stdout.read()), detector.stderr.read()

    yield play
    rclpy.try_shutdown()


def values(status):
    return {pair.key: pair.value for pair in status.values}


@pytest.mark.parametrize("reliability", ["reliable", "best_effort"])
def test_images_of_a_driver_with_default_dds_settings_arrive(measure, reliability):
    statuses, published, _ = measure(reliability)
    assert published > 60
    assert int(values(statuses[-1])["received"]) > 0.4 * published  # through shared memory 0.01 to 0.25


def test_lost_images_are_a_warning_with_a_cure_in_log_and_diagnostics(measure):
    statuses, published, log = measure("best_effort", FASTDDS_BUILTIN_TRANSPORTS="DEFAULT")
    assert int(values(statuses[-1])["received"]) < 0.7 * published
    warnings = [status.message for status in statuses if status.level == status.WARN and "were lost" in status.message]
    assert "unset FASTDDS_BUILTIN_TRANSPORTS; export FASTDDS_DEFAULT_PROFILES_FILE=" in warnings[0]
    assert log.count("were lost") == 1
