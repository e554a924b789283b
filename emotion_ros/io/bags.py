"""Read and write ROS bags (rosbag2, as mcap or sqlite3) by the library rosbags, without ROS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emotion_ros.config.image_limit import MAX_IMAGE_PIXELS
from emotion_ros.errors import ImageError, OutputError, SourceError
from emotion_ros.io.emotion_messages import MessageTypes, emotion_array, seconds, to_perception
from emotion_ros.io.encodings import decode, to_bgr
from emotion_ros.io.event_messages import expression_event, to_event
from emotion_ros.io.frame_clock import FrameClock
from emotion_ros.io.frames import SourceFrame
from emotion_ros.io.records import event_record, perception_record
from emotion_ros.io.topic_names import output_prefixes
from emotion_ros.types import Image, Perception

try:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import (
        Connection,
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )
    from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

    from emotion_ros.io.bag_reader import open_bag, read_messages, typestore
except ModuleNotFoundError as error:
    raise SourceError("bags: rosbags is not installed: pip install rosbags") from error

IMAGE_TYPE, COMPRESSED_IMAGE_TYPE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
EMOTIONS_TYPE, EVENT_TYPE = "emotion_ros/msg/EmotionArray", "emotion_ros/msg/ExpressionEvent"

UNLIMITED = QosTime(9223372036, 854775807)
"""Duration that rosbag2 writes for an unlimited one."""

EMOTIONS_QOS = Qos(
    history=QosHistory.KEEP_LAST,
    depth=5,
    reliability=QosReliability.RELIABLE,
    durability=QosDurability.VOLATILE,
    deadline=UNLIMITED,
    lifespan=UNLIMITED,
    liveliness=QosLiveliness.AUTOMATIC,
    liveliness_lease_duration=UNLIMITED,
    avoid_ros_namespace_conventions=False,
)
"""Profile of the detector's ``emotions``; ``ros2 bag play`` publishes with it, as the detector does."""

OUTPUTS = {
    "emotions": (EMOTIONS_TYPE, EMOTIONS_QOS),
    "events": (EVENT_TYPE, EMOTIONS_QOS._replace(depth=50)),
}
"""Topics that are added to a copy, with their types and profiles."""


def bag_frames(path: Path, max_pixels: int = MAX_IMAGE_PIXELS) -> Iterator[SourceFrame]:
    """Yield the images of all image topics of a bag in the order of recording.

    ``source`` is the topic, ``time`` the stamp of the image in seconds; if the stamps do not advance, it follows the
    times of recording. If a topic is recorded raw and compressed, the
    raw images are taken. An image that cannot be decoded, or has more than ``max_pixels`` (width × height), is None.

    Raises:
        SourceError: the bag cannot be read, or holds no images.
    """
    with open_bag(path) as reader:
        counts: dict[str, int] = {}
        clocks: dict[str, FrameClock] = {}
        for connection, recorded, _, message in read_messages(reader, path, _image_connections(reader, path)):
            topic = _raw_topic(connection.topic)
            number = counts.get(topic, 0)
            counts[topic] = number + 1
            time = clocks.setdefault(topic, FrameClock()).update(seconds(message.header), recorded * 1e-9)
            image, problem = _pixels(message, max_pixels)
            yield SourceFrame(topic, number, time, image, problem=problem)


