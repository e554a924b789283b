"""Latency and loss of the ROS graph: image source, detector and listener, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from array import array
from collections.abc import Mapping
from functools import partial
from typing import Any

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from emotion_ros.inference.timing import median_ms
from emotion_ros.io import encodings
from emotion_ros.msg import EmotionArray
from emotion_ros.nodes import image_conversion as images
from emotion_ros.nodes.dds_settings import OWN_VARIABLES, SHARED_PROFILE, profile_path, profiles_variable
from emotion_ros.nodes.graph import Process, environment, stop
from emotion_ros.nodes.qos import PUBLISH, image_subscription
from emotion_ros.types import Image

DOMAIN_ID = 97
"""ROS domain of the benchmark, separate from the robot's own graph."""

DURATION_S = 10.0
"""Time over which messages are counted."""

FIRST_MESSAGES_TIMEOUT_S = 30.0
"""Time in which the first second of messages must arrive."""

LAST_MESSAGES_S = 1.0
"""Time after the measurement in which its last messages still arrive."""

SIZES = ((640, 480), (1280, 720), (1920, 1080))
"""Width and height of the images whose transport is measured, in pixels."""

RATE_HZ = 30.0

TOPICS: dict[str, tuple[type[Any], QoSProfile]] = {
    "image_raw": (ImageMessage, image_subscription("reliable")),
    "emotions": (EmotionArray, PUBLISH),
}
"""Topics that can be measured, with message type and the QoS that this package's subscribers use."""

PIPELINE_FIGURES = {"pipeline_p50_ms": "total (ms)", "pipeline_p95_ms": "total p95 (ms)"}
"""Figure to its key in the detector's diagnostics."""


def decode(image: Image) -> dict[str, float]:
    """Return the median time from a message to BGR per encoding: ``bgr8_ms``, ``rgb8_ms`` and ``jpeg_ms``.

    Args:
        image: BGR, uint8, h × w × 3.
    """
    height, width = image.shape[:2]
    data = array("B", image.tobytes())
    raw = [ImageMessage(encoding=e, height=height, width=width, step=3 * width, data=data) for e in ("bgr8", "rgb8")]
    jpeg = CompressedImage(format="jpeg", data=array("B", cv2.imencode(".jpg", image)[1].tobytes()))
    figures = {f"{message.encoding}_ms": median_ms(partial(images.to_bgr, message)) for message in raw}
    return {**figures, "jpeg_ms": median_ms(partial(encodings.decode, jpeg))}


def graph(source: str, rate: float, seconds: float = DURATION_S) -> dict[str, float]:
    """Measure from image stamp to EmotionArray received in a third process, with the detector's defaults.

    Args:
        source: what the image source plays in a loop.
        rate: its images per second.
        seconds: duration of the measurement.

    Returns:
        Numbers of images ``published``, ``received`` and ``dropped``; latencies ``p50_ms`` and ``p95_ms``; and
        ``pipeline_p50_ms`` and ``pipeline_p95_ms``, the pipeline's own share of the last 300 images, from the
        detector's diagnostics.
    """
    variables = {**environment(), "ROS_DOMAIN_ID": str(DOMAIN_ID)}
    parameters = {"source": source, "rate": float(rate), "loop": True}
    return _measure("emotions", parameters, variables, [Process("detector")], seconds)


def transport(size: tuple[int, int], use_profile: bool) -> dict[str, float]:
    """Measure the sample's images at 30 Hz from the image source to a listener.

    Args:
        size: width and height in pixels.
        use_profile: with config/fastdds.xml; else with the defaults of Fast DDS.

    Returns:
        As :func:`graph`, without the pipeline.
    """
    unset = dict.fromkeys(OWN_VARIABLES)
    profile = (
        {**unset, profiles_variable(): profile_path(SHARED_PROFILE)}
        if use_profile
        else {**unset, "FASTDDS_BUILTIN_TRANSPORTS": "DEFAULT"}
    )
    source = {"source": "sample", "rate": RATE_HZ, "loop": True, "width": size[0], "height": size[1]}
    return _measure("image_raw", source, {**profile, "ROS_DOMAIN_ID": str(DOMAIN_ID)}, [], DURATION_S)


