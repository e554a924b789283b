"""The capture node: stores labelled pictures for training, between a call of ~/start and ~/stop, never else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image as ImageMessage
from std_srvs.srv import Trigger

from emotion_ros.config import CaptureConfig
from emotion_ros.errors import ConfigError, ImageError, OutputError
from emotion_ros.io.dataset_writer import DatasetWriter, Request
from emotion_ros.nodes.image_conversion import to_bgr
from emotion_ros.nodes.parameters import declare
from emotion_ros.nodes.qos import image_subscription
from emotion_ros.nodes.spin import spin_node
from emotion_ros.perception.requirements import checks
from emotion_ros.srv import StartCapture

ENDLESS = 10**9
"""Pictures that are taken where none are counted: until ~/stop."""


class Capture(Node):
    """Waits with nothing stored; each ``~/start`` is one burst of one label."""

    def __init__(self) -> None:
        super().__init__("capture")
        self.config = declare(self, CaptureConfig)
        if not self.config.out:
            raise ConfigError("parameter out: expected the folder of the data set, got nothing")
        self._check = checks(tuple(part for part in self.config.require.split(",") if part))
        self._album: DatasetWriter | None = None
        self._left, self._due = 0, 0.0
        qos = image_subscription(self.config.reliability)
        self.create_subscription(ImageMessage, "image_raw", self._on_image, qos)
        self.create_service(StartCapture, "~/start", self._on_start)
        self.create_service(Trigger, "~/stop", self._on_stop)

    def start(self) -> None:
        """Say how to begin."""
        self.get_logger().info(f"nothing is stored until {self.get_fully_qualified_name()}/start is called")

    def stop(self) -> None:
        """Nothing to finish: each picture is whole once it is there."""

    def _on_start(self, request: Any, response: Any) -> Any:
        try:
            album = DatasetWriter(
                Request(request.label, Path(self.config.out), request.count or ENDLESS, self.config.every)
            )
        except (ConfigError, OutputError) as error:
            response.success, response.message = False, str(error)
            return response
        self._album, self._left, self._due = album, request.count or ENDLESS, 0.0
        response.success, response.message = True, f"storing {request.label} in {self.config.out}"
        return response

    def _on_stop(self, _: Any, response: Any) -> Any:
        response.success, response.message = True, self._album.counts() if self._album else "nothing was being stored"
        self._album = None
        return response

    def _on_image(self, message: ImageMessage) -> None:
        now = self.get_clock().now().nanoseconds * 1e-9
        if self._album is None or now < self._due:
            return
        try:
            image = to_bgr(message)
            reason = self._check(image)
            if reason:
                self.get_logger().warning(f"refused: {reason}", throttle_duration_sec=1.0)
                return
            path = self._album.add(image, self.resolve_topic_name("image_raw"))
        except ImageError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        except OutputError as error:
            self.get_logger().error(f"{error}; stopped")
            self._album = None
            return
        self._due, self._left = now + self.config.every, self._left - 1
        self.get_logger().info(f"{path}  {self._album.counts()}")
        if not self._left:
            self.get_logger().info("that was the last one")
            self._album = None


def main() -> int:
    """Run the node until it is interrupted."""
    return spin_node(Capture)
