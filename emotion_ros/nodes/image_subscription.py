"""Subscription to the images of a camera that follows the camera's publishers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from emotion_ros.nodes.qos import SubscriptionEventCallbacks, all_reliable, image_subscription

MESSAGES = {"raw": ImageMessage, "compressed": CompressedImage}
"""Message of each transport."""


@dataclass(frozen=True)
class Choice:
    """What is subscribed to.

    Attributes:
        transport: ``raw`` or ``compressed``.
        reliability: ``reliable`` or ``best_effort``.
    """

    transport: str = "raw"
    reliability: str = "reliable"


class ImageSubscription:
    """Subscribes to the raw or the compressed images of a camera, with a QoS that is compatible with all publishers.

    All methods are called by the thread that spins the node.

    Args:
        node: gets the subscription.
        topic: of the raw images; compressed ones are at ``topic/compressed``.
        wanted: transport and reliability; ``auto`` follows the publishers.
        on_image: called with each message.
        on_lost: called with the number of messages that the middleware reports as lost.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        wanted: Choice,
        on_image: Callable[[Any], None],
        on_lost: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._node, self._topic, self._wanted = node, topic, wanted
        self._on_image, self._on_lost = on_image, on_lost
        self._choice = self._choose(Choice())
        self._subscription = self._create(self._choice)

    @property
    def topic_name(self) -> str:
        """Resolved name of the topic that is subscribed to."""
        return str(self._subscription.topic_name)

    @property
    def reliability(self) -> str:
        """Reliability of the subscription: ``reliable`` or ``best_effort``."""
        return self._choice.reliability

    @property
    def publishers(self) -> Sequence[Any]:
        """Publishers of the messages that are subscribed to. Those of another type on the topic do not count."""
        return self._publishers(self._choice.transport)

    def follow_publishers(self) -> bool:
        """Replace the subscription if publishers came, went or changed. Called periodically.

        Returns:
            Whether it was replaced.
        """
        choice = self._choose(self._choice)
        if choice == self._choice:
            return False
        subscription = self._create(choice)  # may raise: then the old one stays, and the next call tries again
        self.close()
        self._choice, self._subscription = choice, subscription
        return True

    def close(self) -> None:
        """Destroy the subscription."""
        self._node.destroy_subscription(self._subscription)

    def _choose(self, current: Choice) -> Choice:
        """Return the choice for the publishers that are known now. Without publishers the current one stays."""
        transport, reliability = self._wanted.transport, self._wanted.reliability
        if transport == "auto":
            transport = next((each for each in ("raw", "compressed") if self._publishers(each)), current.transport)
        if reliability == "auto":
            publishers = self._publishers(transport)
            offered = "reliable" if all_reliable(publishers) else "best_effort"
            reliability = offered if publishers else current.reliability
        return Choice(transport, reliability)

    def _publishers(self, transport: str) -> Sequence[Any]:
        name = self._node.resolve_topic_name(_topic_of(self._topic, transport))
        type_ = f"sensor_msgs/msg/{MESSAGES[transport].__name__}"
        return [each for each in self._node.get_publishers_info_by_topic(name) if each.topic_type == type_]

    def _create(self, choice: Choice) -> Any:
        # rclpy's own callback would warn of publishers with another reliability, which this class follows.
        follows = self._wanted.reliability == "auto"
        events = SubscriptionEventCallbacks(
            message_lost=lambda event: self._on_lost(event.total_count_change),
            incompatible_qos=(lambda _: None) if follows else None,
        )
        return self._node.create_subscription(
            MESSAGES[choice.transport],
            _topic_of(self._topic, choice.transport),
            self._on_image,
            image_subscription(choice.reliability),
            event_callbacks=events,
        )


def _topic_of(topic: str, transport: str) -> str:
    return f"{topic}/compressed" if transport == "compressed" else topic
