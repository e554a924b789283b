"""Read the messages of a ROS bag by the library rosbags, with the limits of :mod:`emotion_ros.io.unpacking`."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from emotion_ros.config.package_files import find_package_file
from emotion_ros.errors import SourceError
from emotion_ros.io.unpacking import BagBudget, check_chunks, limit_database, limit_rosbags

PACKAGE_MESSAGES = ("Hand", "Emotion", "EmotionArray", "ExpressionEvent")
"""Messages of this package, each after those that it contains."""

MAX_METADATA_BYTES = 4 << 20
"""Size of ``metadata.yaml``, whose reader in rosbags is written in Python."""

MAX_REASON_CHARACTERS = 200
"""Length to which the errors of libraries are cut."""

limit_rosbags()


@functools.cache  # making it takes longer than reading a small bag
def typestore() -> Typestore:
    """Return the standard messages of ROS 2 and those of this package. Nothing may be added to it."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name in PACKAGE_MESSAGES:
        definition = find_package_file(f"msg/{name}.msg").read_text()
        store.register(get_types_from_msg(definition, f"emotion_ros/msg/{name}"))
    return store


@contextmanager
def open_bag(path: Path) -> Iterator[AnyReader]:
    """Open a bag: a folder that rosbag2 wrote, or its storage file.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        _check_files(path)
        reader = AnyReader([path], default_typestore=typestore())
        with _limited_databases(), BagBudget(path).applied():
            reader.open()
        _check(reader)
    except Exception as error:  # see _unreadable
        raise _unreadable(path, error) from error
    try:
        yield reader
    finally:
        reader.close()


def read_messages(
    reader: AnyReader, path: Path, connections: Sequence[Connection], wanted: Collection[int] | None = None
) -> Iterator[tuple[Connection, int, bytes, Any]]:
    """Yield connection, time of recording in nanoseconds, serialized message, and message.

    Args:
        reader: of the bag.
        path: the bag, for the error.
        connections: whose messages are read.
        wanted: ids of connections with messages of a known type; the message of any other is None. None: all.

    Raises:
        SourceError: the bag is broken, has too many messages, or defines those of a known type in another way.
    """
    _check_definitions(reader, path, {each.msgtype for each in connections if wanted is None or each.id in wanted})
    messages, budget = reader.messages(connections), BagBudget(path)
    while True:
        try:
            with budget.applied():
                connection, time, data = next(messages)
            budget.spend_records(1)
            known = wanted is None or connection.id in wanted
            message: Any = reader.deserialize(data, connection.msgtype) if known else None
        except StopIteration:
            return
        except Exception as error:  # see _unreadable
            raise _unreadable(path, error) from error
        yield connection, time, data, message


def _check_files(path: Path) -> None:
    if path.is_dir():
        if (size := (path / "metadata.yaml").stat().st_size) > MAX_METADATA_BYTES:
            raise ValueError(f"expected a metadata.yaml of at most {MAX_METADATA_BYTES} bytes, got {size}")
        if any(each.is_fifo() for each in path.iterdir()):  # opening one would wait
            raise ValueError("expected files, got a pipe")


@contextmanager
def _limited_databases() -> Iterator[None]:
    apsw.connection_hooks.append(limit_database)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(limit_database)


def _check(reader: AnyReader) -> None:
    """Check what rosbags does not.

    Raises:
        ValueError: chunks are too large together or share a place, or a topic has no name.
    """
    bag: Any = reader.readers[0]
    for storage in getattr(bag.storage, "storages", [bag.storage]):  # of a folder, of a file
        check_chunks(getattr(storage, "chunks", ()))
    if not all(isinstance(text, str) for each in reader.connections for text in (each.topic, each.msgtype)):
        raise ValueError("a topic has no name")


def _check_definitions(reader: AnyReader, path: Path, kinds: Collection[str]) -> None:
    """Compare the bag's own definitions of messages, by which rosbags reads them, with those that are known here."""
    known: Any = reader.default_typestore
    for kind in kinds:
        try:
            same = reader.typestore.hash_rihs01(kind) == known.hash_rihs01(kind)
        except Exception:  # of several types, for a definition that refers to one which is missing
            same = False
        if not same:
            package = kind.partition("/")[0]
            found = _difference(reader.typestore, known, package)
            raise SourceError(
                f"{path}: expected {kind} with the fields that this version reads, got {found}; read it with the "
                f"version of {package} that recorded it"
            )


def _difference(theirs: Any, ours: Any, package: str) -> str:
    """Describe the first message of a package that is defined in another way, with names of our fields only."""
    for name, (_, ours_fields) in ours.fielddefs.items():
        if name.partition("/")[0] == package and name in theirs.fielddefs:
            fields, other = dict(ours_fields), dict(theirs.fielddefs[name][1])
            if missing := ", ".join(field for field in fields if field not in other):
                return f"{name} without {missing}"
            if changed := ", ".join(field for field in fields if fields[field] != other[field]):
                return f"{name} with other types of {changed}"
            if len(other) > len(fields):
                return f"{name} with more fields"
    return "others"


def _unreadable(path: Path, error: Exception) -> SourceError:
    """Return the error for a bag that cannot be read.

    rosbags, SQLite and the decompressors raise exceptions of many types for broken bags, also MemoryError for a length
    that no file has.
    """
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    return SourceError(
        f"{path}: expected a ROS bag (mcap, sqlite3), cannot read it: {reason[:MAX_REASON_CHARACTERS]}; if its "
        "recording was cut off, try ros2 bag reindex"
    )
