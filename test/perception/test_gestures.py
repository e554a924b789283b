"""Gestures: rules on drawn hands, the shipped rules on labelled hands of people."""

import csv
import zipfile
from collections import Counter

import cv2
import numpy as np
import pytest

from emotion_ros.config import PipelineConfig
from emotion_ros.config.package_files import default_gestures
from emotion_ros.errors import ConfigError
from emotion_ros.perception.association import associate_hands, filter_false_faces
from emotion_ros.perception.gesture_rules import FINGERS, read_gestures
from emotion_ros.perception.gestures import GestureRecognizer, HandObservation, extension, recognize_gesture
from emotion_ros.perception.loaded_models import create_face_detector, create_hand_detector
from emotion_ros.types import Box, Face, Hand

ALWAYS = ("open_palm", "fist", "thumb_up", "victory", "pointing")
"""Gestures that must be right for real hands."""

KEYPOINTS = {"0": "open_palm", "1": "fist", "2": "pointing", "3": "none"}
PICTURES = {
    "open_palm": "open_palm",
    "thanks_both_hands": "open_palm",
    "fist": "fist",
    "thumb_up": "thumb_up",
    "victory": "victory",
    "pointing_up": "pointing",
    "i_love_you": "love",
    "call_me": "none",
    "ok_sign": "none",
    "pinch": "none",
}
"""Folder to the gesture of its hands: the palms of a person who thanks with both hands are open."""

BASES = {"index": (30, -95), "middle": (10, -100), "ring": (-10, -95), "little": (-30, -85)}
"""Knuckles relative to the wrist of a drawn hand, whose fingers point up."""


def drawn(thumb="in", at=(300.0, 300.0), turned=0.0, **fingers):
    """Landmarks of a hand whose named fingers are straight, the others curled; turned clockwise by degrees."""
    points = np.zeros((21, 2), np.float32)
    reach = (
        [(25, -20), (50, -40), (75, -52), (102, -62)]
        if thumb == "out"
        else [(25, -20), (38, -45), (30, -62), (15, -66)]
    )
    points[1:5] = reach
    for name, (x, y) in BASES.items():
        steps = (0, -40, -65, -85) if fingers.get(name) else (0, -35, -15, 8)
        points[list(FINGERS[name])] = [
            (x + (4 * index if fingers.get(name) and name == "index" else 0), y + step)
            for index, step in enumerate(steps)
        ]
    angle = np.radians(turned)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
    return (points @ turn + at).astype(np.float32)


ALL = dict.fromkeys(BASES, True)


def fist_at_camera():
    """Landmarks of a fist that points at the camera: the fingers hang from the knuckles and cover the wrist."""
    points = drawn()
    for name in BASES:
        points[list(FINGERS[name])] = points[FINGERS[name][0]] + np.array([(0, 0), (0, 30), (-3, 50), (-3, 60)])
    points[1:5] = points[5] + np.array([(5, 45), (25, 35), (35, 20), (30, 5)])
    points[0] = points[[9, 12]].mean(0)
    return points


@pytest.fixture(scope="module")
def shipped():
    return read_gestures(default_gestures())


@pytest.mark.parametrize(
    ("hand", "name"),
    [
        (drawn(**ALL), "open_palm"),
        (drawn(turned=140, **ALL), "open_palm"),
        (drawn(), "fist"),
        (fist_at_camera(), "fist"),
        (drawn(index=True), "pointing"),
        (drawn(index=True, turned=90), "pointing"),
        (drawn(thumb="out", index=True, little=True), "love"),
        (drawn(thumb="out", little=True), "none"),
    ],
)
def test_gesture_of_a_drawn_hand(shipped, hand, name):
    recognized, confidence = recognize_gesture(HandObservation(hand), shipped)
    assert recognized == name
    assert 0.5 <= confidence <= 1


@pytest.mark.parametrize(("turned", "name"), [(-65, "thumb_up"), (115, "thumb_down")])
def test_thumb_is_up_or_down_in_the_image(shipped, turned, name):
    hand = drawn(thumb="out", turned=turned)
    assert recognize_gesture(HandObservation(hand), shipped)[0] == name


