"""Names of output topics."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence

from emotion_ros.errors import ConfigError


def output_prefixes(topics: Sequence[str]) -> dict[str, str]:
    """Return the prefix of the output topics of each image topic.

    A single topic has no prefix. Several topics have one each: that of ``left/image_raw`` is ``left/``, that of
    ``left_camera`` is ``left_camera/``. Topics that would share a namespace use their full name, so that
    ``left/image_raw`` and ``left/image_rect`` become ``left/image_raw/`` and ``left/image_rect/``.

    Args:
        topics: image topics, absolute (with a leading slash) or relative.

    Returns:
        Topic to prefix, in the order of ``topics``. A prefix is empty or ends with a slash. It is absolute if the topic
        is.

    Raises:
        ConfigError: a topic is named twice, also if the names differ only by a slash at the end.
    """
    _refuse_duplicates(topics)
    if len(topics) == 1:
        return {topics[0]: ""}
    prefixes = {topic: _namespace(topic) for topic in topics}
    while shared := _shared(prefixes):  # a full name may equal another topic's namespace; full names are unique
        prefixes |= {topic: _full_name(topic) for topic in shared}
    return prefixes


def _refuse_duplicates(topics: Sequence[str]) -> None:
    repeated = [name for name, count in Counter(topic.rstrip("/") for topic in topics).items() if count > 1]
    if repeated:
        raise ConfigError(f"image_topics: expected different topics, got {repeated[0]!r} twice; name each topic once")


def _shared(prefixes: dict[str, str]) -> list[str]:
    """Return the topics whose prefix another topic has too, and that do not use their full name yet."""
    counts = Counter(prefix.strip("/") for prefix in prefixes.values())
    return [
        topic for topic, prefix in prefixes.items() if counts[prefix.strip("/")] > 1 and prefix != _full_name(topic)
    ]


def _namespace(topic: str) -> str:
    folder, name = posixpath.split(topic.rstrip("/"))
    if not name.startswith("image") or not folder.strip("/"):
        return _full_name(topic)
    return f"{folder}/"


def _full_name(topic: str) -> str:
    return f"{topic.rstrip('/')}/"
