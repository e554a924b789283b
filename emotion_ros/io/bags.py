"""Recordings of ROS (rosbag2, as mcap or sqlite3), read and written without ROS by the library rosbags."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from emotion_ros.config.package_files import find_of_package
from emotion_ros.errors import ImageError, OutputError, SourceError
from emotion_ros.io.emotion_messages import MessageTypes, emotion_array, seconds, to_perception
from emotion_ros.io.encodings import decode, to_bgr
from emotion_ros.io.frames import SourceFrame
from emotion_ros.io.records import perception_record
from emotion_ros.io.topic_names import topic_prefix
from emotion_ros.types import Image, Perception

IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
OURS = ("Hand", "Emotion", "EmotionArray")
"""Messages of this package, each after those it is made of."""


def bag_frames(path: Path) -> Iterator[SourceFrame]:
    """The images of all image topics of a bag, in the order they were recorded.

    ``source`` is the topic, ``time`` the stamp of the image in seconds. Where a topic is there raw and compressed, the
    raw images are taken.

    Raises:
        SourceError: the bag cannot be read, or holds no images.
    """
    with _reader(path) as reader:
        numbers: dict[str, int] = {}
        for connection, _, data in reader.messages(_images(reader, path)):
            message: Any = reader.deserialize(data, connection.msgtype)
            topic = _raw(connection.topic)
            numbers[topic] = numbers.get(topic, -1) + 1
            yield SourceFrame(topic, numbers[topic], seconds(message.header), _pixels(message))


class BagWithEmotions:
    """A copy of a bag, to which EmotionArray messages are added as the detector would publish them.

    Args:
        path: the bag.
        folder: the copy is a folder in it, with the bag's name.

    Raises:
        SourceError: the bag cannot be read.
        OutputError: the copy is there already, or cannot be written.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = folder / path.stem
        self._perceptions: dict[tuple[str, float], Perception] = {}
        self._bag = path
        if self.path.exists():
            raise OutputError(f"{self.path}: is there already; name another folder with --out")

    def add(self, frame: SourceFrame, perception: Perception) -> None:
        """Keep what was perceived in a frame."""
        self._perceptions[frame.source, frame.time] = perception

    def close(self) -> None:
        """Write the copy.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with _reader(self._bag) as reader, Writer(self.path, version=8, storage_plugin=_kind(self._bag)) as writer:
                self._copy(reader, writer)
        except (OSError, WriterError) as error:
            raise OutputError(f"{self.path}: cannot be written: {error}") from error

    def _copy(self, reader: AnyReader, writer: Writer) -> None:
        store = types()
        copies = {each.id: _same(writer, each, reader.typestore) for each in reader.connections}
        images = _images(reader, self._bag)
        pictured = {each.id for each in images}
        topics = {_raw(each.topic) for each in images}
        kinds = _kinds(store)
        added = {
            topic: writer.add_connection(
                f"/{topic_prefix(topic.lstrip('/'), len(topics) == 1)}emotions",
                "emotion_ros/msg/EmotionArray",
                typestore=store,
            )
            for topic in topics
        }
        for connection, time, data in reader.messages():
            writer.write(copies[connection.id], time, data)
            if connection.id in pictured:
                message: Any = reader.deserialize(data, connection.msgtype)
                topic = _raw(connection.topic)
                perception = self._perceptions.get((topic, seconds(message.header)))
                if perception is not None:
                    emotions = emotion_array(perception, message.header, kinds)
                    writer.write(added[topic], time, store.serialize_cdr(emotions, "emotion_ros/msg/EmotionArray"))


def perceptions(path: Path) -> Iterator[dict[str, Any]]:
    """The EmotionArray messages of a bag as the lines of ``emotions.jsonl``: time, and people with id, label, …

    Raises:
        SourceError: the bag cannot be read, or holds none.
    """
    with _reader(path) as reader:
        ours = [each for each in reader.connections if each.msgtype == "emotion_ros/msg/EmotionArray"]
        if not ours:
            raise SourceError(f"{path}: holds no emotion_ros/msg/EmotionArray; add them with emotion-ros detect --out")
        for connection, _, data in reader.messages(ours):
            message: Any = reader.deserialize(data, connection.msgtype)
            yield {
                "time": seconds(message.header),
                "people": perception_record(to_perception(message))["people"],
            }


def types() -> Typestore:
    """The standard messages of ROS 2, and ours."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name in OURS:
        text = find_of_package(f"msg/{name}.msg").read_text()
        store.register(get_types_from_msg(text, f"emotion_ros/msg/{name}"))
    return store


@contextmanager
def _reader(path: Path) -> Iterator[AnyReader]:
    try:
        reader = AnyReader([path], default_typestore=types())
        reader.open()
    except (AnyReaderError, OSError, ValueError, AssertionError) as error:
        raise SourceError(
            f"{path}: expected a bag of ROS (mcap, sqlite3), cannot read it: {error}; was its recording cut off? "
            "ros2 bag reindex may mend it"
        ) from error
    try:
        yield reader
    finally:
        reader.close()


def _images(reader: AnyReader, path: Path) -> list[Connection]:
    found = [each for each in reader.connections if each.msgtype in IMAGES and each.msgcount]
    raw = {each.topic for each in found if each.msgtype == IMAGES[0]}
    chosen = [each for each in found if each.topic in raw or _raw(each.topic) not in raw]
    if not chosen:
        topics = ", ".join(sorted({each.topic for each in reader.connections})) or "nothing"
        raise SourceError(f"{path}: expected images ({' or '.join(IMAGES)}), it holds {topics}")
    return chosen


def _raw(topic: str) -> str:
    return topic.removesuffix("/compressed")


def _kind(path: Path) -> StoragePlugin:
    mcap = path.suffix == ".mcap" or any(path.glob("*.mcap"))
    return StoragePlugin.MCAP if mcap else StoragePlugin.SQLITE3


def _same(writer: Writer, connection: Connection, store: Typestore) -> Connection:
    return writer.add_connection(
        connection.topic,
        connection.msgtype,
        typestore=store,
        serialization_format=connection.ext.serialization_format,  # type: ignore[union-attr]
        offered_qos_profiles=connection.ext.offered_qos_profiles,  # type: ignore[union-attr]
    )


def _pixels(message: Any) -> Image | None:
    try:
        return decode(message) if hasattr(message, "format") else to_bgr(message)
    except ImageError:
        return None


def _kinds(store: Typestore) -> MessageTypes:
    return MessageTypes(
        store.types["emotion_ros/msg/EmotionArray"],
        store.types["emotion_ros/msg/Emotion"],
        store.types["emotion_ros/msg/Hand"],
        store.types["sensor_msgs/msg/RegionOfInterest"],
        store.types["geometry_msgs/msg/Point"],
        np.asarray,
    )
