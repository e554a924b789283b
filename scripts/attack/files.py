"""Files of other people: ZIP archives of photos, recorded sessions, and bags."""

import io
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from mutation import extreme, mutate_bytes
from pictures import pictures
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from target import Target, mutations, temporary_folder
from texts import LEAVES, NUMBERS, VALUES, WORDS, values

from emotion_ros.errors import EmotionRosError
from emotion_ros.io.bag_reader import typestore
from emotion_ros.io.bags import IMAGE_TYPE, BagWithEmotions, bag_frames, perceptions
from emotion_ros.io.session_report import report
from emotion_ros.training.data.readers import pictures as data_set
from emotion_ros.training.photo_archive import read_archive
from emotion_ros.types import Box, Emotion, Face, Hand, Perception

FOLDER = temporary_folder()
BAG = FOLDER / "bag"
BAG.mkdir()
MAX_PIXELS = 4_000_000

PACKED = ((StoragePlugin.MCAP, CompressionMode.STORAGE), (StoragePlugin.SQLITE3, CompressionMode.MESSAGE))
"""Ways in which rosbag2 compresses; the files of another, CompressionMode.FILE, are unpacked onto the disk."""

BOX = Box(1.0, 1.0, 4.0, 4.0)
HAND = Hand("left", BOX, 0.9, np.ones((21, 2), np.float32), "fist", 0.8)
FACE = Face(BOX, 0.9, np.zeros((0, 2), np.float32))
PERSON = Emotion("abcde", "happy", 0.9, np.array([0.9, 0.1], np.float32), 0.8, 0.5, FACE, (HAND,))
PERCEPTION = Perception(8, 6, "tiny", ("happy", "sad"), (PERSON,), (HAND,))

ZIP_RECORDS = (b"PK\1\2", b"PK\3\4", b"PK\5\6")
"""Signatures of the central directory, of an entry, and of the end (APPNOTE.TXT of PKWARE, section 4.3)."""


