"""Measure how many images of a camera driver with default DDS settings the detector gets: foreign_camera.py [SECONDS].

The driver is a process of its own, with a plain rclpy publisher and without environment variables of this package. It
publishes rgb8 at 30 Hz and a camera_info per image. The detector is started as by `ros2 run`. Prints a table, with what
the detector's diagnostics say where images are lost. Run it with scripts/in-workspace.

foreign_camera.py driver WIDTH HEIGHT RELIABILITY SECONDS is that driver; it begins when the detector has subscribed.
"""

import os
import subprocess
import sys
import time
from array import array

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from emotion_ros.msg import EmotionArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from emotion_ros.nodes.graph import Process, stop

DOMAIN_ID = "96"
"""ROS domain of the measurement, separate from a robot's own graph."""

SIZES = ((640, 480), (1280, 720), (1920, 1080))
RATE_HZ = 30.0

FOLLOW_S = 2.0
"""Time in which the detector follows the driver's reliability before images are counted."""

INHERITED = ("HOME", "PATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "PYTHONPATH", "ROS_DISTRO")
"""Environment variables that ROS itself needs."""


def main(seconds="10"):
    """Print received and published images for each size and reliability of the driver."""
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | {"ROS_DOMAIN_ID": DOMAIN_ID}
    os.environ["ROS_DOMAIN_ID"] = DOMAIN_ID
    print("| rgb8 | reliability of the driver | received | published | diagnostics |\n| --- | --- | --- | --- | --- |")
    for width, height in SIZES:
        for reliability in ("reliable", "best_effort"):
            received, published, text = measure(width, height, reliability, seconds, environment)
            print(f"| {width}×{height} | {reliability} | {received} | {published} | {text} |", flush=True)


def measure(width, height, reliability, seconds, environment):
    """Return the numbers of received and published images, and the last warning of the detector."""
    detector = subprocess.Popen(Process("detector", {"hands": False}).command(), env=environment)
    driver = [sys.executable, __file__, "driver", width, height, reliability, seconds]
    rclpy.init()
    node = rclpy.create_node("listener")
    statuses = []
    node.create_subscription(DiagnosticArray, "/diagnostics", lambda message: statuses.append(message.status[0]), 10)
    node.create_subscription(EmotionArray, "emotions", lambda _: None, 10)
    camera = subprocess.Popen([*map(str, driver)], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        while camera.poll() is None:
            rclpy.spin_once(node, timeout_sec=0.1)
        published = int(camera.stdout.read())
        warnings = [status.message for status in statuses if status.level == status.WARN and "lost" in status.message]
        received = next(pair.value for pair in statuses[-1].values if pair.key == "received")
        return int(received), published, warnings[-1] if warnings else ""
    finally:
        stop([camera, detector])
        node.destroy_node()
        rclpy.try_shutdown()


def drive(width, height, reliability, seconds):
    """Publish images, and print their number."""
    rclpy.init()
    node = rclpy.create_node("driver")
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability.upper()])
    images, infos = (
        node.create_publisher(Image, "image_raw", qos),
        node.create_publisher(CameraInfo, "camera_info", qos),
    )
    width, height = int(width), int(height)
    message = Image(
        height=height, width=width, encoding="rgb8", step=3 * width, data=array("B", bytes(3 * width * height))
    )
    info = CameraInfo(height=height, width=width)
    while not images.get_subscription_count():
        time.sleep(0.05)
    time.sleep(FOLLOW_S)
    start, published = time.monotonic(), 0
    while (now := time.monotonic() - start) < float(seconds):
        if now * RATE_HZ < published:
            time.sleep(0.002)
            continue
        message.header.stamp = info.header.stamp = node.get_clock().now().to_msg()
        images.publish(message)
        infos.publish(info)
        published += 1
    time.sleep(1.5)  # the diagnostics after the last image
    print(published)


if __name__ == "__main__":
    drive(*sys.argv[2:]) if sys.argv[1:2] == ["driver"] else main(*sys.argv[1:])
