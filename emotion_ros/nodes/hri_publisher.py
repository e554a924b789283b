"""Publication of faces and their anonymous persons under /humans and on /tf (REP-155)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hri_msgs.msg import IdsList, IdsMatch
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import LivelinessPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from emotion_ros.io.emotion_messages import seconds
from emotion_ros.nodes.face_transforms import to_transforms
from emotion_ros.nodes.hri_conversion import (
    FACE_TOPICS,
    GESTURE_TOPIC,
    PERSON_TOPICS,
    PersonTopic,
    person_id,
    to_match,
)
from emotion_ros.nodes.parameters import resolve_topic
from emotion_ros.nodes.qos import LATCHED, PublisherEventCallbacks
from emotion_ros.types import Emotion, Image, Perception

HRI_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""QoS that libhri subscribes with."""

LIST_QOS = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    liveliness=LivelinessPolicy.AUTOMATIC,
    liveliness_lease_duration=Duration(seconds=2),
)
"""QoS of the lists of ids. A subscriber that requests this lease learns within it that the node was killed: no empty
list can tell it. The lease of the whole process, which removes the topics, is 20 s by default in Fast DDS."""

BURST_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
"""QoS of topics with several messages per image. That of tf2's broadcaster."""


@dataclass
class _TrackedPerson:
    """Publishers of a person, and when the person was last visible.

    ``stamp`` is the image's, in seconds; ``monotonic`` is :func:`time.monotonic`.
    """

    camera: str
    publishers: list[tuple[PersonTopic, Publisher]]
    stamp: float = -1.0
    monotonic: float = 0.0

    def mark_seen(self, stamp: float) -> None:
        self.stamp, self.monotonic = stamp, time.monotonic()

    def publish(self, image: Image, person: Emotion, header: Header) -> None:
        """Convert and publish only what has subscribers."""
        for topic, publisher in self.publishers:
            if not topic.latched and publisher.get_subscription_count():
                for message in topic.convert(image, person, header):
                    publisher.publish(message)


