"""The capture node: stores labelled pictures for training between a call of ~/start and of ~/stop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Image as ImageMessage
from std_srvs.srv import Trigger

from emotion_ros.config import CaptureConfig
from emotion_ros.errors import ConfigError, ImageError, OutputError
from emotion_ros.io.dataset_writer import CaptureRequest, DatasetWriter
from emotion_ros.nodes.image_conversion import to_bgr
from emotion_ros.nodes.image_subscription import Choice, ImageSubscription
from emotion_ros.nodes.parameters import declare
from emotion_ros.nodes.spin import spin_node, until_shutdown
from emotion_ros.perception.requirements import create_check
from emotion_ros.srv import StartCapture

FOLLOW_INTERVAL_S = 0.1
"""Seconds between two checks whether publishers came, went or changed."""

UNLIMITED_COUNT = 10**9
"""Pictures of a request without a number: it ends with ~/stop."""


class Capture(Node):
    """Stores nothing until ``~/start`` is called. Each call of ``~/start`` begins one burst of one label.

    All callbacks run in the one thread of the executor, so the state needs no lock.
    """

    def __init__(self) -> None:
        super().__init__("capture")
        self.config = declare(self, CaptureConfig)
        if not self.config.out:
            raise ConfigError("parameter out: expected the folder of the data set, got nothing")
        self._check = create_check(tuple(part for part in self.config.require.split(",") if part))
        self._writer: DatasetWriter | None = None
        self._remaining, self._last_stored = 0, -math.inf
        wanted = Choice("raw", self.config.reliability)
        self._images = ImageSubscription(self, "image_raw", wanted, self._on_image)
        self.create_timer(FOLLOW_INTERVAL_S, self._follow_publishers, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.create_service(StartCapture, "~/start", self._on_start)
        self.create_service(Trigger, "~/stop", self._on_stop)

    def start(self) -> None:
        """Log the name of the service that starts a capture."""
        self.get_logger().info(f"nothing is stored until {self.get_fully_qualified_name()}/start is called")

    def stop(self) -> None:
        """Do nothing: each picture is written whole in its callback."""

    def _follow_publishers(self) -> None:
        with until_shutdown():
            self._images.follow_publishers()

    def _on_start(self, request: Any, response: Any) -> Any:
        count = request.count or UNLIMITED_COUNT
        try:
            writer = DatasetWriter(CaptureRequest(request.label, Path(self.config.out), count, self.config.every))
        except (ConfigError, OutputError) as error:
            response.success, response.message = False, str(error)
            return response
        self._end()
        self._writer = writer
        self._remaining, self._last_stored = count, -math.inf
        response.success, response.message = True, f"storing {request.label} in {self.config.out}"
        return response

    def _on_stop(self, _: Any, response: Any) -> Any:
        response.success = True
        response.message = self._writer.summary() if self._writer else "nothing was being stored"
        self._end()
        return response

    def _end(self) -> None:
        if self._writer:
            self._writer.close()
        self._writer = None

    def _on_image(self, message: ImageMessage) -> None:
        now = self.get_clock().now().nanoseconds * 1e-9
        # A negative difference is a clock that jumped back, as at the start of a recording that is played in a loop.
        if self._writer is None or 0 <= now - self._last_stored < self.config.every:
            return
        try:
            self._store(self._writer, message, now)
        except ImageError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
        except OutputError as error:
            self.get_logger().error(f"{error}; capture stopped")
            self._end()

    def _store(self, writer: DatasetWriter, message: ImageMessage, now: float) -> None:
        image = to_bgr(message, self.config.max_image_pixels)
        reason = self._check(image)
        if reason:
            self.get_logger().warning(f"rejected: {reason}", throttle_duration_sec=1.0)
            return
        path = writer.add(image, self.resolve_topic_name("image_raw"))
        self.get_logger().info(f"{path}  {writer.summary()}")
        self._last_stored, self._remaining = now, self._remaining - 1
        if not self._remaining:
            self.get_logger().info("capture finished: all requested pictures are stored")
            self._end()


def main() -> int:
    """Run the node until it is interrupted."""
    return spin_node(Capture)
