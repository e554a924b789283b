"""Bags of a few kilobytes that unpack to gigabytes, compute their values, or define messages of their own."""

import os
import re
import sqlite3
import sys
from subprocess import run

import lz4.frame
import numpy as np
import pytest
from backports import zstd
from hostile_bags import IMAGE, frame_of_zeros, mcap, message_record
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from emotion_ros.errors import SourceError
from emotion_ros.io import unpacking
from emotion_ros.io.bag_reader import typestore
from emotion_ros.io.bags import EMOTIONS_TYPE, bag_frames, perceptions

LARGE_BYTES = 3 << 29
"""Size that hostile parts unpack to, 1.5 GiB."""

READ = """
import re, resource, sys, time
from pathlib import Path
from emotion_ros.errors import SourceError
from emotion_ros.io.bags import bag_frames

now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (1 << 30),) * 2)
try:
    print(len(list(bag_frames(Path(sys.argv[1])))))
except SourceError as error:
    print(error)
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]  # getrusage's has the parent's
print(round(time.process_time()), int(peak) >> 10)
"""
"""Reads a bag with 1 GiB of memory more than the libraries have, and prints the error, seconds and MiB."""


def read_with_little_memory(path):
    """The error, the processor time in seconds, and the memory in MiB."""
    done = run([sys.executable, "-c", READ, path], capture_output=True, text=True, timeout=120, check=True)
    error, figures = done.stdout.splitlines()
    seconds, mebibytes = map(int, figures.split())
    return error, seconds, mebibytes


def image(store=None):
    kinds = (store or typestore()).types
    header = kinds["std_msgs/msg/Header"](stamp=kinds["builtin_interfaces/msg/Time"](sec=1, nanosec=0), frame_id="eye")
    return kinds[IMAGE](header, 6, 8, "bgr8", 0, 24, np.full(144, 7, np.uint8))


@pytest.fixture
def bag(tmp_path):
    """A function that writes a bag of equal images, at 100 Hz, in a way of compression."""

    def write(plugin, mode=CompressionMode.NONE, data=None, count=1):
        store = typestore()
        writer = Writer(tmp_path / "bag", version=8, storage_plugin=plugin)
        if mode is not CompressionMode.NONE:
            writer.set_compression(mode, CompressionFormat.ZSTD)
        with writer:
            topic = writer.add_connection("/image_raw", IMAGE, typestore=store)
            content = store.serialize_cdr(image(), IMAGE) if data is None else data
            for number in range(count):
                writer.write(topic, 1 + number * 10_000_000, content)
        return tmp_path / "bag"

    return write


def declare_compression(folder, mode):
    """Let the metadata of a bag say that its messages, or its file, are compressed."""
    metadata = folder / "metadata.yaml"
    text = metadata.read_text()
    lines = [line for line in text.splitlines() if "compression_" not in line]
    place = next(number for number, line in enumerate(lines) if "storage_identifier" in line)
    indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
    lines[place:place] = [f"{indent}compression_format: zstd", f"{indent}compression_mode: {mode}"]
    metadata.write_text("\n".join(lines))


