"""One camera of the detector node: its subscriptions and the topics published about its images."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo, VisionInfo

from emotion_ros.config import DetectorConfig
from emotion_ros.errors import ConfigError
from emotion_ros.io.drawing import draw
from emotion_ros.io.encodings import decode
from emotion_ros.msg import EmotionArray
from emotion_ros.nodes.image_conversion import to_bgr, to_jpeg, to_message
from emotion_ros.nodes.message_conversion import to_detections, to_emotion_array, to_label_info, to_vision_info
from emotion_ros.nodes.qos import LATCHED, PUBLISH, image_subscription
from emotion_ros.perception.geometry import CameraIntrinsics
from emotion_ros.perception.state import Frame
from emotion_ros.types import Image, Perception


def camera_info_topic(image_topic: str) -> str:
    """Return the camera_info topic beside a resolved image topic, by the convention of image_transport."""
    return posixpath.join(posixpath.dirname(image_topic.removesuffix("/compressed")), "camera_info")


def check_topics(node: Node, topics: Sequence[str]) -> None:
    """Check the value of ``image_topics``.

    Args:
        node: its namespace and remappings resolve the names.
        topics: at least one.

    Raises:
        ConfigError: there is no topic, ROS does not allow a name, or two names resolve to the same topic.
    """
    if not topics:
        raise ConfigError("image_topics: expected at least one topic, got none; name the topic of a camera")
    resolved: dict[str, str] = {}
    for topic in topics:
        name = _resolve(node, topic)
        if name in resolved:
            raise ConfigError(
                f"image_topics: expected different topics, got {resolved[name]!r} and {topic!r}, "
                f"which are both {name}; remove one of them"
            )
        resolved[name] = topic


def _resolve(node: Node, topic: str) -> str:
    try:
        return str(node.resolve_topic_name(topic))
    except RuntimeError as error:
        reason = str(error).partition(", at ")[0]  # without the line in rcl's source
        raise ConfigError(f"image_topics: expected names of topics, got {topic!r}: {reason}") from error


class Camera:
    """Publishers of one camera's outputs, and its subscriptions while it is subscribed to.

    Created, subscribed, unsubscribed and closed by the executor's thread. The worker thread calls :meth:`to_frame`,
    :meth:`publish` and :meth:`publish_label_info`; it must have ended, or no longer use this camera, before
    :meth:`close`.

    Args:
        node: gets publishers and subscriptions.
        topic: of the raw images; compressed ones are at ``topic/compressed``.
        prefix: of the output topics, empty or ending in a slash.
    """

    def __init__(self, node: Node, topic: str, prefix: str) -> None:
        self.topic = topic
        self._node = node
        self._prefix = prefix
        self._subscriptions: list[Any] = []
        # Written by the executor's thread, read by the worker: one reference, replaced as a whole, so without a lock.
        self._info: CameraInfo | None = None
        self._info_relay: Any = None
        self._emotions = node.create_publisher(EmotionArray, f"{prefix}emotions", PUBLISH)
        self._detections = node.create_publisher(Detection2DArray, f"{prefix}detections", PUBLISH)
        self._labels = node.create_publisher(LabelInfo, f"{prefix}label_info", LATCHED)
        self._model = node.create_publisher(VisionInfo, f"{prefix}vision_info", LATCHED)
        self._annotated = node.create_publisher(ImageMessage, f"{prefix}annotated", PUBLISH)
        self._jpeg = node.create_publisher(CompressedImage, f"{prefix}annotated/compressed", PUBLISH)

    def subscribe(self, config: DetectorConfig, on_image: Callable[[str, Any], None]) -> str:
        """Subscribe to images and camera_info.

        Args:
            config: transport and reliability.
            on_image: called in the executor's thread with this camera's topic and each message.

        Returns:
            The resolved name of the image topic.
        """
        compressed = config.image_transport == "compressed"
        type_, topic = (CompressedImage, f"{self.topic}/compressed") if compressed else (ImageMessage, self.topic)
        qos = image_subscription(config.reliability)
        try:
            self._subscribe(type_, topic, lambda message: on_image(self.topic, message), qos)
            name = str(self._subscriptions[0].topic_name)
            self._subscribe(CameraInfo, camera_info_topic(name), self._on_info, qos)
            self._relay_info(camera_info_topic(name))
        except Exception:
            self.unsubscribe()  # all or nothing: the caller may try again
            raise
        return name

    def unsubscribe(self) -> None:
        """Destroy the subscriptions, if any, and forget the camera_info."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        if self._info_relay is not None:
            self._node.destroy_publisher(self._info_relay)
        self._subscriptions, self._info, self._info_relay = [], None, None

    @property
    def is_subscribed(self) -> bool:
        """Whether images are received."""
        return bool(self._subscriptions)

    @property
    def has_subscribers(self) -> bool:
        """Whether any topic that is published per image has a subscriber."""
        publishers = (self._emotions, self._annotated, self._jpeg, self._detections)
        return any(publisher.get_subscription_count() for publisher in publishers)

    @property
    def intrinsics(self) -> CameraIntrinsics | None:
        """Intrinsics of the last camera_info; None before the first one and if the camera is not calibrated."""
        info = self._info
        if info is None or info.k[0] <= 0 or info.k[4] <= 0:
            return None
        return CameraIntrinsics(info.k[0], info.k[4], info.k[2], info.k[5], info.width, info.height)

    def describe_source(self) -> str:
        """Return the resolved image topic and its number of publishers, for diagnostics."""
        name = str(self._subscriptions[0].topic_name) if self._subscriptions else self.topic
        count = self._node.count_publishers(name)
        return f"{name} ({count} publisher{'s' * (count != 1)})"

    def to_frame(self, message: Any, time: float, max_pixels: int) -> Frame:
        """Convert an Image or CompressedImage message to a frame of this camera.

        Args:
            message: the image.
            time: stamp of the frame, seconds.
            max_pixels: maximum width × height.

        Raises:
            ImageError: the message holds no valid image, or a larger one.
        """
        convert = decode if isinstance(message, CompressedImage) else to_bgr
        image = convert(message, max_pixels)
        return Frame(image, time, self.topic, self.intrinsics)

    def publish(self, image: Image, perception: Perception, header: Header) -> None:
        """Publish the result of an image: emotions always, detections and annotated images while subscribed to.

        Args:
            image: BGR, uint8, h × w × 3.
            perception: its result.
            header: the image's.
        """
        self._emotions.publish(to_emotion_array(perception, header))
        if self._detections.get_subscription_count():
            self._detections.publish(to_detections(perception, header))
        raw, jpeg = self._annotated.get_subscription_count(), self._jpeg.get_subscription_count()
        if raw or jpeg:
            picture = draw(image, perception)
            if raw:
                self._annotated.publish(to_message(picture, header))
            if jpeg:
                self._jpeg.publish(to_jpeg(picture, header))

    def publish_label_info(self, model: str, labels: Sequence[str], min_confidence: float) -> None:
        """Publish labels and model, latched: later subscribers receive them too."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._labels.publish(to_label_info(labels, min_confidence, header))
        self._model.publish(to_vision_info(model, self._labels.topic_name, header))

    def close(self) -> None:
        """Unsubscribe and destroy the publishers."""
        self.unsubscribe()
        for publisher in (
            *(self._emotions, self._detections, self._labels, self._model),
            *(self._annotated, self._jpeg),
        ):
            self._node.destroy_publisher(publisher)

    def _subscribe(self, type_: type[Any], topic: str, callback: Callable[[Any], None], qos: Any) -> None:
        self._subscriptions.append(self._node.create_subscription(type_, topic, callback, qos))

    def _relay_info(self, source: str) -> None:
        """Publish camera_info beside the annotated images, unless the camera publishes it on the same topic."""
        topic = f"{self._prefix}camera_info"
        if self._node.resolve_topic_name(topic) != source:
            self._info_relay = self._node.create_publisher(CameraInfo, topic, PUBLISH)

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message
        if self._info_relay is not None:
            self._info_relay.publish(message)