class HriPublisher:
    """Publishes faces and their persons below a prefix: the lists of tracked ids and the topics of each of them.

    A face vanishes from the lists, and its topics with it, ``track_timeout`` seconds after the last image that shows
    it. A person is anonymous and vanishes with the face. Thread-safe.

    Args:
        node: gets the publishers.
        prefix: of all topics but /tf; a relative one is in the node's namespace.
        persons: also publish an anonymous person for each face; False where another node manages persons.
        transforms: publish the frames of :func:`.to_transforms` on /tf.

    Raises:
        ConfigError: ROS does not allow the prefix.
    """

    def __init__(self, node: Node, prefix: str = "/humans", persons: bool = True, transforms: bool = True) -> None:
        self._node = node
        self._prefix = resolve_topic(node, prefix, "humans_prefix: expected the beginning of a topic name")
        # Guards _people, _lists and all publishers. The worker thread adds and removes people (publish, expire)
        # while the executor's thread iterates them in its timer (has_subscribers) and in lifecycle transitions
        # (publish_empty, close). Held while topics are created, written and destroyed: a publisher must not be
        # destroyed between its lookup and its use. Only this class takes it, and calls nothing that waits for a thread.
        self._lock = threading.Lock()
        self._people: dict[str, _TrackedPerson] = {}
        self._topics = (*FACE_TOPICS, *PERSON_TOPICS) if persons else FACE_TOPICS
        lists = ("faces/tracked", "persons/tracked", "persons/known") if persons else ("faces/tracked",)
        self._lists = {name: self._create_publisher(IdsList, name, LIST_QOS) for name in lists}
        self._matches = self._create_publisher(IdsMatch, "candidate_matches", BURST_QOS) if persons else None
        self._transforms = self._create_publisher(TFMessage, "/tf", BURST_QOS) if transforms else None

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
            self._publish_transforms(perception, header)
            for person in perception.people:
                tracked = self._people.get(person.id) or self._add(camera, image, person, header)
                if person.hands and GESTURE_TOPIC not in (topic for topic, _ in tracked.publishers):
                    tracked.publishers.append(self._open(GESTURE_TOPIC, person.id))
                tracked.mark_seen(stamp)
                tracked.publish(image, person, header)
                self._publish_match(person.id, 1.0)
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
        """Whether any list or any topic of a person has a subscriber. /tf does not count: most robots listen to it."""
        with self._lock:
            people = [publisher for person in self._people.values() for _, publisher in person.publishers]
            matches = [self._matches] if self._matches is not None else []
            return any(each.get_subscription_count() for each in (*self._lists.values(), *matches, *people))

    @property
    def shared_list(self) -> str:
        """Name of a list that another node publishes too: ids would come and go; empty if there is none."""
        with self._lock:
            topics = [publisher.topic_name for publisher in self._lists.values()]
        return next((topic for topic in topics if self._node.count_publishers(topic) > 1), "")

    def publish_empty(self) -> None:
        """Remove everybody and publish empty lists."""
        with self._lock:
            self._remove(lambda _: True)
            self._publish_lists(self._current_header())

    def close(self) -> None:
        """Remove everybody, publish empty lists and destroy their publishers. May be called twice."""
        self.publish_empty()
        with self._lock:
            for publisher in (*self._lists.values(), self._matches, self._transforms):
                if publisher is not None:
                    self._node.destroy_publisher(publisher)
            self._lists, self._matches, self._transforms = {}, None, None

    def _create_publisher(self, type_: type[Any], topic: str, qos: QoSProfile) -> Publisher:
        # Without default event callbacks the executor does not wait on the publisher. The worker thread may then create
        # and destroy it while the executor's thread spins.
        callbacks = PublisherEventCallbacks(use_default_callbacks=False)
        name = topic if topic.startswith("/") else f"{self._prefix}/{topic}"
        return self._node.create_publisher(type_, name, qos, event_callbacks=callbacks)

    def _open(self, topic: PersonTopic, id: str) -> tuple[PersonTopic, Publisher]:
        name = topic.name.format(id=id, person=person_id(id))
        return topic, self._create_publisher(topic.type, name, LATCHED if topic.latched else HRI_QOS)

    def _add(self, camera: str, image: Image, person: Emotion, header: Header) -> _TrackedPerson:
        """Create the topics of a person, and publish those that are latched. The caller holds the lock."""
        publishers = [self._open(topic, person.id) for topic in self._topics]
        for topic, publisher in publishers:
            if topic.latched:
                publisher.publish(*topic.convert(image, person, header))
        self._people[person.id] = _TrackedPerson(camera, publishers)
        return self._people[person.id]

    def _remove(self, condition: Callable[[_TrackedPerson], bool]) -> bool:
        """Remove people and destroy their topics; return whether there were any. The caller holds the lock."""
        ids = [id for id, person in self._people.items() if condition(person)]
        for id in ids:
            for _, publisher in self._people.pop(id).publishers:
                self._node.destroy_publisher(publisher)
            self._publish_match(id, 0.0)
        return bool(ids)

    def _publish_match(self, face_id: str, confidence: float) -> None:
        if self._matches is not None and self._matches.get_subscription_count():
            self._matches.publish(to_match(face_id, confidence))

    def _publish_transforms(self, perception: Perception, header: Header) -> None:
        """Publish the frames of people, once per stamp: tf2 warns of repeated ones. The caller holds the lock."""
        if self._transforms is None or not self._transforms.get_subscription_count():
            return
        seen = {id: person.stamp for id, person in self._people.items()}
        new = [person for person in perception.people if seen.get(person.id) != seconds(header)]
        has_persons = self._matches is not None
        transforms = [to_transforms(person, header, person_id(person.id) if has_persons else "") for person in new]
        if any(transforms):
            self._transforms.publish(TFMessage(transforms=[each for frames in transforms for each in frames]))

    def _publish_lists(self, header: Header) -> None:
        """Publish the ids of everybody tracked. The caller holds the lock."""
        ids = {"faces": list(self._people), "persons": [person_id(id) for id in self._people]}
        for name, publisher in self._lists.items():
            publisher.publish(IdsList(header=header, ids=ids[name.partition("/")[0]]))

    def _current_header(self) -> Header:
        return Header(stamp=self._node.get_clock().now().to_msg())