def _measure(
    topic: str,
    source: Mapping[str, object],
    variables: Mapping[str, str | None],
    others: list[Process],
    seconds: float,
) -> dict[str, float]:
    """Run the graph with environment variables (None: removed) and return the figures of a listener process."""
    settings = {name: value for name, value in {**os.environ, **variables}.items() if value is not None}
    nodes = [
        subprocess.Popen(process.command(), env=settings, start_new_session=True)
        for process in (*others, Process("image_source", source))
    ]
    code = f"from emotion_ros.nodes.graph_benchmark import listen; listen({topic!r}, {seconds})"
    try:
        listener = subprocess.run([sys.executable, "-c", code], env=settings, stdout=subprocess.PIPE, check=True)
    finally:
        stop(nodes)
    return dict(json.loads(listener.stdout))


def listen(topic: str, seconds: float) -> None:
    """Measure a topic and print the figures as JSON. Runs in a process of its own."""
    rclpy.init()
    listener = _Listener(topic)
    executor = SingleThreadedExecutor()  # as rclpy.spin(node) creates it
    executor.add_node(listener)
    deadline = time.monotonic() + FIRST_MESSAGES_TIMEOUT_S
    while len(listener.latencies_ms) < RATE_HZ:  # the first second warms up
        if time.monotonic() > deadline:
            count = len(listener.latencies_ms)
            sys.exit(
                f"benchmark: expected {RATE_HZ:.0f} messages on {topic} within {FIRST_MESSAGES_TIMEOUT_S} s, "
                f"got {count}; check that its source plays"
            )
        executor.spin_once(0.1)
    start = time.time_ns()
    while time.time_ns() < start + (seconds + LAST_MESSAGES_S) * 1e9:
        executor.spin_once(0.1)
    print(json.dumps(listener.figures(start, start + int(seconds * 1e9))))
    rclpy.shutdown()


class _Listener(Node):
    """Records the latency of each message of a topic.

    The image source publishes a camera_info with the same stamp for each image. It is small and reliable, so that its
    count is the number of published images.
    """

    def __init__(self, topic: str) -> None:
        super().__init__("listener")
        self.latencies_ms: dict[int, float] = {}
        self._published: set[int] = set()
        self._diagnostics: dict[str, str] = {}
        type_, qos = TOPICS[topic]
        self.create_subscription(type_, topic, self._on_message, qos)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.create_subscription(CameraInfo, "camera_info", self._on_info, 1000)

    def figures(self, start: int, end: int) -> dict[str, float]:
        """Return counts and latencies of images with a stamp from ``start`` to ``end``, in system nanoseconds."""
        published = [stamp for stamp in self._published if start <= stamp < end]
        received = [self.latencies_ms[stamp] for stamp in published if stamp in self.latencies_ms]
        p50, p95 = np.percentile(received, [50, 95]).tolist()
        counts = {"published": len(published), "received": len(received), "dropped": len(published) - len(received)}
        pipeline = {
            name: float(self._diagnostics[key]) for name, key in PIPELINE_FIGURES.items() if key in self._diagnostics
        }
        return {**counts, "p50_ms": p50, "p95_ms": p95, **pipeline}

    def _on_message(self, message: Any) -> None:
        stamp = _nanoseconds(message)
        self.latencies_ms[stamp] = (time.time_ns() - stamp) * 1e-6

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._diagnostics.update((pair.key, pair.value) for status in message.status for pair in status.values)

    def _on_info(self, message: CameraInfo) -> None:
        self._published.add(_nanoseconds(message))


def _nanoseconds(message: Any) -> int:
    return int(message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec)