def archives():
    """Return small archives of photos, and one that unpacks to much more than it has."""
    made = []
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    for method, has_bomb in (*((method, False) for method in methods), (zipfile.ZIP_DEFLATED, True)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for number, content in enumerate(pictures()[:3]):
                archive.writestr(f"photos/{number}.png", content)
            archive.writestr("photos/é.png", pictures()[0])
            if has_bomb:
                archive.writestr("photos/bomb.png", bytes(3_000_000))
        made.append(buffer.getvalue())
    return made


def mutate_archive(content, random):
    """Return an archive with changed numbers in one of its records, another name or method, or changed bytes."""
    if random.random() < 0.2:
        return mutate_bytes(content, random)
    data = bytearray(content)
    for _ in range(random.randint(1, 3)):
        signature = random.choice(ZIP_RECORDS)
        place = data.find(signature, random.randrange(len(data)))
        place = place if place >= 0 else data.find(signature)
        size = random.choice((2, 4))
        field = place + random.randrange(4, 46, 2)
        data[field : field + size] = extreme(random, size).to_bytes(size, "little")
    return bytes(data)


def _read_archive(content):
    """Read an archive as photos without labels, and as a data set."""
    path = FOLDER / "photos.zip"
    path.write_bytes(content)
    return any([_is_read(lambda: read_archive(path)), _is_read(lambda: data_set(path, "train"))])


def _is_read(read_values):
    """Return whether all values are read, which is not so if reading them is refused in one line."""
    try:
        return sum(1 for _ in read_values()) > 0
    except EmotionRosError as error:
        if len(str(error).splitlines()) != 1:
            raise AssertionError(f"several lines: {error!r}") from error
        return False


def recordings(number):
    """Yield recorded sessions: lines of any values, and changes of valid ones."""
    valid = {"time": 1.0, "people": [{"id": "abcde", "label": "happy", "confidence": 0.9, "valence": 0.8}]}
    person = st.fixed_dictionaries({"id": WORDS, "label": LEAVES}, optional={"valence": LEAVES})
    lines = st.one_of(
        VALUES,
        st.fixed_dictionaries({"time": VALUES, "people": st.lists(VALUES, max_size=2)}),
        st.fixed_dictionaries({"time": NUMBERS, "people": st.lists(person, max_size=2)}),
    )
    crowd = {"time": 1, "people": [{"id": str(each), "label": str(each)} for each in range(20_000)]}
    yield from (b"[" * 100_000, b'{"time": ' + b"9" * 10_000 + b', "people": []}', b"\xff\xfe", b"\0", b"")
    yield json.dumps(crowd).encode()
    mutated = mutations(mutate_bytes, [(json.dumps(valid).encode() + b"\n") * 2], number)
    for value in values(st.lists(lines, max_size=4), [[valid] * 3], number):
        yield "\n".join(map(json.dumps, value if isinstance(value, list) else [value])).encode()
        yield next(mutated)


def _report(content):
    path = FOLDER / "emotions.jsonl"
    path.write_bytes(content)
    report(path, FOLDER / "report")


def bags(number):
    """Yield small bags: files by name, with changes of the storage or of metadata.yaml."""
    yield from mutations(_mutate_bag, [*[_bag(plugin) for plugin in StoragePlugin], *map(_packed, PACKED)], number)


def _packed(way):
    """Return the files of a compressed bag with an image, and a message of 32 MiB, which takes four times that."""
    plugin, mode = way
    folder, store = Path(tempfile.mkdtemp(dir=FOLDER)) / "bag", typestore()
    writer = Writer(folder, version=8, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        images = writer.add_connection("/image_raw", IMAGE_TYPE, typestore=store)
        writer.write(images, 1, store.serialize_cdr(_image(store, 6, 8), IMAGE_TYPE))
        writer.write(images, 2, bytes(32 << 20))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _image(store, height, width):
    kinds = store.types
    header = kinds["std_msgs/msg/Header"](stamp=kinds["builtin_interfaces/msg/Time"](sec=1, nanosec=0), frame_id="eye")
    return kinds[IMAGE_TYPE](header, height, width, "bgr8", 0, 24, np.zeros(144, np.uint8))


def _bag(plugin):
    """Return the files of a bag with an image, one that claims gigabytes, and a person."""
    folder, store = Path(tempfile.mkdtemp(dir=FOLDER)), typestore()
    with Writer(folder / "images", version=8, storage_plugin=plugin) as writer:
        images = writer.add_connection("/image_raw", IMAGE_TYPE, typestore=store)
        for height, width in ((6, 8), (2**32 - 1, 2**32 - 1)):
            writer.write(images, 1, store.serialize_cdr(_image(store, height, width), IMAGE_TYPE))
    copy = BagWithEmotions(folder / "images", folder / "bag")
    for frame in bag_frames(folder / "images"):
        copy.add(frame, PERCEPTION)
    copy.close()
    return {path.name: path.read_bytes() for path in (folder / "bag").iterdir()}


def _mutate_bag(bag, random):
    """Change the storage or the metadata; remove the metadata at times, as of a recording that was cut off."""
    name = random.choice([*bag, *bag, "without metadata"])
    if name not in bag:
        return {each: mutate_bytes(content, random) for each, content in bag.items() if each != "metadata.yaml"}
    text = random.random() < 0.5 and name == "metadata.yaml"
    return {**bag, name: _mutate_yaml(bag[name], random) if text else mutate_bytes(bag[name], random)}


def _mutate_yaml(content, random):
    """Replace a value of a line."""
    lines = content.split(b"\n")
    place = random.randrange(len(lines))
    values = (b"-1", b"99999999999999999999", b"null", b"[]", b"{}", b"!!int x", b"../../etc/passwd", b"[" * 3000, b"")
    lines[place] = lines[place].partition(b":")[0] + b": " + random.choice(values)
    return b"\n".join(lines)


def _read_bag(bag):
    """Read images and people of a bag; it is refused if neither can be read."""
    for path in BAG.iterdir():
        path.unlink()
    for name, content in bag.items():
        (BAG / name).write_bytes(content)
    path = BAG if "metadata.yaml" in bag else BAG / next(iter(bag))
    return any([_is_read(lambda: bag_frames(path, MAX_PIXELS)), _is_read(lambda: perceptions(path))])


TARGETS = {
    "read ZIP archives of photos": Target(
        lambda seed: mutations(mutate_archive, archives(), seed), _read_archive, (EmotionRosError,), 6_000, 1.0, 100
    ),
    "report recorded sessions": Target(recordings, _report, (EmotionRosError,), 300, 5.0, 200),
    "read bags": Target(bags, _read_bag, (), 1_000, 10.0, 200),
}