COMPRESSIONS = [
    (StoragePlugin.MCAP, CompressionMode.STORAGE),
    (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    (StoragePlugin.MCAP, CompressionMode.FILE),
    (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    (StoragePlugin.SQLITE3, CompressionMode.FILE),
]


@pytest.mark.parametrize(("plugin", "mode"), COMPRESSIONS)
def test_compressed_bag_is_read(bag, plugin, mode):
    (frame,) = bag_frames(bag(plugin, mode))
    assert frame.image.shape == (6, 8, 3)


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize(("compression", "compress"), [("zstd", zstd.compress), ("lz4", lz4.frame.compress)])
def test_compressed_chunk_is_read(tmp_path, compression, compress, indexed):
    record = message_record(bytes(typestore().serialize_cdr(image(), IMAGE)))
    (tmp_path / "bag.mcap").write_bytes(mcap(compression, compress(record), len(record), indexed))
    assert len(list(bag_frames(tmp_path / "bag.mcap"))) == 1


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("size", [100, 300 << 20, LARGE_BYTES])
@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_chunk_that_unpacks_to_gigabytes_is_refused(tmp_path, compression, size, indexed):
    """Also one that states a size which is allowed."""
    path = tmp_path / "bag.mcap"
    path.write_bytes(mcap(compression, frame_of_zeros(compression, LARGE_BYTES), size, indexed))
    error, seconds, mebibytes = read_with_little_memory(path)
    assert "at most" in error
    assert seconds < 10
    assert mebibytes < 1000


def test_chunks_of_one_time_are_refused_if_they_are_large_together(tmp_path):
    path, size = tmp_path / "bag.mcap", 100 << 20
    path.write_bytes(mcap("zstd", frame_of_zeros("zstd", size), size, repeated=40))
    error, seconds, mebibytes = read_with_little_memory(path)
    assert "chunks of at most 320 MiB at a time" in error
    assert seconds < 10
    assert mebibytes < 500


def test_chunk_of_a_million_empty_messages_is_refused(tmp_path):
    content = message_record() * 1_000_000
    (tmp_path / "bag.mcap").write_bytes(mcap("zstd", zstd.compress(content), len(content)))
    with pytest.raises(SourceError, match="at most 250000 records in a chunk"):
        list(bag_frames(tmp_path / "bag.mcap"))


@pytest.mark.parametrize(("plugin", "mode"), COMPRESSIONS)
def test_long_bag_of_equal_images_is_read(bag, monkeypatch, plugin, mode):
    monkeypatch.setattr(unpacking, "MAX_SMALL_RECORDS", 0)  # as for a bag so long that this number does not matter
    assert len(list(bag_frames(bag(plugin, mode, count=2_000)))) == 2_000


@pytest.mark.parametrize("indexed", [True, False])
def test_bag_of_some_kilobytes_with_millions_of_empty_messages_is_refused(tmp_path, indexed):
    path, content = tmp_path / "bag.mcap", message_record() * 240_000
    path.write_bytes(mcap("zstd", zstd.compress(content), len(content), indexed, copies=10))
    assert path.stat().st_size < 20_000
    error, seconds, mebibytes = read_with_little_memory(path)
    assert re.search("expected at most 2..... records in a bag of this size", error)
    assert seconds < 10
    assert mebibytes < 500


def test_chunk_that_is_indexed_twice_is_refused(tmp_path):
    record = message_record(bytes(typestore().serialize_cdr(image(), IMAGE)))
    (tmp_path / "bag.mcap").write_bytes(mcap("zstd", zstd.compress(record), len(record), repeated=2))
    with pytest.raises(SourceError, match="got two at the same"):
        list(bag_frames(tmp_path / "bag.mcap"))


def test_database_whose_topics_multiply_its_messages_is_refused(bag):
    (file,) = bag(StoragePlugin.SQLITE3).glob("*.db3")
    database = sqlite3.connect(file)
    database.executescript(
        "CREATE TABLE others AS SELECT * FROM topics; DROP TABLE topics; ALTER TABLE others RENAME TO topics;"
        "INSERT INTO topics SELECT * FROM topics"
    )
    database.close()
    with pytest.raises(SourceError, match="topics with an id of their own"):
        list(bag_frames(file.parent))


def test_chunk_that_is_cut_off_is_refused(tmp_path):
    content = message_record(bytes(1000))
    (tmp_path / "bag.mcap").write_bytes(mcap("zstd", zstd.compress(content)[:-4], len(content)))
    with pytest.raises(SourceError, match="got a part of one"):
        list(bag_frames(tmp_path / "bag.mcap"))


@pytest.mark.parametrize("plugin", StoragePlugin)
def test_compressed_message_that_unpacks_to_gigabytes_is_refused(bag, plugin):
    folder = bag(plugin, data=frame_of_zeros("zstd", LARGE_BYTES))
    declare_compression(folder, "message")
    error, seconds, mebibytes = read_with_little_memory(folder)
    assert "unpacks to at most" in error
    assert seconds < 10
    assert mebibytes < 1000


def test_compressed_file_that_unpacks_to_gigabytes_is_refused_and_leaves_no_file(bag, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    folder = bag(StoragePlugin.SQLITE3, CompressionMode.FILE)
    (file,) = folder.glob("*.zstd")
    file.write_bytes(frame_of_zeros("zstd", LARGE_BYTES))
    error, seconds, mebibytes = read_with_little_memory(folder)
    assert "files that unpack to at most" in error
    assert seconds < 10
    assert mebibytes < 500
    assert not list((tmp_path / "temporary").iterdir())


def test_compressed_file_that_is_listed_many_times_is_refused(bag):
    folder = bag(StoragePlugin.SQLITE3, CompressionMode.FILE)
    (file,) = folder.glob("*.zstd")
    file.write_bytes(frame_of_zeros("zstd", 200 << 20))
    metadata = folder / "metadata.yaml"
    entry = re.search(rf"^ +- .*{file.name}.*\n", metadata.read_text(), re.M)[0]
    metadata.write_text(metadata.read_text().replace(entry, entry * 100, 1))
    with pytest.raises(SourceError, match="files that unpack to at most"):
        list(bag_frames(folder))


def test_database_that_computes_its_values_is_refused(bag):
    folder = bag(StoragePlugin.SQLITE3)
    (file,) = folder.glob("*.db3")
    database = sqlite3.connect(file)
    database.executescript(
        "ALTER TABLE messages RENAME TO others;"
        "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER,"
        " data BLOB GENERATED ALWAYS AS (zeroblob(900000000)) VIRTUAL);"
        "INSERT INTO messages(topic_id, timestamp) VALUES (1, 1), (1, 2)"
    )
    database.close()
    error, seconds, mebibytes = read_with_little_memory(folder)
    assert "expected tables" in error
    assert seconds < 10
    assert mebibytes < 500


def test_bag_with_a_pipe_or_long_metadata_is_refused_at_once(bag):
    folder = bag(StoragePlugin.MCAP)
    metadata = folder / "metadata.yaml"
    metadata.write_bytes(metadata.read_bytes() + b"#" * (5 << 20))
    with pytest.raises(SourceError, match=r"expected a metadata\.yaml of at most"):
        list(bag_frames(folder))
    (file,) = folder.glob("*.mcap")
    file.unlink()
    os.mkfifo(file)
    metadata.write_bytes(metadata.read_bytes()[: -(5 << 20)])
    with pytest.raises(SourceError, match="got a pipe"):
        list(bag_frames(folder))


TIME = {"builtin_interfaces/msg/Time": "int32 sec\nuint32 nanosec\n"}
FIELDS = (
    "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\n"
    "uint8 is_bigendian\nuint32 step\nuint8[] data\n"
)
HEADER = {**TIME, "std_msgs/msg/Header": "builtin_interfaces/Time stamp\nstring frame_id\n"}


@pytest.mark.parametrize(
    ("read", "kind", "definition", "difference"),
    [
        (bag_frames, IMAGE, "string data\n", "without header, height, width, encoding, is_bigendian, step"),
        (bag_frames, IMAGE, FIELDS.replace("uint32 height", "string height"), "with other types of height"),
        (bag_frames, IMAGE, f"{FIELDS}string secret\n", "with more fields"),
        (
            perceptions,
            EMOTIONS_TYPE,
            "string header\nstring emotions\nstring hands\n",
            "without model, labels, width, height",
        ),
    ],
)
@pytest.mark.parametrize("plugin", StoragePlugin)
def test_bag_that_defines_messages_of_its_own_is_refused(tmp_path, plugin, read, kind, definition, difference):
    """Definitions that a bag holds are those by which its messages are read."""
    store = get_typestore(Stores.EMPTY)
    for name, text in {**HEADER, kind: definition}.items():
        store.register(get_types_from_msg(text, name))
    values = {"header": "a", "width": 8, "is_bigendian": 0, "step": 24, "data": "a"}
    kinds = store.types
    if "std_msgs" in definition:
        values["header"] = kinds["std_msgs/msg/Header"](kinds["builtin_interfaces/msg/Time"](1, 0), "eye")
        values["data"] = np.zeros(144, np.uint8)
        values["height"] = "6" if "string height" in definition else 6
    message = kinds[kind](
        **{name: values.get(name, "a") for name in kinds[kind].__dataclass_fields__ if name[0] != "_"}
    )
    with Writer(tmp_path / "bag", version=8, storage_plugin=plugin) as writer:
        topic = writer.add_connection("/image_raw", kind, typestore=store)
        writer.write(topic, 1, store.serialize_cdr(message, kind))
    message = (
        f"expected {kind} with the fields that this version reads, got {kind} {difference}; read it with the version"
    )
    with pytest.raises(SourceError, match=message):
        list(read(tmp_path / "bag"))
