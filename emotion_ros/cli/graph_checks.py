"""Checks of the running ROS graph for ``emotion-ros doctor``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_ros.cli.findings import ERROR, OK, WARNING, Finding

if TYPE_CHECKING:
    from emotion_ros.nodes.graph_survey import ImageTopic, Survey

MIN_ARRIVED_SHARE = 0.8
"""Images per camera_info below which images are lost: drivers publish both together."""

MIN_RECEIVE_BUFFER_BYTES = 2 << 20
"""Limit of UDP receive buffers for images in fragments, from ROS 2's guide "DDS tuning information" (2 MB and more)."""

RECEIVE_BUFFER = Path("/proc/sys/net/core/rmem_max")

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Variables with the XML file of Fast DDS; the second is for Humble."""

RANGE_VARIABLES = ("ROS_DOMAIN_ID", "ROS_LOCALHOST_ONLY", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_STATIC_PEERS")
"""Variables that decide which machines and processes see each other."""

LEVELS = {0: OK, 1: WARNING}
"""Level of a diagnostic status to that of a finding; the others are errors."""


def graph_findings(survey: Survey) -> Iterator[Finding]:
    """Yield the findings of all checks of this module."""
    yield from _middleware(survey.rmw)
    if not survey.topics:
        cure = "start the camera driver, or the detector with source:=0; compare ROS_DOMAIN_ID on both sides"
        yield Finding(WARNING, "cameras", "nobody publishes images", cure)
    for topic in survey.topics:
        yield _camera(topic, survey.rmw)
    if not survey.detectors:
        yield Finding(OK, "detector", "not running", "ros2 launch emotion_ros detect.launch.py image:=TOPIC")
    for name, (level, message) in survey.detectors.items():
        cure = "" if level == 0 else "ros2 topic echo /diagnostics shows the details"
        yield Finding(LEVELS.get(level, ERROR), "detector", f"{name}: {message}", cure)


def _middleware(rmw: str) -> Iterator[Finding]:
    settings = ", ".join(f"{name}={os.environ[name]}" for name in RANGE_VARIABLES if os.environ.get(name))
    text = f"{os.environ.get('ROS_DISTRO', 'unknown distribution')}, {rmw}" + (f", {settings}" if settings else "")
    yield Finding(OK, "ROS 2", text)
    if "fastrtps" in rmw:
        for name in PROFILE_VARIABLES:
            path = os.environ.get(name)
            if path and not Path(path).is_file():
                cure = f"unset {name}, or set it to a file that exists"
                yield Finding(ERROR, "Fast DDS", f"{name} names no file: {path}", cure)
    if "cyclonedds" in rmw and RECEIVE_BUFFER.is_file():
        size = int(RECEIVE_BUFFER.read_text())
        if size < MIN_RECEIVE_BUFFER_BYTES:
            cure = f"sudo sysctl -w net.core.rmem_max={2**31 - 1}"
            yield Finding(WARNING, "Cyclone DDS", f"receive buffers have at most {size} bytes: images are lost", cure)


def _camera(topic: ImageTopic, rmw: str) -> Finding:
    reliability = "reliable" if topic.is_reliable else "best effort"
    text = f"{topic.type} by {', '.join(topic.publishers)}, {reliability}, {topic.rate:.1f} images/s arrive"
    if topic.rate == 0:
        cure = f"look at the driver's log; ros2 topic hz {topic.name}"
        return Finding(WARNING, topic.name, text, cure)
    if topic.rate < MIN_ARRIVED_SHARE * topic.info_rate:
        text += f" of {topic.info_rate:.1f}: images are lost"
        return Finding(WARNING, topic.name, text, lost_images_cure(rmw))
    return Finding(OK, topic.name, text)


def lost_images_cure(rmw: str) -> str:
    """Return what to do if images are lost between two processes, one line."""
    if "fastrtps" in rmw:
        return "start the driver with FASTDDS_DEFAULT_PROFILES_FILE set to config/fastdds.xml, see docs/cameras.md"
    if "cyclonedds" in rmw:
        return f"sudo sysctl -w net.core.rmem_max={2**31 - 1}, see docs/cameras.md"
    return "reduce the driver's image size or rate, or use compressed images"
