"""Load, memory and start-up time of the detector node in a running graph."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import rclpy
from emotion_ros.msg import EmotionArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from emotion_ros.nodes.graph import Process, environment, stop
from emotion_ros.nodes.image_source_node import SUBSCRIBER_TIMEOUT_S

DOMAIN_ID = "96"
"""ROS domain of the measurement, separate from the robot's own graph."""

SETTLING_TIME_S = 4.0
"""Time for nodes to start and connect before a measurement."""

DURATION_S = 10.0
FIRST_MESSAGE_TIMEOUT_S = 30.0
RATE_HZ = 30.0
BLANK_IMAGES = 60

SCENARIOS = {
    "one person": {},
    "one person, `hand_detector: mediapipe`": {"hand_detector": "mediapipe"},
    "one person, no hands": {"hands": False},
    "nobody in view": {"blank": True},
    "nobody in view, `idle_rate: 0`": {"blank": True, "idle_rate": 0.0},
    "no subscribers": {"subscribe": False},
    "three cameras, one person each": {"cameras": 3},
    "three cameras, one person each, no hands": {"cameras": 3, "hands": False},
}
"""Row of the table to arguments of :class:`DetectorGraph`; ``blank``: the images show no face."""


class DetectorGraph:
    """Image sources and the detector, each in a process of its own, and a subscriber in this process.

    Args:
        source: parameters of the image sources.
        cameras: number of image sources.
        subscribe: to the emotions of each camera.
        parameters: of the detector.
    """

    def __init__(self, source, cameras=1, subscribe=True, **parameters):
        self._environment = {**os.environ, **environment(), "ROS_DOMAIN_ID": DOMAIN_ID}
        os.environ["ROS_DOMAIN_ID"] = DOMAIN_ID
        rclpy.init()
        self._node = rclpy.create_node("listener")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        names = ["image_raw"] if cameras == 1 else [f"camera{index}/image_raw" for index in range(cameras)]
        self._counts = dict.fromkeys(names, 0)
        if subscribe:
            self._subscribe(names)
        self._sources = [self._spawn("image_source", remappings(name), **source) for name in names]
        self._wait_for_images(names)
        self._start = time.monotonic()
        self._detector = self._spawn("detector", [], image_topics=names, **parameters)

    def spin(self, seconds, until=lambda: False):
        """Receive messages for ``seconds``, or until a condition holds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
            self._executor.spin_once(0.05)

    def first_message_s(self):
        """Wait for the first message and return the seconds since the start of the detector's process."""
        self.spin(FIRST_MESSAGE_TIMEOUT_S, until=lambda: any(self._counts.values()))
        return time.monotonic() - self._start

    def load(self):
        """Return the detector's share of a core and its messages per second of each camera, over the next seconds."""
        start, start_cpu_s, start_counts = time.monotonic(), self._cpu_s(), dict(self._counts)
        self.spin(DURATION_S)
        elapsed = time.monotonic() - start
        rates = [(self._counts[name] - start_counts[name]) / elapsed for name in start_counts]
        return (self._cpu_s() - start_cpu_s) / elapsed, rates

    def memory_mb(self):
        """Return the resident memory of the detector in 10⁶ bytes."""
        pages = int(Path(f"/proc/{self._detector.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def close(self):
        """Stop all processes and the subscriber."""
        stop([self._detector, *self._sources])
        self._node.destroy_node()
        rclpy.shutdown()

    def _wait_for_images(self, names):
        """Wait until each image source delivers, as a camera does that runs already.

        Without subscribers the image source, other than a camera, waits.
        """
        delivered = set()
        subscriptions = [
            self._node.create_subscription(Image, name, lambda _, name=name: delivered.add(name), 1) for name in names
        ]
        self.spin(SETTLING_TIME_S, until=lambda: len(delivered) == len(names))
        for subscription in subscriptions:
            self._node.destroy_subscription(subscription)
        self.spin(SETTLING_TIME_S)

    def _subscribe(self, names):
        for name in names:
            topic = "emotions" if len(names) == 1 else f"{name.split('/')[0]}/emotions"
            self._node.create_subscription(EmotionArray, topic, lambda _, name=name: self._count(name), 10)

    def _count(self, name):
        self._counts[name] += 1

    def _spawn(self, executable, arguments, **parameters):
        command = [*Process(executable, parameters).command(), *arguments]
        return subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)

    def _cpu_s(self):
        """Return the processor time of the detector so far: user and system, fields 14 and 15 of proc(5)'s stat."""
        fields = Path(f"/proc/{self._detector.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def remappings(name):
    """Return the arguments that remap an image source to a camera's topics."""
    return ["-r", f"image_raw:={name}", "-r", f"camera_info:={Path(name).parent / 'camera_info'}"]


def measure():
    """Return the figures of each scenario."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(BLANK_IMAGES):
            cv2.imwrite(f"{folder}/{number}.png", np.full((480, 640, 3), 90, np.uint8))
        return {name: measure_scenario(folder, **scenario) for name, scenario in SCENARIOS.items()}


def measure_scenario(blank_folder, blank=False, **arguments):
    """Return ``first message s`` (with a subscriber), ``share of a core``, ``messages/s`` per camera and ``MB``."""
    source = {"source": blank_folder if blank else "sample", "loop": True, "rate": RATE_HZ}
    subscribe = arguments.get("subscribe", True)
    graph = DetectorGraph(source, **arguments)
    try:
        figures = {"first message s": graph.first_message_s()} if subscribe else {}
        graph.spin(SETTLING_TIME_S + (2 if subscribe else SUBSCRIBER_TIMEOUT_S))
        cores, rates = graph.load()
        return {**figures, "share of a core": cores, "messages/s": rates, "MB": graph.memory_mb()}
    finally:
        graph.close()


def table(figures):
    """Return a Markdown table with one row per scenario."""
    lines = [
        "",
        "| node, 640×480 at 30 Hz | share of a core | messages/s per camera | MB | first message, s |",
        "| --- |" + " --- |" * 4,
    ]
    return "\n".join([*lines, *(row(name, scenario) for name, scenario in figures.items())])


def row(name, scenario):
    """Return a scenario's row of the table."""
    first_message = f"{scenario['first message s']:.1f}" if "first message s" in scenario else ""
    rates = ", ".join(f"{rate:.1f}" for rate in scenario["messages/s"])
    return f"| {name} | {scenario['share of a core']:.3f} | {rates} | {scenario['MB']:.0f} | {first_message} |"
