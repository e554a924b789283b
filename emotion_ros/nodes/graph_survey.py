"""A look at the ROS graph from outside: who publishes images, how many arrive, and what the detector reports."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from emotion_ros.nodes.camera_info import camera_info_topic
from emotion_ros.nodes.dds_settings import CAMERA_PROFILE, profile_variables, remedy
from emotion_ros.nodes.qos import all_reliable, image_subscription

DISCOVERY_S = 3.0
"""Time in which publishers on the network are discovered. Discovery takes some hundred milliseconds on one machine."""

IMAGE_TYPES: Mapping[str, type[Any]] = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
}
"""Type of a topic to its message class."""


@dataclass(frozen=True)
class ImageTopic:
    """A topic with publishers of images.

    Attributes:
        name: resolved.
        type: such as ``sensor_msgs/msg/Image``.
        publishers: nodes, such as ``/camera``.
        is_reliable: every publisher is reliable.
        rate: images per second that arrived.
        info_rate: messages per second that arrived on the camera_info topic beside it; 0 if there is none.
    """

    name: str
    type: str
    publishers: tuple[str, ...]
    is_reliable: bool
    rate: float
    info_rate: float


@dataclass(frozen=True)
class Survey:
    """The ROS graph at one time.

    Attributes:
        rmw: implementation of the middleware, such as ``rmw_fastrtps_cpp``.
        lost_images_remedy: what to do if images are lost between two processes.
        topics: with images, except those that detectors publish.
        detectors: name of the status of each detector to its level (0 OK, 1 WARN, 2 ERROR, 3 STALE) and message.
    """

    rmw: str
    lost_images_remedy: str
    topics: tuple[ImageTopic, ...]
    detectors: Mapping[str, tuple[int, str]]


def survey(seconds: float) -> Survey:
    """Look at the ROS graph with the settings that the detector uses.

    Args:
        seconds: time in which messages are counted, after the discovery.
    """
    os.environ.update(profile_variables(CAMERA_PROFILE))
    with _node() as node:
        counts: Counter[str] = Counter()
        detectors: dict[str, tuple[int, str]] = {}

        def on_diagnostics(message: DiagnosticArray) -> None:
            for status in message.status:
                if "/emotion_ros" in status.name:
                    detectors[status.name] = _level(status), status.message

        node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
        _spin(node, DISCOVERY_S)
        found = dict(_image_topics(node))
        for name, type_ in found.items():
            _count(node, IMAGE_TYPES[type_], name, counts)
        for topic in {camera_info_topic(name) for name in found}:  # raw and compressed images share it
            _count(node, CameraInfo, topic, counts)
        if found:
            _spin(node, DISCOVERY_S)  # a subscription receives nothing until its publisher has discovered it
        counts.clear()
        start = time.monotonic()
        _spin(node, seconds)
        elapsed = time.monotonic() - start
        topics = tuple(_image_topic(node, name, type_, counts, elapsed) for name, type_ in found.items())
        rmw = rclpy.get_rmw_implementation_identifier()
        return Survey(rmw, remedy(rmw), topics, detectors)


@contextmanager
def _node() -> Iterator[Node]:
    rclpy.init()
    node = rclpy.create_node(f"emotion_ros_doctor_{os.getpid()}")
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def _spin(node: Node, seconds: float) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        executor.spin_once(timeout_sec=left)
    executor.remove_node(node)


def _image_topics(node: Node) -> Iterator[tuple[str, str]]:
    """Yield name and type of the topics on which images are published, except by a detector."""
    for name, types in node.get_topic_names_and_types():
        type_ = next((type_ for type_ in types if type_ in IMAGE_TYPES), None)
        if type_ and not name.endswith(("annotated", "annotated/compressed")) and node.count_publishers(name):
            yield name, type_


def _count(node: Node, type_: type[Any], topic: str, counts: Counter[str]) -> None:
    """Subscribe to a topic and count its messages."""
    qos: QoSProfile = image_subscription("reliable" if _is_reliable(node, topic) else "best_effort")
    # raw: counting needs no conversion to Python, which takes milliseconds for a large image.
    node.create_subscription(type_, topic, lambda _: counts.update([topic]), qos, raw=True)


def _is_reliable(node: Node, topic: str) -> bool:
    return all_reliable(node.get_publishers_info_by_topic(topic))


def _image_topic(node: Node, name: str, type_: str, counts: Counter[str], elapsed: float) -> ImageTopic:
    infos = node.get_publishers_info_by_topic(name)
    publishers = tuple(f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in infos)
    rates = (counts[topic] / elapsed for topic in (name, camera_info_topic(name)))
    return ImageTopic(name, type_, publishers, _is_reliable(node, name), *rates)


def _level(status: DiagnosticStatus) -> int:
    return status.level[0] if isinstance(status.level, bytes) else int(status.level)
