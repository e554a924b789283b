"""What the ROS graph costs on this machine: image source, detector and a listener, each in a process of its own."""

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
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from emotion_ros.inference.timing import median_ms
from emotion_ros.io import encodings
from emotion_ros.msg import EmotionArray
from emotion_ros.nodes import image_conversion as images
from emotion_ros.nodes.graph import Process, end, environment
from emotion_ros.nodes.qos import PUBLISH, image_subscription
from emotion_ros.types import Image

DOMAIN = 97
"""Away from the robot's own graph."""

SECONDS = 10.0
WAIT = 30.0
"""Seconds until a listener gives up."""

SIZES = ((640, 480), (1280, 720), (1920, 1080))
RATE = 30.0

TOPICS: dict[str, tuple[type[Any], QoSProfile]] = {
    "image_raw": (ImageMessage, image_subscription("best_effort")),
    "emotions": (EmotionArray, PUBLISH),
}
"""What a listener can listen to, with the QoS that our own subscribers use."""


def decode(image: Image) -> dict[str, float]:
    """Median milliseconds from a message with this image to BGR, per encoding."""
    height, width = image.shape[:2]
    data = array("B", image.tobytes())
    raw = [ImageMessage(encoding=e, height=height, width=width, step=3 * width, data=data) for e in ("bgr8", "rgb8")]
    jpeg = CompressedImage(format="jpeg", data=array("B", cv2.imencode(".jpg", image)[1].tobytes()))
    figures = {f"{message.encoding}_ms": median_ms(partial(images.to_bgr, message)) for message in raw}
    return {**figures, "jpeg_ms": median_ms(partial(encodings.decode, jpeg))}


def graph(source: str, rate: float, seconds: float = SECONDS) -> dict[str, float]:
    """Image stamp to EmotionArray received in a third process, with the detector's defaults (faces and hands).

    Args:
        source: what the image source plays, over and over.
        rate: its images per second.
        seconds: for how long.

    Returns:
        ``published``, ``received``, ``dropped`` (number of images), ``p50_ms``, ``p95_ms``, and ``pipeline_p50_ms`` and
        ``pipeline_p95_ms`` of what the pipeline itself took for the last 300, as the detector's diagnostics say.
    """
    settings = {**environment(), "ROS_DOMAIN_ID": str(DOMAIN)}
    detector = Process("detector")
    return _measure("emotions", {"source": source, "rate": float(rate), "loop": True}, settings, [detector], seconds)


def transport(size: tuple[int, int], cured: bool) -> dict[str, float]:
    """The sample's images at 30 Hz from the image source to a listener, with or without config/fastdds.xml."""
    profile = environment() if cured else dict.fromkeys(environment())
    source = {"source": "sample", "rate": RATE, "loop": True, "width": size[0], "height": size[1]}
    return _measure("image_raw", source, {**profile, "ROS_DOMAIN_ID": str(DOMAIN)}, [])


def _measure(
    topic: str,
    source: Mapping[str, object],
    settings: Mapping[str, str | None],
    others: list[Process],
    seconds: float = SECONDS,
) -> dict[str, float]:
    surroundings = {name: value for name, value in {**os.environ, **settings}.items() if value is not None}
    nodes = [
        subprocess.Popen(process.command(), env=surroundings, start_new_session=True)
        for process in (*others, Process("image_source", source))
    ]
    code = f"from emotion_ros.nodes.graph_benchmark import listen; listen({topic!r}, {seconds})"
    try:
        heard = subprocess.run([sys.executable, "-c", code], env=surroundings, stdout=subprocess.PIPE, check=True)
    finally:
        end(nodes)
    return dict(json.loads(heard.stdout))


def listen(topic: str, seconds: float) -> None:
    """Count and time what arrives on a topic for so many seconds and print it as JSON.

    Every image comes with a camera_info of the same stamp, small and reliable: that is how many were published.
    """
    rclpy.init()
    node = rclpy.create_node("listener")
    published: set[int] = set()
    latencies: dict[int, float] = {}

    def on_message(message: Any) -> None:
        stamp = _nanoseconds(message)
        latencies[stamp] = (time.time_ns() - stamp) * 1e-6

    kind, qos = TOPICS[topic]
    node.create_subscription(kind, topic, on_message, qos)
    taken: dict[str, str] = {}
    node.create_subscription(
        DiagnosticArray,
        "/diagnostics",
        lambda array: taken.update((each.key, each.value) for status in array.status for each in status.values),
        10,
    )
    node.create_subscription(CameraInfo, "camera_info", lambda info: published.add(_nanoseconds(info)), 1000)
    executor = SingleThreadedExecutor()  # what rclpy.spin(node) makes
    executor.add_node(node)
    deadline = time.monotonic() + WAIT
    while len(latencies) < RATE:  # the first second warms up
        if time.monotonic() > deadline:
            sys.exit(f"benchmark: {len(latencies)} messages on {topic} within {WAIT} s; does its source play?")
        executor.spin_once(0.1)
    start = time.time_ns()
    while time.time_ns() < start + (seconds + 1) * 1e9:
        executor.spin_once(0.1)
    window = {stamp for stamp in published if start <= stamp < start + seconds * 1e9}
    spans = [latencies[stamp] for stamp in window if stamp in latencies]
    p50, p95 = np.percentile(spans, [50, 95]).tolist()
    figures = {"published": len(window), "received": len(spans), "dropped": len(window) - len(spans)}
    names = {"pipeline_p50_ms": "total (ms)", "pipeline_p95_ms": "total p95 (ms)"}
    alone = {name: float(taken[key]) for name, key in names.items() if key in taken}
    print(json.dumps({**figures, "p50_ms": p50, "p95_ms": p95, **alone}))
    rclpy.shutdown()


def _nanoseconds(message: Any) -> int:
    return int(message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec)
