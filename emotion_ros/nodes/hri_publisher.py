"""Publication of people under /humans (REP-155): topics that exist while a person is tracked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hri_msgs.msg import IdsList
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header

from emotion_ros.io.emotion_messages import seconds
from emotion_ros.nodes.hri_conversion import PERSON_TOPICS, PersonTopic
from emotion_ros.nodes.parameters import resolve_topic
from emotion_ros.nodes.qos import PublisherEventCallbacks
from emotion_ros.types import Emotion, Image, Perception

HRI_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""QoS that libhri subscribes with."""


@dataclass
class _TrackedPerson:
    """Publishers of a person, and when the person was last visible.

    ``stamp`` is the image's, in seconds; ``monotonic`` is :func:`time.monotonic`.
    """

    camera: str
    publishers: list[tuple[PersonTopic, Publisher]]
    stamp: float = 0.0
    monotonic: float = 0.0

    def mark_seen(self, stamp: float) -> None:
        self.stamp, self.monotonic = stamp, time.monotonic()

    def publish(self, image: Image, person: Emotion, header: Header) -> None:
        """Convert and publish only what has subscribers."""
        for topic, publisher in self.publishers:
            if publisher.get_subscription_count():
                for message in topic.convert(image, person, header):
                    publisher.publish(message)


class HriPublisher:
    """Publishes faces and bodies below a prefix: the lists of tracked ids and the topics of each person.

    A person vanishes from the lists, and the person's topics with it, ``track_timeout`` seconds after the last image
    that shows the person. Thread-safe.

    Args:
        node: gets the publishers.
        prefix: of all topics; a relative one is in the node's namespace.

    Raises:
        ConfigError: ROS does not allow the prefix.
    """

    def __init__(self, node: Node, prefix: str = "/humans") -> None:
        self._node = node
        self._prefix = resolve_topic(node, prefix, "humans_prefix: expected the beginning of a topic name")
        # Guards _people, _lists and the publishers in them. The worker thread adds and removes people (publish, expire)
        # while the executor's thread iterates them in its timer (has_subscribers) and in lifecycle transitions
        # (publish_empty, close). Held while topics are created, written and destroyed: a publisher must not be
        # destroyed between its lookup and its use. Only this class takes it, and calls nothing that waits for a thread.
        self._lock = threading.Lock()
        self._people: dict[str, _TrackedPerson] = {}
        self._lists = [self._create_publisher(IdsList, f"{kind}/tracked") for kind in ("faces", "bodies")]

    def publish(self, camera: str, image: Image, perception: Perception, header: Header, track_timeout: float) -> None:
        """Publish everybody in an image of a camera, and the lists.

        People of that camera vanish if this image is more than ``track_timeout`` seconds newer than the last one that
        shows them, or older. After :meth:`close` nothing is published.

        Args:
            camera: key of the camera.
            image: BGR, uint8, h × w × 3.
            perception: people in the image.
            header: the image's; its stamp is compared with those of earlier images of the same camera only.
            track_timeout: seconds.
        """
        stamp = seconds(header)
        with self._lock:
            if not self._lists:
                return
            for person in perception.people:
                tracked = self._people.get(person.id) or self._add(person.id, camera)
                tracked.mark_seen(stamp)
                tracked.publish(image, person, header)
            self._remove(lambda each: each.camera == camera and not 0 <= stamp - each.stamp <= track_timeout)
            self._publish_lists(header)

    def expire(self, track_timeout: float, now: float) -> None:
        """Remove people that no image showed for ``track_timeout`` seconds of the monotonic clock.

        Called several times per second, also without images. Uses the
        monotonic clock, because stamps stop when a camera fails. Publishes the lists if a person was removed.

        Args:
            track_timeout: seconds.
            now: monotonic time at which the images that were published last began to be processed, seconds: a slow
                inference does not count as absence.
        """
        with self._lock:
            if self._remove(lambda each: now - each.monotonic > track_timeout):
                self._publish_lists(self._current_header())

    @property
    def has_subscribers(self) -> bool:
        """Whether any list or any topic of a person has a subscriber."""
        with self._lock:
            people = [publisher for person in self._people.values() for _, publisher in person.publishers]
            return any(publisher.get_subscription_count() for publisher in (*self._lists, *people))

    @property
    def shared_list(self) -> str:
        """Name of the list of faces if another node publishes it too: ids would come and go; empty otherwise."""
        topic = f"{self._prefix}/faces/tracked"
        return topic if self._node.count_publishers(topic) > 1 else ""

    def publish_empty(self) -> None:
        """Remove everybody and publish empty lists."""
        with self._lock:
            self._remove(lambda _: True)
            self._publish_lists(self._current_header())

    def close(self) -> None:
        """Remove everybody, publish empty lists and destroy their publishers. May be called twice."""
        self.publish_empty()
        with self._lock:
            for publisher in self._lists:
                self._node.destroy_publisher(publisher)
            self._lists = []

    def _create_publisher(self, type_: type[Any], topic: str) -> Publisher:
        # Without default event callbacks the executor does not wait on the publisher. The worker thread may then create
        # and destroy it while the executor's thread spins.
        callbacks = PublisherEventCallbacks(use_default_callbacks=False)
        return self._node.create_publisher(type_, f"{self._prefix}/{topic}", HRI_QOS, event_callbacks=callbacks)

    def _add(self, id: str, camera: str) -> _TrackedPerson:
        """Create the topics of a person. The caller holds the lock."""
        publishers = [(topic, self._create_publisher(topic.type, topic.name.format(id=id))) for topic in PERSON_TOPICS]
        self._people[id] = _TrackedPerson(camera, publishers)
        return self._people[id]

    def _remove(self, condition: Callable[[_TrackedPerson], bool]) -> bool:
        """Remove people and destroy their topics; return whether there were any. The caller holds the lock."""
        ids = [id for id, person in self._people.items() if condition(person)]
        for id in ids:
            for _, publisher in self._people.pop(id).publishers:
                self._node.destroy_publisher(publisher)
        return bool(ids)

    def _publish_lists(self, header: Header) -> None:
        """Publish the ids of everybody tracked. The caller holds the lock."""
        for publisher in self._lists:
            publisher.publish(IdsList(header=header, ids=list(self._people)))

    def _current_header(self) -> Header:
        return Header(stamp=self._node.get_clock().now().to_msg())