class BagWithEmotions:
    """A copy of a bag with EmotionArray and ExpressionEvent messages added, on the topics of the detector.

    Args:
        path: the bag.
        copy: folder of the copy; must not exist.

    Raises:
        OutputError: ``copy`` exists.
    """

    def __init__(self, path: Path, copy: Path) -> None:
        self.path = copy
        self._perceptions: dict[tuple[str, int], Perception] = {}
        self._bag = path
        if copy.exists():
            raise OutputError(f"{copy}: already exists; name another folder with --out")

    def add(self, frame: SourceFrame, perception: Perception) -> None:
        """Keep the result of a frame until :meth:`close`."""
        self._perceptions[frame.source, frame.number] = perception

    def close(self) -> None:
        """Write the copy.

        Raises:
            SourceError: the bag cannot be read.
            OutputError: the copy cannot be written.
        """
        try:
            with open_bag(self._bag) as reader:
                images = _image_connections(reader, self._bag)
                with Writer(self.path, version=8, storage_plugin=_storage(self._bag)) as writer:
                    self._copy(reader, writer, images)
        except (OSError, WriterError) as error:
            raise OutputError(f"{self.path}: cannot be written: {error}") from error

    def _copy(self, reader: AnyReader, writer: Writer, images: Sequence[Connection]) -> None:
        store = typestore()
        message_types = _message_types(store)
        event_types = store.types[EVENT_TYPE], store.types["builtin_interfaces/msg/Time"]
        image_ids = {connection.id for connection in images}
        copies = {connection.id: _add_copy(writer, connection, reader.typestore) for connection in reader.connections}
        outputs = {
            topic: [
                writer.add_connection(f"/{prefix.lstrip('/')}{name}", kind, typestore=store, offered_qos_profiles=[qos])
                for name, (kind, qos) in OUTPUTS.items()
            ]
            for topic, prefix in output_prefixes(sorted({_raw_topic(image.topic) for image in images})).items()
        }
        counts: Counter[str] = Counter()
        for connection, time, data, message in read_messages(reader, self._bag, reader.connections, image_ids):
            writer.write(copies[connection.id], time, data)
            if message is not None:
                topic = _raw_topic(connection.topic)
                perception = self._perceptions.get((topic, counts[topic]))
                counts[topic] += 1
                if perception is not None:
                    emotions, events = outputs[topic]
                    for each in perception.events:
                        event = expression_event(each, message.header, *event_types)
                        writer.write(events, time, store.serialize_cdr(event, EVENT_TYPE))
                    array = emotion_array(perception, message.header, message_types)
                    writer.write(emotions, time, store.serialize_cdr(array, EMOTIONS_TYPE))


def perceptions(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the EmotionArray and ExpressionEvent messages of a bag like the lines of ``emotions.jsonl``.

    Yields:
        ``time`` in seconds, ``people`` with id, label, …, and the ``events`` since the line before.

    Raises:
        SourceError: the bag cannot be read, or holds none.
    """
    with open_bag(path) as reader:
        connections = [each for each in reader.connections if each.msgtype in (EMOTIONS_TYPE, EVENT_TYPE)]
        if all(each.msgtype != EMOTIONS_TYPE for each in connections):
            raise SourceError(f"{path}: holds no {EMOTIONS_TYPE}; add them with emotion-ros detect --out")
        events: list[dict[str, Any]] = []
        for connection, _, _, message in read_messages(reader, path, connections):
            try:
                if connection.msgtype == EVENT_TYPE:
                    events.append(event_record(to_event(message)))
                    continue
                people = perception_record(to_perception(message))["people"]
            except ValueError as error:
                raise SourceError(f"{path}: holds emotions whose fields contradict each other: {error}") from error
            yield {"time": seconds(message.header), "people": people, "events": events}
            events = []


def _image_connections(reader: AnyReader, path: Path) -> list[Connection]:
    types = (IMAGE_TYPE, COMPRESSED_IMAGE_TYPE)
    images = [connection for connection in reader.connections if connection.msgtype in types and connection.msgcount]
    raw = {connection.topic for connection in images if connection.msgtype == IMAGE_TYPE}
    chosen = [image for image in images if image.topic in raw or _raw_topic(image.topic) not in raw]
    if not chosen:
        topics = ", ".join(sorted({connection.topic for connection in reader.connections})) or "nothing"
        raise SourceError(f"{path}: expected images ({' or '.join(types)}), it holds {topics}")
    return chosen


def _raw_topic(topic: str) -> str:
    return topic.removesuffix("/compressed")


def _storage(path: Path) -> StoragePlugin:
    return StoragePlugin.MCAP if path.suffix == ".mcap" or any(path.glob("*.mcap")) else StoragePlugin.SQLITE3


def _add_copy(writer: Writer, connection: Connection, store: Any) -> Connection:
    return writer.add_connection(
        connection.topic,
        connection.msgtype,
        typestore=store,
        serialization_format=connection.ext.serialization_format,  # type: ignore[union-attr]
        offered_qos_profiles=connection.ext.offered_qos_profiles,  # type: ignore[union-attr]
    )


def _pixels(message: Any, max_pixels: int) -> tuple[Image | None, str]:
    """Return the pixels of a message, or None and the reason."""
    try:
        if hasattr(message, "format"):
            return decode(message, max_pixels), ""
        return to_bgr(message, max_pixels=max_pixels), ""
    except ImageError as error:
        return None, str(error)


def _message_types(store: Any) -> MessageTypes:
    return MessageTypes(
        store.types[EMOTIONS_TYPE],
        store.types["emotion_ros/msg/Emotion"],
        store.types["emotion_ros/msg/Hand"],
        store.types["sensor_msgs/msg/RegionOfInterest"],
        store.types["geometry_msgs/msg/Point"],
        np.asarray,
    )
