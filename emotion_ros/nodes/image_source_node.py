"""The image source node: publishes a camera, a video, pictures or the sample as image_raw and camera_info."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from emotion_ros.config import SourceConfig
from emotion_ros.errors import EmotionRosError, SourceError, one_line
from emotion_ros.io.frames import SourceFrame, is_camera
from emotion_ros.io.sources import check_live_source, frames
from emotion_ros.nodes.image_conversion import to_message
from emotion_ros.nodes.parameters import declare
from emotion_ros.nodes.qos import PUBLISH
from emotion_ros.nodes.spin import spin_node, until_shutdown

SUBSCRIBER_TIMEOUT_S = 15.0
"""Time that a source with an end waits for a subscriber before it plays without one."""

SUBSCRIBER_POLL_S = 0.05

DISCOVERY_S = 0.3
"""Time from when a publisher knows a subscriber until the subscriber knows the publisher. Best-effort messages that are
sent before may be lost."""

LOG_INTERVAL_S = 5.0
"""Seconds between two log lines about images that cannot be read."""

LAST_IMAGE_S = 0.5
"""Time between the last image and the shutdown, in which a slow detector receives and processes that image."""


class ImageSource(Node):
    """Publishes the frames of a source at their times.

    A reader thread reads and publishes, so that a camera that blocks does not block the executor. The executor's thread
    calls :meth:`start` and :meth:`stop`.

    Raises:
        ConfigError: a parameter has a wrong value.
    """

    def __init__(self) -> None:
        super().__init__("image_source")
        self.config = declare(self, SourceConfig)
        self._images = self.create_publisher(ImageMessage, "image_raw", PUBLISH)
        self._infos = self.create_publisher(CameraInfo, "camera_info", PUBLISH)
        self._stopping = threading.Event()
        self._reader: threading.Thread | None = None
        self._error: EmotionRosError | None = None  # written by the reader, read after it was joined

    def start(self) -> None:
        """Start the reader.

        Raises:
            SourceError: the source does not exist, or is a bag.
        """
        check_live_source(self.config.source)
        first_pass = self._open()
        self._reader = threading.Thread(target=self._read, args=(first_pass,), name="reader", daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Stop the reader. A camera that blocks for more than a second is left to the end of the process.

        Raises:
            SourceError: the source could not be read to its end.
        """
        self._stopping.set()
        if self._reader is not None:
            self._reader.join(timeout=1)
        if self._error is not None:
            raise self._error

    def _open(self) -> Iterator[SourceFrame]:
        config = self.config
        return frames(config.source, config.rate, (config.width, config.height), config.max_image_pixels)

    def _read(self, first_pass: Iterator[SourceFrame]) -> None:
        """Play the source, once or in a loop, and shut the context down at its end. Runs in the reader thread."""
        try:
            with until_shutdown():
                self._wait_for_subscriber()
                self._play(first_pass)
                while self.config.loop and not self._stopping.is_set():
                    self._play(self._open())
            if not self._stopping.is_set():
                self.get_logger().info("end of the source")
        except EmotionRosError as error:
            self._error = error
        except Exception as error:  # such as a missing library; the node must not run on without its reader
            self._error = SourceError(f"{self.config.source}: {one_line(error)}")
        if not self._stopping.wait(LAST_IMAGE_S):
            self.context.try_shutdown()

    def _play(self, source: Iterator[SourceFrame]) -> None:
        """Publish each frame at its time. In a loop, the next pass begins when the last frame has had its time."""
        if self._stopping.is_set():
            return  # the first frame of a source may take long
        start, end = time.monotonic(), 0.0
        for frame in source:
            if not is_camera(self.config.source):  # a camera delivers its frames at their times itself
                self._wait_until(start + frame.time)
            if self._stopping.is_set():
                return
            self._publish(frame)
            end = frame.time + (1 / frame.rate if frame.rate else 0.0)
        if self.config.loop:
            self._wait_until(start + end)

    def _wait_until(self, time_s: float) -> None:
        self._stopping.wait(max(time_s - time.monotonic(), 0))

    def _publish(self, frame: SourceFrame) -> None:
        if frame.image is None:
            text = f"{frame.source}: {frame.problem}; skipped"
            self.get_logger().error(text, throttle_duration_sec=LOG_INTERVAL_S)
            return
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self.config.frame_id)
        self._images.publish(to_message(frame.image, header))
        height, width = frame.image.shape[:2]
        self._infos.publish(CameraInfo(header=header, height=height, width=width))

    def _wait_for_subscriber(self) -> None:
        """Delay a source with an end until a subscriber will receive its first frames."""
        if is_camera(self.config.source):
            return
        deadline = time.monotonic() + SUBSCRIBER_TIMEOUT_S
        while not self._images.get_subscription_count() and time.monotonic() < deadline:
            if self._stopping.wait(SUBSCRIBER_POLL_S):
                return
        self._stopping.wait(DISCOVERY_S)


def main() -> int:
    """Run the node until its source ends or it is interrupted. Return 1 if the source failed."""
    return spin_node(ImageSource)
