"""The image source node: plays a camera, a video, pictures or the sample as image_raw and camera_info."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from emotion_ros.config import SourceConfig
from emotion_ros.errors import EmotionRosError
from emotion_ros.io.frames import SourceFrame, is_camera
from emotion_ros.io.sources import frames
from emotion_ros.nodes.image_conversion import to_message
from emotion_ros.nodes.parameters import declare
from emotion_ros.nodes.qos import PUBLISH
from emotion_ros.nodes.spin import spin_node, until_shutdown

WAIT_FOR_SUBSCRIBER = 15.0
"""Seconds that a source which ends waits for somebody to look, before it plays to nobody."""


MATCHED = 0.3
"""Seconds after which a subscriber that we know knows us too; what is sent best effort before that may be lost."""


class ImageSource(Node):
    """Reads in a thread of its own, so that a camera that blocks does not block the node."""

    def __init__(self) -> None:
        super().__init__("image_source")
        self.config = declare(self, SourceConfig)
        self._images = self.create_publisher(ImageMessage, "image_raw", PUBLISH)
        self._infos = self.create_publisher(CameraInfo, "camera_info", PUBLISH)
        self._ending = threading.Event()
        self._reader: threading.Thread | None = None
        self._error: EmotionRosError | None = None

    def start(self) -> None:
        """Begin to play.

        Raises:
            SourceError: the source does not exist.
        """
        self._frames = self._open()
        self._reader = threading.Thread(target=self._read, name="reader", daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """End the reader.

        Raises:
            SourceError: it could not read on.
        """
        self._ending.set()
        if self._reader is not None:
            self._reader.join(timeout=1)
        if self._error is not None:
            raise self._error

    def _open(self) -> Any:
        return frames(self.config.source, self.config.rate, (self.config.width, self.config.height))

    def _read(self) -> None:
        try:
            with until_shutdown():
                self._wait_for_subscriber()
                self._play()
                while self.config.loop and not self._ending.is_set():
                    self._frames = self._open()
                    self._play()
            if not self._ending.is_set():
                self.get_logger().info("the source has ended")
        except EmotionRosError as error:
            self._error = error
        if not self._ending.is_set():
            self._wait_until_read()
            self.context.try_shutdown()

    def _play(self) -> None:
        start = time.monotonic()
        for frame in self._frames:
            if not is_camera(self.config.source):
                self._ending.wait(max(start + frame.time - time.monotonic(), 0))
            if self._ending.is_set():
                return
            self._publish(frame)

    def _publish(self, frame: SourceFrame) -> None:
        if frame.image is None:
            self.get_logger().error(f"{frame.source}: not a picture that can be read; skipped")
            return
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self.config.frame_id)
        self._images.publish(to_message(frame.image, header))
        height, width = frame.image.shape[:2]
        self._infos.publish(CameraInfo(header=header, height=height, width=width))

    def _wait_for_subscriber(self) -> None:
        deadline = time.monotonic() + (0 if is_camera(self.config.source) else WAIT_FOR_SUBSCRIBER)
        while not self._images.get_subscription_count() and time.monotonic() < deadline:
            if self._ending.wait(0.05):
                return
        if not is_camera(self.config.source):
            self._ending.wait(MATCHED)

    def _wait_until_read(self) -> None:
        """The last image is still on its way: give it the time of a slow frame."""
        self._ending.wait(0.5)


def main() -> int:
    """Run the node until its source ends or it is interrupted; 1 where the source failed."""
    return spin_node(ImageSource)
