"""Bags written like ros2 bag writes them: read, copied with emotions, and summarized."""

import csv
import json
import shutil

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from emotion_ros.errors import SourceError
from emotion_ros.io.bag_reader import typestore
from emotion_ros.io.bags import bag_frames, perceptions
from emotion_ros.io.person_timeline import PersonTimeline
from emotion_ros.io.session_report import event_table, group_table, report, table
from emotion_ros.nodes.qos import PUBLISH

FRAMES = 12


@pytest.fixture
def record(tmp_path, portrait):
    """A function that writes a bag of a portrait as raw or compressed images, with another topic beside them."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    kinds = store.types

    def message(kind, index):
        stamp = kinds["builtin_interfaces/msg/Time"](sec=100 + index // 10, nanosec=index % 10 * 100_000_000)
        header = kinds["std_msgs/msg/Header"](stamp=stamp, frame_id="eye")
        if kind.endswith("CompressedImage"):
            return kinds[kind](header=header, format="jpeg", data=cv2.imencode(".jpg", portrait)[1].ravel())
        height, width = portrait.shape[:2]
        data = cv2.cvtColor(portrait, cv2.COLOR_BGR2RGB).ravel()
        return kinds[kind](header, height, width, "rgb8", 0, 3 * width, data)

    def write(topics, storage=StoragePlugin.MCAP, frames=FRAMES, stamped=True):
        path = tmp_path / "session"
        with Writer(path, version=8, storage_plugin=storage) as writer:
            made = {topic: writer.add_connection(topic, kind, typestore=store) for topic, kind in topics.items()}
            note = writer.add_connection("/note", "std_msgs/msg/String", typestore=store)
            for index in range(frames):
                for topic, kind in topics.items():
                    writer.write(
                        made[topic],
                        index * 100_000_000,
                        store.serialize_cdr(message(kind, index if stamped else 0), kind),
                    )
            text = kinds["std_msgs/msg/String"](data="kept")
            writer.write(note, 5, store.serialize_cdr(text, "std_msgs/msg/String"))
        return path

    return write


RAW, JPEG = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("topics", [{"/camera/image_raw": RAW}, {"/camera/image_raw/compressed": JPEG}])
def test_images_of_a_bag_come_in_order_with_their_stamps(record, portrait, topics, storage):
    frames = list(bag_frames(record(topics, storage)))
    assert [frame.number for frame in frames] == list(range(FRAMES))
    assert [frame.time for frame in frames] == pytest.approx([100 + index / 10 for index in range(FRAMES)])
    assert {frame.source for frame in frames} == {"/camera/image_raw"}
    assert np.abs(frames[3].image.astype(int) - portrait).mean() < 3


def test_bag_without_stamps_follows_the_times_of_recording(record, command_line, tmp_path):
    bag = record({"/camera/image_raw": RAW}, stamped=False)
    times = [frame.time for frame in bag_frames(bag)]
    assert [later - times[0] for later in times] == pytest.approx([index / 10 for index in range(FRAMES)])
    assert command_line("detect", bag, "--out", tmp_path / "out", "--no-hands").returncode == 0
    assert len(list(perceptions(tmp_path / "out" / "session"))) == FRAMES


def test_raw_images_are_preferred_to_compressed_ones(record, portrait):
    frames = list(bag_frames(record({"/image_raw": RAW, "/image_raw/compressed": JPEG})))
    assert len(frames) == FRAMES
    assert np.array_equal(frames[0].image, portrait)


@pytest.mark.parametrize(
    ("topics", "added"),
    [
        ({"/camera/image_raw": RAW}, {"/emotions"}),
        ({"/left/image_raw": RAW, "/right/image_raw/compressed": JPEG}, {"/left/emotions", "/right/emotions"}),
        (
            {"/left/image_raw": RAW, "/left/image_rect": RAW, "/image_raw": JPEG},
            {"/left/image_raw/emotions", "/left/image_rect/emotions", "/image_raw/emotions"},
        ),
    ],
)
def test_detect_writes_the_bag_with_emotions_added(record, command_line, tmp_path, topics, added):
    bag = record(topics)
    result = command_line("detect", bag, "--out", tmp_path / "out", "--no-hands", "--json")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == FRAMES * len(topics)
    with AnyReader([tmp_path / "out" / "session"], default_typestore=typestore()) as reader:
        kinds = {each.topic: (each.msgtype, each.msgcount) for each in reader.connections}
        assert {topic for topic, (kind, _) in kinds.items() if kind.endswith("EmotionArray")} == added
        assert all(kinds[topic] == ("emotion_ros/msg/EmotionArray", FRAMES) for topic in added)
        assert kinds["/note"][1] == 1
        assert all(kinds[topic] == (kind, FRAMES) for topic, kind in topics.items())
        emotions = [each for each in reader.connections if each.topic in added]
        messages = [reader.deserialize(data, each.msgtype) for each, _, data in reader.messages(emotions)]
    assert all(each.header.frame_id == "eye" for each in messages)
    assert {person.label for each in messages for person in each.emotions} == {"happy"}
    assert {topic for topic, (kind, _) in kinds.items() if kind.endswith("ExpressionEvent")} == {
        topic.removesuffix("emotions") + "events" for topic in added
    }
    assert messages[0].labels[messages[0].emotions[0].probabilities.argmax()] == "happy"
    for each in emotions:
        (profile,) = each.ext.offered_qos_profiles
        assert profile.depth == PUBLISH.depth
        for policy in ("history", "reliability", "durability"):
            assert getattr(profile, policy).name == getattr(PUBLISH, policy).name

    again = command_line("detect", bag, "--out", tmp_path / "out", "--no-hands")
    assert again.returncode == 1
    assert "already exists" in again.stderr


def test_bag_with_emotions_beside_its_bag_gets_another_name(record, command_line, tmp_path):
    bag = record({"/image_raw": RAW})
    before = [(path, path.read_bytes()) for path in bag.iterdir()]
    assert command_line("detect", bag, "--out", tmp_path, "--no-hands").returncode == 0
    assert len(list(perceptions(tmp_path / "session_annotated"))) == FRAMES
    assert [(path, path.read_bytes()) for path in bag.iterdir()] == before


def test_bags_of_equal_names_and_one_that_is_broken_do_not_cost_the_others(record, command_line, tmp_path):
    bag = record({"/image_raw": RAW})
    for name in ("a", "b"):
        shutil.copytree(bag, tmp_path / name / "session")
    (tmp_path / "broken.mcap").write_text("no bag")
    sources = [tmp_path / "a" / "session", tmp_path / "broken.mcap", tmp_path / "b" / "session"]
    result = command_line("detect", *sources, "--out", tmp_path / "out", "--no-hands")
    assert result.returncode == 1
    assert "1 could not be read" in result.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a_session", "b_session"}
    assert len(list(perceptions(tmp_path / "out" / "b_session"))) == FRAMES


def test_report_of_a_bag_has_a_row_per_person(record, command_line, tmp_path):
    bag = record({"/image_raw": RAW}, frames=30)
    assert command_line("detect", bag, "--out", tmp_path / "out", "--no-hands").returncode == 0
    assert len(list(perceptions(tmp_path / "out" / "session"))) == 30
    result = command_line("report", tmp_path / "out" / "session", "--out", tmp_path / "report")
    assert result.returncode == 0, result.stderr
    (row,) = csv.DictReader((tmp_path / "report" / "people.csv").open())
    assert float(row["happy"]) > 0.9
    assert float(row["seen s"]) == pytest.approx(3.0, abs=0.2)
    assert row["id"] in result.stdout
    (event,) = csv.DictReader((tmp_path / "report" / "events.csv").open())
    assert (event["id"], event["from"], event["to"]) == (row["id"], "", "happy")
    assert float(event["onset"]) == pytest.approx(0.0, abs=1e-3)
    picture = cv2.imread(str(tmp_path / "report" / "timeline.png"))
    assert (picture == (40, 200, 250)).all(-1).mean() > 0.1  # the colour of happy


def test_report_reads_what_the_recorder_writes(tmp_path):
    path = tmp_path / "emotions.jsonl"
    people = [{"id": "abcde", "label": "happy", "valence": 0.8}]
    lines = [{"time": 50 + step / 10, "people": people if step < 20 else []} for step in range(40)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (person,) = report(path, tmp_path / "out")
    (row,) = table([person])
    assert (row["id"], row["from s"], row["happy"], row["valence"]) == ("abcde", 0.0, 1.0, 0.8)
    assert row["seen s"] == pytest.approx(2.0)


def test_report_tells_engagement_and_changes_of_expression(tmp_path):
    path = tmp_path / "emotions.jsonl"
    change = {
        "id": "abcde",
        "from": "happy",
        "to": "sad",
        "onset": 52.0,
        "confidence": 0.7,
        "peak": 0.9,
        "duration": 2.0,
    }
    lines = []
    for step in range(40):
        level, label = ("engaged", "happy") if step < 20 else ("disengaging", "sad")
        person = {"id": "abcde", "label": label, "valence": 0.8, "attention": step < 20, "engagement": level}
        lines.append({"time": 50 + step / 10, "people": [person], "events": [change] if step == 23 else []})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    people = report(path, tmp_path / "out")
    (row,) = table(people)
    assert (row["attention"], row["engaged s"], row["events"]) == (0.5, pytest.approx(2.0), 1)
    (event,) = event_table(people)
    assert (event["to"], event["onset"], event["duration"]) == ("sad", 2.0, 2.0)
    picture = cv2.imread(str(tmp_path / "out" / "timeline.png"))
    assert (picture == (220, 140, 60)).all(-1).mean() > 0.05  # the colour of sad

    path.write_text('{"time": 1, "people": [], "events": [{"id": "a"}]}\n')
    with pytest.raises(SourceError, match="line 1"):
        report(path, tmp_path / "out")


def test_report_tells_how_many_people_are_in_view_and_attend(tmp_path):
    def seen(id, attention):
        return {"id": id, "label": "happy", "valence": 0.8 if id == "a" else -0.2, "attention": attention}

    path = tmp_path / "emotions.jsonl"
    seconds = [[seen("a", 0.9)], [seen("a", 0.9), seen("b", 0.1)], [], [seen("b", None)]]
    lines = [{"time": 50 + step / 10, "people": seconds[step // 10]} for step in range(40)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [tuple(row.values()) for row in group_table(report(path, tmp_path / "out"))]
    assert rows == [(0, 1, 1, 0.8), (1, 2, 1, 0.3), (3, 1, 0, -0.2)]
    assert (tmp_path / "out" / "group.csv").read_text().splitlines()[:2] == [
        "second,people,attending,valence",
        "0,1,1,0.8",
    ]


def test_report_takes_the_folder_around_a_recording(record, command_line, tmp_path):
    bag = record({"/image_raw": RAW}, frames=30)
    assert command_line("detect", bag, "--out", tmp_path / "out", "--no-hands").returncode == 0
    inner = report(tmp_path / "out" / "session", tmp_path / "inner")
    outer = report(tmp_path / "out", tmp_path / "outer")
    assert table(outer) == table(inner)

    (tmp_path / "out" / "emotions.jsonl").write_text("")
    with pytest.raises(SourceError, match=r"expected one .*, found emotions\.jsonl, session; name one"):
        report(tmp_path / "out", tmp_path / "report")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="found none"):
        report(tmp_path / "empty", tmp_path / "report")


def test_time_in_which_a_person_is_absent_does_not_count():
    person = PersonTimeline("abcde", [0.0, 0.1, 0.2, 30.0, 30.1], ["happy", "happy", "sad", "sad", "sad"])
    assert sum(person.steps) == pytest.approx(0.5)
    assert person.seconds()["sad"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("emotions.jsonl", "", "found none"),
        ("emotions.jsonl", '{"time": 1}\n', "line 1"),
        ("emotions.jsonl", "smile\n", "line 1"),
        ("broken.mcap", "no bag", "bag"),
        ("broken.db3", "no bag", "bag"),
    ],
)
def test_report_of_an_unusable_file_is_one_clear_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(SourceError, match=message):
        report(tmp_path / name, tmp_path / "out")


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"time": 1e999, "people": []}',
        b'{"time": 1, "people": [{"id": "a"}]}',
        b'{"time": 1, "people": ["a"]}',
        b'{"time": 1, "people": [{"id": "a", "label": "happy", "valence": "x"}]}',
    ],
)
def test_report_of_a_line_that_no_recorder_writes_is_one_clear_line(tmp_path, line):
    (tmp_path / "emotions.jsonl").write_bytes(line)
    with pytest.raises(SourceError, match="line 1: expected time and people") as refused:
        report(tmp_path / "emotions.jsonl", tmp_path / "out")
    assert len(str(refused.value).splitlines()) == 1


def crowd(path, people, labels):
    lines = [{"time": 1, "people": [{"id": str(each), "label": str(each % labels)} for each in range(people)]}]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_report_of_thousands_of_people_has_a_picture_of_some(tmp_path):
    rows = table(report(crowd(tmp_path / "emotions.jsonl", 3000, 3), tmp_path / "out"))
    assert len(rows) == 3000
    assert cv2.imread(str(tmp_path / "out" / "timeline.png")).shape[0] < 15_000


def test_report_of_stamps_that_jump_by_decades_has_a_gap(tmp_path):
    person = {"id": "a", "label": "happy", "valence": 0.5}
    lines = [json.dumps({"time": time, "people": [person]}) for time in (0.0, 0.5, 1.7e9)]
    (tmp_path / "emotions.jsonl").write_text("\n".join(lines))
    assert len(table(report(tmp_path / "emotions.jsonl", tmp_path / "out"))) == 1


def test_report_of_thousands_of_labels_is_refused(tmp_path):
    with pytest.raises(SourceError, match="at most 100 different labels in a session, got 3000"):
        report(crowd(tmp_path / "emotions.jsonl", 3000, 3000), tmp_path / "out")


def mutated(content, random):
    """The content with a few bytes changed, in its beginning or anywhere."""
    data = bytearray(content)
    for _ in range(random.integers(1, 4)):
        place = int(random.integers(0, min(len(data), int(random.choice([300, len(data)])))))
        data[place : place + 2] = random.choice([b"\xff\xff", b"\x00\x00", b"\x7f"])
    return bytes(data)


@pytest.mark.parametrize("storage", StoragePlugin)
def test_bag_with_changed_bytes_is_read_or_refused(record, tmp_path, storage):
    """Also its metadata.yaml, and without it, as after a crash of the recording."""
    bag, random = record({"/image_raw": JPEG}, storage, frames=2), np.random.default_rng(0)
    (bag / "metadata.yaml").write_text("[" * 3000)
    with pytest.raises(SourceError, match="expected a ROS bag"):
        list(bag_frames(bag))
    (file,) = (each for each in bag.iterdir() if each.name != "metadata.yaml")
    content, refusals = file.read_bytes(), []
    changed = tmp_path / file.name
    for _ in range(60):
        changed.write_bytes(mutated(content, random))
        try:
            list(bag_frames(changed))
        except SourceError as error:
            refusals.append(str(error))
    assert len(refusals) > 5
    assert all(len(text.splitlines()) == 1 for text in refusals)


def test_bag_without_images_and_cut_off_bag_are_one_clear_line(record, command_line, tmp_path):
    silent = record({})
    result = command_line("detect", silent, "--no-hands")
    assert result.returncode == 1
    assert "/note" in result.stderr
    assert "Traceback" not in result.stderr
    (storage,) = silent.glob("*.mcap")
    storage.write_bytes(storage.read_bytes()[:200])
    result = command_line("detect", silent, "--no-hands")
    assert result.returncode == 1
    assert "cannot read it" in result.stderr
    assert "Traceback" not in result.stderr
