"""One camera of the detector node: where its images come from, and what is published about them."""

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
from emotion_ros.io.emotion_messages import seconds
from emotion_ros.io.encodings import decode
from emotion_ros.io.topic_names import topic_prefix
from emotion_ros.msg import EmotionArray
from emotion_ros.nodes.image_conversion import to_bgr, to_jpeg, to_message
from emotion_ros.nodes.message_conversion import to_detections, to_emotion_array, to_label_info, to_vision_info
from emotion_ros.nodes.qos import LATCHED, PUBLISH, image_subscription
from emotion_ros.perception.geometry import CameraIntrinsics
from emotion_ros.perception.state import Frame
from emotion_ros.types import Image, Perception


def info_of(topic: str) -> str:
    """The camera_info that belongs to a resolved image topic: its neighbour, by the convention of image_transport."""
    return posixpath.join(posixpath.dirname(topic.removesuffix("/compressed")), "camera_info")


def check_topics(node: Node, topics: Sequence[str]) -> None:
    """See that images can be asked for there.

    Raises:
        ConfigError: there is no topic, or ROS does not allow its name.
    """
    if not topics:
        raise ConfigError("image_topics: expected at least one topic, got none")
    for topic in topics:
        try:
            node.resolve_topic_name(topic)
        except RuntimeError as error:  # what rcl says, and where in its source
            why = str(error).partition(", at ")[0]
            raise ConfigError(f"image_topics: expected names of topics, got {topic!r}: {why}") from error


class Camera:
    """Publishers from its creation to :meth:`close`; a subscription while it is opened.

    Args:
        node: gets publishers and subscription.
        topic: of the raw images; compressed ones are at ``topic/compressed``.
        alone: whether it is the node's only one.
    """

    def __init__(self, node: Node, topic: str, alone: bool) -> None:
        self.topic = topic
        self._node = node
        self._subscriptions: list[Any] = []
        self._info: CameraInfo | None = None
        self._passed_on: Any = None
        self._place = place = topic_prefix(topic, alone)
        make = node.create_publisher
        self._emotions = make(EmotionArray, f"{place}emotions", PUBLISH)
        self._detections = make(Detection2DArray, f"{place}detections", PUBLISH)
        self._labels = make(LabelInfo, f"{place}label_info", LATCHED)
        self._method = make(VisionInfo, f"{place}vision_info", LATCHED)
        self._annotated = make(ImageMessage, f"{place}annotated", PUBLISH)
        self._jpeg = make(CompressedImage, f"{place}annotated/compressed", PUBLISH)

    def open(self, config: DetectorConfig, on_image: Callable[[str, Any], None]) -> str:
        """Begin to take images, each handed to ``on_image`` with this camera's topic.

        Returns:
            The full name of the topic.
        """
        compressed = config.image_transport == "compressed"
        kind, topic = (CompressedImage, f"{self.topic}/compressed") if compressed else (ImageMessage, self.topic)
        qos = image_subscription(config.reliability)
        images = self._node.create_subscription(kind, topic, lambda message: on_image(self.topic, message), qos)
        infos = self._node.create_subscription(CameraInfo, info_of(images.topic_name), self._on_info, qos)
        self._subscriptions = [images, infos]
        beside = f"{self._place}camera_info"
        if self._node.resolve_topic_name(beside) != infos.topic_name:  # else the camera's own is beside our images too
            self._passed_on = self._node.create_publisher(CameraInfo, beside, PUBLISH)
        return str(images.topic_name)

    def shut(self) -> None:
        """Take no more images."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        if self._passed_on is not None:
            self._node.destroy_publisher(self._passed_on)
        self._subscriptions, self._info, self._passed_on = [], None, None

    @property
    def open_now(self) -> bool:
        """Whether it takes images."""
        return bool(self._subscriptions)

    @property
    def source(self) -> str:
        """Full name of the image topic and how many publish there, for whoever wonders why no image comes."""
        name = str(self._subscriptions[0].topic_name) if self._subscriptions else self.topic
        count = self._node.count_publishers(name)
        return f"{name} ({count} publisher{'s' * (count != 1)})"

    @property
    def lens(self) -> CameraIntrinsics | None:
        """What camera_info says of the lens; None before it came, or where it was not calibrated."""
        info = self._info
        if info is None or info.k[0] <= 0 or info.k[4] <= 0:
            return None
        return CameraIntrinsics(info.k[0], info.k[4], info.k[2], info.k[5], info.width, info.height)

    def shot(self, message: Any) -> Frame:
        """The image of a message, with when and through which lens it was taken.

        Raises:
            ImageError: it is none.
        """
        image = decode(message) if isinstance(message, CompressedImage) else to_bgr(message)
        return Frame(image, seconds(message.header), self.topic, self.lens)

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message
        if self._passed_on is not None:
            self._passed_on.publish(message)

    def close(self) -> None:
        """Take the topics away."""
        self.shut()
        for publisher in (
            *(self._emotions, self._detections, self._labels, self._method),
            *(self._annotated, self._jpeg),
        ):
            self._node.destroy_publisher(publisher)

    def publish_label_info(self, model: str, labels: tuple[str, ...], floor: float) -> None:
        """Publish the classes and the model for whoever comes later, too."""
        header = Header()
        header.stamp = self._node.get_clock().now().to_msg()
        self._labels.publish(to_label_info(labels, floor, header))
        self._method.publish(to_vision_info(model, self._labels.topic_name, header))

    @property
    def heard(self) -> bool:
        """Whether somebody subscribes to what is published for each image."""
        each = (self._emotions, self._annotated, self._jpeg, self._detections)
        return any(publisher.get_subscription_count() for publisher in each)

    def publish(self, image: Image, perception: Perception, header: Header) -> None:
        """What was perceived; detections and pictures only while somebody listens."""
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
