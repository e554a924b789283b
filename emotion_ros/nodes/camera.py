"""One camera of the detector node: its subscriptions and the topics published about its images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rclpy import get_rmw_implementation_identifier
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo, VisionInfo

from emotion_ros.config import DetectorConfig
from emotion_ros.errors import ConfigError
from emotion_ros.io.drawing import draw
from emotion_ros.io.encodings import decode
from emotion_ros.msg import EmotionArray, ExpressionEvent
from emotion_ros.nodes.camera_info import camera_info_topic, to_intrinsics
from emotion_ros.nodes.dds_settings import remedy
from emotion_ros.nodes.image_conversion import to_bgr, to_jpeg, to_message
from emotion_ros.nodes.image_subscription import Choice, ImageSubscription
from emotion_ros.nodes.message_conversion import (
    to_detections,
    to_emotion_array,
    to_expression_event,
    to_label_info,
    to_vision_info,
)
from emotion_ros.nodes.parameters import resolve_topic
from emotion_ros.nodes.qos import EVENTS, LATCHED, PUBLISH, image_subscription
from emotion_ros.nodes.reception import Reception
from emotion_ros.perception.geometry import CameraIntrinsics
from emotion_ros.perception.state import Frame
from emotion_ros.types import GroupMood, Image, Perception

if TYPE_CHECKING:
    from emotion_ros.nodes.markers import MarkerPublisher


def check_topics(node: Node, topics: Sequence[str]) -> None:
    """Check the value of ``image_topics``.

    Args:
        node: its namespace and remappings resolve the names.
        topics: at least one.

    Raises:
        ConfigError: there is no topic, ROS does not allow a name, a name is that of compressed images, or two names
            resolve to the same topic.
    """
    if not topics:
        raise ConfigError("image_topics: expected at least one topic, got none; name the topic of a camera")
    resolved: dict[str, str] = {}
    for topic in topics:
        name = resolve_topic(node, topic, "image_topics: expected names of topics")
        if name.endswith("/compressed"):
            raise ConfigError(
                f"image_topics: expected topics of raw images, got {name}; "
                f"name {name.removesuffix('/compressed')} and set image_transport: compressed"
            )
        if name in resolved:
            raise ConfigError(
                f"image_topics: expected different topics, got {resolved[name]!r} and {topic!r}, "
                f"which are both {name}; remove one of them"
            )
        resolved[name] = topic


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
        self._images: ImageSubscription | None = None
        self._infos: Any = None
        self._reception = Reception()
        # Written by the executor's thread, read by the worker: one reference, replaced as a whole, so without a lock.
        self._intrinsics: CameraIntrinsics | None = None
        self._info_relay: Any = None
        self._emotions = node.create_publisher(EmotionArray, f"{prefix}emotions", PUBLISH)
        self._events = node.create_publisher(ExpressionEvent, f"{prefix}events", EVENTS)
        self._detections = node.create_publisher(Detection2DArray, f"{prefix}detections", PUBLISH)
        self._labels = node.create_publisher(LabelInfo, f"{prefix}label_info", LATCHED)
        self._model = node.create_publisher(VisionInfo, f"{prefix}vision_info", LATCHED)
        self._annotated = node.create_publisher(ImageMessage, f"{prefix}annotated", PUBLISH)
        self._jpeg = node.create_publisher(CompressedImage, f"{prefix}annotated/compressed", PUBLISH)
        self._markers = _create_marker_publisher(node, f"{prefix}markers")

    def subscribe(self, config: DetectorConfig, on_image: Callable[[str, Any], None]) -> None:
        """Subscribe to images and camera_info.

        Args:
            config: transport and reliability.
            on_image: called in the executor's thread with this camera's topic and each message.
        """

        def receive(message: Any) -> None:
            self._reception.record_image()
            on_image(self.topic, message)

        self._reception = Reception()
        wanted = Choice(config.image_transport, config.reliability)
        try:
            self._images = ImageSubscription(self._node, self.topic, wanted, receive, self._on_lost)
            info_topic = camera_info_topic(self._images.topic_name)
            # One packet that comes with each image: best effort suffices, and is compatible with every driver.
            qos = image_subscription("best_effort")
            self._infos = self._node.create_subscription(CameraInfo, info_topic, self._on_info, qos)
            self._relay_info(info_topic)
        except Exception:
            self.unsubscribe()  # all or nothing: the caller may try again
            raise

    def follow_publishers(self) -> bool:
        """Adapt the subscription to publishers that came, went or changed, and return whether it was replaced."""
        if self._images is None:
            return False
        self._reception.record_publishers(len(self._images.publishers))
        return self._images.follow_publishers()

    def unsubscribe(self) -> None:
        """Destroy the subscriptions, if any, and forget the camera_info."""
        if self._images is not None:
            self._images.close()
        if self._infos is not None:
            self._node.destroy_subscription(self._infos)
        if self._info_relay is not None:
            self._node.destroy_publisher(self._info_relay)
        self._images = self._infos = self._intrinsics = self._info_relay = None

    @property
    def is_subscribed(self) -> bool:
        """Whether images are received."""
        return self._images is not None

    @property
    def subscription(self) -> str:
        """Topic and reliability of the subscription, for the log; empty if there is none."""
        return f"{self._images.topic_name} ({self._images.reliability})" if self._images is not None else ""

    @property
    def has_subscribers(self) -> bool:
        """Whether any topic that is published per image has a subscriber."""
        publishers = (self._emotions, self._events, self._annotated, self._jpeg, self._detections)
        return self.shows_markers or any(publisher.get_subscription_count() for publisher in publishers)

    @property
    def shows_markers(self) -> bool:
        """Whether the markers have a subscriber."""
        return self._markers is not None and self._markers.has_subscribers

    @property
    def intrinsics(self) -> CameraIntrinsics | None:
        """Intrinsics of the last camera_info; None before the first one and if the camera is not calibrated."""
        return self._intrinsics

    def describe_source(self) -> str:
        """Return the topic that is subscribed to and its number of publishers, for diagnostics."""
        if self._images is None:
            return self.topic
        count = len(self._images.publishers)
        return f"{self._images.topic_name} ({count} publisher{'s' * (count != 1)})"

    def describe_loss(self) -> str:
        """Return how many images are lost before they arrive, and what to do; empty if none are."""
        if self._images is None:
            return ""
        name, what_to_do = self._images.topic_name, remedy(get_rmw_implementation_identifier())
        lost, published = self._reception.lost(self._has_info_per_image(name))
        if lost:
            return f"{lost} of the last {published} images on {name} were lost: {what_to_do}"
        if self._reception.is_silent:
            return f"no image on {self.describe_source()}; if the camera is on, {what_to_do}"
        return ""

    def _has_info_per_image(self, image_topic: str) -> bool:
        """Return whether one driver publishes both images and camera_info, as image_transport's CameraPublisher does.

        A node that throttles or copies images leaves camera_info to the driver, at another rate.
        """
        topics = (image_topic, camera_info_topic(image_topic))
        first, second = (self._node.get_publishers_info_by_topic(topic) for topic in topics)
        nodes = {(each.node_namespace, each.node_name) for each in (*first, *second)}
        return len(first) == len(second) == len(nodes) == 1

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

    def publish(self, image: Image, perception: Perception, header: Header, group: GroupMood | None) -> None:
        """Publish the result of an image: emotions and events always, the other topics while they are subscribed to.

        Args:
            image: BGR, uint8, h × w × 3.
            perception: its result.
            header: the image's.
            group: for the markers; None: they are not shown.
        """
        for event in perception.events:  # before the people, so that a recording has both in one line
            self._events.publish(to_expression_event(event, header))
        self._emotions.publish(to_emotion_array(perception, header))
        if self._detections.get_subscription_count():
            self._detections.publish(to_detections(perception, header))
        if self._markers is not None:
            self._markers.publish(perception, header, group)
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
            *(self._emotions, self._events, self._detections, self._labels, self._model),
            *(self._annotated, self._jpeg),
        ):
            self._node.destroy_publisher(publisher)
        if self._markers is not None:
            self._markers.close()

    def _on_lost(self, count: int) -> None:
        self._reception.record_lost(count)

    def _relay_info(self, source: str) -> None:
        """Publish camera_info beside the annotated images, unless the camera publishes it on the same topic."""
        topic = f"{self._prefix}camera_info"
        if self._node.resolve_topic_name(topic) != source:
            self._info_relay = self._node.create_publisher(CameraInfo, topic, PUBLISH)

    def _on_info(self, message: CameraInfo) -> None:
        self._reception.record_info()
        if self._images is not None:
            self._intrinsics = to_intrinsics(message, self._images.topic_name)
        if self._info_relay is not None:
            self._info_relay.publish(message)


def _create_marker_publisher(node: Node, topic: str) -> MarkerPublisher | None:
    try:
        from emotion_ros.nodes.markers import MarkerPublisher
    except ImportError as error:
        node.get_logger().info(f"{error}: no markers are published; install visualization_msgs to see them", once=True)
        return None
    return MarkerPublisher(node, topic)
