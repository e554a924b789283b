"""Publication of the people of all cameras as one group."""

from __future__ import annotations

import time

from rclpy.node import Node
from std_msgs.msg import Header

from emotion_ros.config import PipelineConfig
from emotion_ros.io.event_messages import group_message
from emotion_ros.msg import GroupMood as GroupMoodMessage
from emotion_ros.nodes.qos import PUBLISH
from emotion_ros.perception.group import Members, group_mood, update_members
from emotion_ros.types import GroupMood, Perception


class GroupPublisher:
    """Publishes ``group`` while it has subscribers; while nobody needs the group, nothing is remembered.

    Created and closed by the thread that spins the node; :meth:`publish` is called by the worker's thread, which must
    not run it any more at :meth:`close`.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(GroupMoodMessage, "group", PUBLISH)
        self._members: Members = {}

    @property
    def has_subscribers(self) -> bool:
        """Whether ``group`` has a subscriber."""
        return bool(self._publisher.get_subscription_count())

    def publish(
        self,
        camera: str,
        perception: Perception,
        stamp: float,
        header: Header,
        config: PipelineConfig,
        is_shown: bool,
    ) -> GroupMood | None:
        """Publish the group after an image of a camera and return it; None if nobody needs it.

        Args:
            camera: key of the camera.
            perception: of the image.
            stamp: of the frame, seconds.
            header: the image's.
            config: ``track_timeout`` and ``engagement_attention``.
            is_shown: whether markers show the group.
        """
        has_subscribers = self.has_subscribers
        if not has_subscribers and not is_shown:
            self._members = {}
            return None
        self._members = update_members(self._members, camera, perception, stamp, time.monotonic(), config.track_timeout)
        mood = group_mood([*self._members.values()], perception.labels, config.engagement_attention)
        if has_subscribers:
            self._publisher.publish(group_message(mood, header, GroupMoodMessage))
        return mood

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)