def test_extension_is_one_for_a_straight_finger_and_negative_for_a_curled_one():
    assert extension(drawn(index=True), "index") > 0.95
    assert extension(drawn(), "index") < 0


def test_a_hand_whose_landmarks_coincide_gets_a_valid_confidence(shipped):
    name, confidence = recognize_gesture(HandObservation(np.full((21, 2), 7.0, np.float32)), shipped)
    assert 0 <= confidence <= 1
    assert name in (*shipped, "none")


def as_hand(points, side="left"):
    (x, y), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    return Hand(side, Box(x, y, right - x, bottom - y), 0.9, points)


def test_open_hand_that_swings_is_waving_and_one_that_drifts_is_not(shipped):
    waving, drifting = GestureRecognizer(shipped), GestureRecognizer(shipped)
    for step in range(45):
        time = step / 15
        swung = as_hand(drawn(at=(300 + 60 * np.sin(2 * np.pi * time / 0.8), 300), **ALL))
        drifted = as_hand(drawn(at=(100 + 100 * time, 300), **ALL))
        (wave,) = waving.recognize("a", None, [swung], time)
        (drift,) = drifting.recognize("a", None, [drifted], time)
    assert wave.gesture == "waving"
    assert drift.gesture == "open_palm"
    (still,) = waving.recognize("b", None, [swung], time)
    assert still.gesture == "open_palm"  # another person's hand


def test_two_still_hands_of_the_same_side_are_not_waving(shipped):
    """A detector may call both hands of a person the left one."""
    recognizer = GestureRecognizer(shipped)
    both = [as_hand(drawn(at=(x, 300), **ALL)) for x in (200, 500)]
    for step in range(30):
        hands = recognizer.recognize("a", None, both, step / 15)
    assert [hand.gesture for hand in hands] == ["open_palm", "open_palm"]


@pytest.mark.parametrize("stamp", [10.0, 0.0])
def test_a_movement_is_forgotten_after_a_pause_and_when_time_jumps_back(shipped, stamp):
    recognizer = GestureRecognizer(shipped)
    for step in range(30):
        hand = as_hand(drawn(at=(300 + 60 * np.sin(2 * np.pi * step / 12), 300), **ALL))
        (waving,) = recognizer.recognize("a", None, [hand], 1 + step / 15)
    recognizer.expire(stamp)
    (later,) = recognizer.recognize("a", None, [hand], stamp)
    assert (waving.gesture, later.gesture) == ("waving", "open_palm")


def test_hand_on_its_owners_face_is_recognized(shipped):
    resting = drawn(thumb="out", little=True)
    recognizer = GestureRecognizer(shipped)
    on, off = (
        recognizer.recognize("a", box, [as_hand(resting)], 0.0)[0]
        for box in (Box(200, 100, 200, 250), Box(0, 0, 50, 50))
    )
    assert (on.gesture, off.gesture) == ("hand_on_face", "none")


def test_user_adds_a_gesture_without_code(shipped, tmp_path):
    file = tmp_path / "gestures.yaml"
    file.write_text(
        default_gestures().read_text() + "\ncall_me:\n  fingers: {little: straight, middle: curled, ring: curled}\n"
    )
    assert recognize_gesture(HandObservation(drawn(thumb="out", little=True)), read_gestures(file))[0] == "call_me"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fist: {fingers: {thumbs: bent}}", r"gesture 1: fingers"),
        ("fist: {fingers: {thumb: crooked}}", "one of straight"),
        ("fist: {finger: {}}", "fingers"),
        ("fist: {distances: {tip-toe: [0, 1]}}", "joined by"),
        ("fist: {distances: {wrist-thumb_tip: [2, 1]}}", "minimum"),
        ("fist: {on_face: much}", "on_face"),
        ("- fist", "names"),
        ("fist: [", "YAML"),
    ],
)
def test_gesture_file_with_a_mistake_is_refused_with_the_reason(tmp_path, text, reason):
    file = tmp_path / "gestures.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        read_gestures(file)


