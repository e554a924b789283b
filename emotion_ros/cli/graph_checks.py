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

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Variables with the XML file of Fast DDS; the second is that of Humble and Jazzy."""

RANGE_VARIABLES = ("ROS_DOMAIN_ID", "ROS_LOCALHOST_ONLY", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_STATIC_PEERS")
"""Variables that decide which machines and processes see each other."""

LEVELS = {0: OK, 1: WARNING}
"""Level of a diagnostic status to that of a finding; the others are errors."""


def graph_findings(survey: Survey) -> Iterator[Finding]:
    """Yield the findings of all checks of this module."""
    yield from _middleware(survey.rmw)
    if not survey.topics:
        remedy = "start the camera driver, or the detector with source:=0; compare ROS_DOMAIN_ID on both sides"
        yield Finding(WARNING, "cameras", "nobody publishes images", remedy)
    for topic in survey.topics:
        yield _camera(topic, survey.lost_images_remedy)
    if not survey.detectors:
        yield Finding(OK, "detector", "not running", "ros2 launch emotion_ros detect.launch.py image:=TOPIC")
    for name, (level, message) in survey.detectors.items():
        remedy = "" if level == 0 else "ros2 topic echo /diagnostics shows the details"
        yield Finding(LEVELS.get(level, ERROR), "detector", f"{name}: {message}", remedy)


def _middleware(rmw: str) -> Iterator[Finding]:
    settings = ", ".join(f"{name}={os.environ[name]}" for name in RANGE_VARIABLES if os.environ.get(name))
    text = f"{os.environ.get('ROS_DISTRO', 'unknown distribution')}, {rmw}" + (f", {settings}" if settings else "")
    yield Finding(OK, "ROS 2", text)
    if "fastrtps" in rmw:
        for name in PROFILE_VARIABLES:
            path = os.environ.get(name)
            if path and not Path(path).is_file():
                remedy = f"unset {name}, or set it to a file that exists"
                yield Finding(ERROR, "Fast DDS", f"{name} names no file: {path}", remedy)


def _camera(topic: ImageTopic, lost_images_remedy: str) -> Finding:
    reliability = "reliable" if topic.is_reliable else "best effort"
    text = f"{topic.type} by {', '.join(topic.publishers)}, {reliability}, {topic.rate:.1f} images/s arrive"
    if topic.rate == 0:
        remedy = f"look at the driver's log; ros2 topic hz {topic.name}"
        return Finding(WARNING, topic.name, text, remedy)
    if topic.rate < MIN_ARRIVED_SHARE * topic.info_rate:
        text += f" of {topic.info_rate:.1f}: images are lost"
        return Finding(WARNING, topic.name, text, lost_images_remedy)
    return Finding(OK, topic.name, text)