@pytest.mark.parametrize("text", ["hunter2", "user: hunter2", "user: {hunter2: 1}", "user: {points: {thumb: hunter2}}"])
def test_file_that_is_no_gesture_file_is_not_quoted(tmp_path, text):
    file = tmp_path / "secret"
    file.write_text(text)
    with pytest.raises(ConfigError, match="expected") as refused:
        read_gestures(file)
    assert "hunter2" not in str(refused.value)


def test_missing_gesture_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        read_gestures(tmp_path / "nowhere.yaml")


def test_hands_belong_to_the_person_they_are_nearest_to():
    faces = [Face(Box(x, 50, 80, 80), 0.9, np.zeros((4, 2), np.float32)) for x in (50, 300, 550)]
    hands = [as_hand(drawn(at=(x, 300))) for x in (60, 330, 420, 600)]
    owned, unowned = associate_hands(faces, hands)
    assert [len(owned_hands) for owned_hands in owned] == [1, 2, 1]
    assert unowned == ()


def confusion(pairs):
    """Print a table; return per gesture the share recognized, and the largest share of another mistaken for it."""
    table = {}
    for wanted, found in pairs:
        table.setdefault(wanted, Counter())[found] += 1
    names = sorted({name for row in table.values() for name in row} | set(table))
    print(f"\n{'':12}" + "".join(f"{name[:10]:>12}" for name in names))
    for wanted, row in sorted(table.items()):
        print(f"{wanted:12}" + "".join(f"{row[name]:>12}" for name in names))
    right = {wanted: row[wanted] / sum(row.values()) for wanted, row in table.items()}
    mistaken = {
        name: max(row[name] / sum(row.values()) for wanted, row in table.items() if wanted != name) for name in ALWAYS
    }
    return right, mistaken


def test_labelled_landmarks_of_real_hands(shared, shipped):
    with shared("data/gestures/keypoint.csv").open() as file:
        rows = [(row[0], np.array(row[1:], np.float32).reshape(21, 2)) for row in csv.reader(file)]
    right, mistaken = confusion(
        (KEYPOINTS[name], recognize_gesture(HandObservation(points), shipped)[0]) for name, points in rows
    )
    assert right["open_palm"] > 0.94
    assert min(right["fist"], right["pointing"]) >= 0.92
    assert max(mistaken.values()) <= 0.05


@pytest.mark.parametrize("detectors", [("emotion_faces", "emotion_hands"), ("mediapipe", "mediapipe")])
@pytest.mark.timeout(300)
def test_gestures_of_people_in_pictures(detectors, shared, shipped, request):
    if "mediapipe" in detectors:
        request.getfixturevalue("mediapipe")
    archive = zipfile.ZipFile(shared("data/hands/images.zip"))
    with shared("data/hands/boxes.csv").open() as file:
        boxes = {}
        for row in csv.DictReader(file):
            boxes.setdefault(row["file"], []).append([float(row[edge]) for edge in ("xmin", "ymin", "xmax", "ymax")])
    inside = {name.split("images/")[-1]: name for name in archive.namelist()}
    config = PipelineConfig(face_detector=detectors[0], hand_detector=detectors[1])
    faces, hands = create_face_detector(config), create_hand_detector(config)
    pairs, missed = [], []
    for name, annotated in sorted(boxes.items()):
        image = cv2.imdecode(np.frombuffer(archive.read(inside[name]), np.uint8), cv2.IMREAD_COLOR)
        people, detected = faces.detect(image, 0.5, 24), hands.detect(image)
        people = [people[index] for index in filter_false_faces(people, detected)]
        labelled = [hand for hand in detected if any(_inside(hand, box) for box in annotated)]
        if len(people) != 1 or not all(any(_inside(hand, box) for hand in detected) for box in annotated):
            missed.append(name)
        for hand in GestureRecognizer(shipped).recognize("a", people[0].box if people else None, labelled, 0.0):
            pairs.append((PICTURES[name.split("/")[0]], hand.gesture))
    right, mistaken = confusion(pairs)
    assert missed == []
    assert min(right[name] for name in ALWAYS) >= 0.98
    assert max(mistaken.values()) <= 0.05


def _inside(hand, box):
    x, y = hand.box.centre
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]
