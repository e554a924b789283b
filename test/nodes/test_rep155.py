"""People under /humans and on /tf as a listener in a process of its own sees them, which knows only REP-155."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hri_msgs.msg import Gesture, IdsList
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from emotion_ros.nodes import hri_conversion
from emotion_ros.nodes.hri_publisher import HriPublisher
from emotion_ros.nodes.image_conversion import to_message
from emotion_ros.types import Box, Emotion, Face, Hand, HeadPose, Perception

SCRIPT = Path(__file__).resolve().parents[1] / "rep155_listener.py"
IMAGE = np.zeros((48, 64, 3), np.uint8)
SEEN_THROUGH = "face_aaaaa", "gaze_aaaaa", "person_anonymous_aaaaa"


class Peer:
    """The listener's process and what it told so far."""

    def __init__(self, process):
        self.told = []
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def _read(self, lines):
        for line in lines:
            self.told.append(json.loads(line))

    def all(self, what, **details):
        return [each for each in self.told if each["what"] == what and details.items() <= each.items()]

    def present(self, kind):
        ids = []
        for each in [each for each in self.told if each.get("kind") == kind]:
            if each["what"] == "appeared":
                ids.append(each["id"])
            elif each["what"] == "vanished":
                ids.remove(each["id"])
        return ids


@pytest.fixture
def listen(listener):
    """Function that starts a listener in a process of its own."""
    processes = []

    def start():
        command = [sys.executable, SCRIPT]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        peer = Peer(processes[-1])
        assert listener.until(lambda: peer.all("ready"))
        return peer

    yield start
    for process in processes:
        process.stdin.close()
    for process in processes:
        process.wait(10)


@pytest.fixture
def peer(listen):
    return listen()


@pytest.fixture
def publish(listener, peer):
    """Function that makes a publisher of people, which the listener already knows."""
    made = []

    def make(**options):
        made.append(HriPublisher(listener.node, **options))
        kinds = ("faces", "persons") if options.get("persons", True) else ("faces",)
        assert listener.until(lambda: all(peer.all("publishers", kind=kind, alive=1) for kind in kinds))
        listener.settle()  # its other topics
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def humans(publish):
    return publish()


def person(id, position=(0.0, 0.0, 1.0), pose=HeadPose(0.0, 0.0, 0.0), hands=()):  # noqa: B008
    face = Face(Box(10, 10, 20, 20), 0.9, np.zeros((0, 2), np.float32))
    probabilities = np.ones(1, np.float32)
    return Emotion(id, "happy", 0.9, probabilities, 0.8, 0.5, face, hands, position=position, head_pose=pose)


def perception(*people):
    return Perception(64, 48, "model", ("happy",), people)


def header(stamp, frame="eye"):
    made = Header(frame_id=frame)
    made.stamp.sec, made.stamp.nanosec = int(stamp), round(stamp % 1 * 1e9)
    return made


def hand(gesture="victory"):
    return Hand("right", Box(40, 10, 10, 10), 0.9, np.zeros((21, 2), np.float32), gesture, 0.9)


def stand_before(camera_node, topic, picture, stamp, calibrated=True, frame="eye"):
    """Publish an image and its calibration, that of a lens of 60 degrees."""
    height, width = picture.shape[:2]
    focal = width / 2 / math.tan(math.radians(30))
    info = CameraInfo(header=header(stamp, frame), width=width, height=height)
    info.k = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0] if calibrated else [0.0] * 9
    camera_node[topic][1].publish(info)
    camera_node[topic][0].publish(to_message(picture, header(stamp, frame)))


@pytest.fixture
def cameras(listener):
    """Function that makes the drivers of cameras; returns a function that shows pictures until something is true."""

    def make(*topics):
        drivers = {}
        for topic in topics:
            info = f"{topic.rpartition('/')[0]}/camera_info".lstrip("/")
            images = listener.node.create_publisher(Image, topic, 5)
            drivers[topic] = images, listener.node.create_publisher(CameraInfo, info, 5)
        assert listener.until(lambda: all(images.get_subscription_count() for images, _ in drivers.values()), 60)
        start = time.time()

        def show(pictures, until, seconds=60):
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                for topic, picture in pictures.items():
                    stand_before(drivers, topic, picture, time.time() - start + 100, frame=f"{topic}_frame")
                if listener.until(until, 0.07):
                    return True
            return False

        return show

    return make


def test_a_person_appears_with_face_and_person_and_vanishes(peer, listener, start, cameras, portrait):
    start("detector", hands=False)
    show = cameras("image_raw")
    complete = []

    def is_complete():
        for person, face in [(each["id"], each["value"]) for each in peer.all("face_id")]:
            of_face = ("appeared", "roi", "cropped", "aligned", "landmarks", "expression")
            of_person = ("appeared", "anonymous", "location_confidence")
            if all(peer.all(name, id=face) for name in of_face) and all(
                peer.all(name, id=person) for name in of_person
            ):
                complete[:] = [(face, person)]
        return complete

    assert show({"image_raw": portrait}, is_complete)
    ((face, anonymous),) = complete
    assert face != anonymous
    assert peer.all("anonymous", id=anonymous, value=True)
    assert peer.all("location_confidence", id=anonymous, value=1.0)

    def is_matched():  # each of these topics arrives by itself
        told = peer.all("known", ids=[anonymous]) and peer.all("match", face=face, person=anonymous, confidence=1.0)
        return told and all(peer.all("frame", child=f"{kind}_{face}") for kind in ("face", "gaze"))

    assert show({"image_raw": portrait}, is_matched)
    head, gaze = (peer.all("frame", child=f"{kind}_{face}")[-1] for kind in ("face", "gaze"))
    assert (head["parent"], gaze["parent"], gaze["root"]) == ("image_raw_frame", f"face_{face}", "image_raw_frame")
    towards_camera = -np.array(gaze["origin"]) / np.linalg.norm(gaze["origin"])
    assert np.dot(gaze["axes"]["z"], towards_camera) > 0.7  # she looks into the camera, almost
    assert head["axes"]["z"][1] < -0.8  # and stands upright

    assert show({"image_raw": portrait * 0}, lambda: not peer.present("faces") and not peer.present("persons"))
    assert listener.until(lambda: peer.all("match", face=face, person=anonymous, confidence=0.0))


def test_two_cameras_see_two_people_each_in_its_frame(peer, start, cameras, portrait):
    start("detector", hands=False, image_topics=["left/image_raw", "right/image_raw"])
    show = cameras("left/image_raw", "right/image_raw")
    pictures = {"left/image_raw": portrait, "right/image_raw": portrait[:, ::-1].copy()}
    assert show(pictures, lambda: len(peer.present("faces")) == len(peer.present("persons")) == 2)
    assert show(pictures, lambda: len({each["value"] for each in peer.all("face_id")}) >= 2)
    frames = {"left/image_raw_frame", "right/image_raw_frame"}
    assert show(pictures, lambda: {each["root"] for each in peer.all("frame")} == frames)
    pictures["left/image_raw"] = portrait * 0
    assert show(pictures, lambda: len(peer.present("faces")) == len(peer.present("persons")) == 1)


def test_people_vanish_though_the_camera_died(peer, listener, start):
    start("detector", hands=False)
    source = start("image_source", source="sample", loop=True, rate=10.0)
    assert listener.until(lambda: peer.present("faces") and peer.present("persons"), 60)
    source.kill()
    assert listener.until(lambda: not peer.present("faces") and not peer.present("persons"))


def test_a_listener_learns_within_seconds_that_the_node_was_killed(peer, listener, start):
    detector = start("detector", hands=False, lazy=False)
    for kind in ("faces", "persons"):  # the middleware tells of each topic by itself
        assert listener.until(lambda kind=kind: peer.all("publishers", kind=kind, alive=1))
    os.kill(detector.pid, signal.SIGKILL)
    killed = time.monotonic()
    for kind in ("faces", "persons"):
        assert listener.until(lambda kind=kind: peer.all("publishers", kind=kind, alive=0), 20)
    print(f"learned after {time.monotonic() - killed:.1f} s")
    assert time.monotonic() - killed < 10  # the lease is 2 s; without it, 20 s


def test_frames_are_where_the_face_is_and_look_where_it_looks(humans, peer, listener):
    position, turned = (0.6, -0.3, 1.2), HeadPose(math.radians(30), 0.0, math.radians(10))
    humans.publish("image_raw", IMAGE, perception(person("aaaaa", position)), header(10.5), 1.0)
    assert listener.until(lambda: all(peer.all("frame", child=child) for child in SEEN_THROUGH))
    face, gaze, whole = (peer.all("frame", child=child)[-1] for child in SEEN_THROUGH)
    assert (face["parent"], gaze["root"], whole["root"]) == ("eye", "eye", "eye")
    assert {each["stamp"] for each in (face, gaze, whole)} == {10.5}
    for each in (face, gaze, whole):
        assert each["origin"] == pytest.approx(position)
    assert face["axes"]["x"] == pytest.approx(-np.array(position) / np.linalg.norm(position))  # into the camera
    assert face["axes"]["z"][1] < -0.9  # up
    assert gaze["axes"]["z"] == pytest.approx(face["axes"]["x"])
    assert gaze["axes"]["y"] == pytest.approx(-np.array(face["axes"]["z"]))
    assert whole["axes"] == face["axes"]

    humans.publish("image_raw", IMAGE, perception(person("aaaaa", (0, 0, 1), turned)), header(10.6), 1.0)
    assert listener.until(lambda: peer.all("frame", child="gaze_aaaaa", stamp=10.6))
    gaze = peer.all("frame", child="gaze_aaaaa")[-1]
    assert gaze["axes"]["z"] == pytest.approx((0.5, 0.0, -math.sqrt(0.75)))  # to the right of the image


def test_only_people_with_position_and_pose_have_frames_and_only_once_per_stamp(humans, peer, listener):
    nobody = [person("bbbbb", position=None), person("ccccc", pose=None)]
    for _ in range(3):
        humans.publish("image_raw", IMAGE, perception(person("aaaaa"), *nobody), header(10), 1.0)
    humans.publish("image_raw", IMAGE, perception(person("ddddd")), header(11, frame=""), 5.0)
    humans.publish("image_raw", IMAGE, perception(person("eeeee")), header(12), 5.0)
    assert listener.until(lambda: peer.all("frame", child="person_anonymous_eeeee"))  # the last
    assert [each["child"] for each in peer.all("frame")] == [
        *SEEN_THROUGH,
        *("face_eeeee", "gaze_eeeee", "person_anonymous_eeeee"),
    ]


def test_frames_and_persons_can_be_switched_off(publish, peer, listener):
    humans = publish(persons=False, transforms=False)
    humans.publish("image_raw", IMAGE, perception(person("aaaaa")), header(10), 1.0)
    assert listener.until(lambda: peer.present("faces") == ["aaaaa"])
    names = [name for name, _ in listener.node.get_publisher_names_and_types_by_node("listener", "/")]
    assert not [name for name in names if name == "/tf" or "persons" in name or "matches" in name]


def test_without_persons_frames_of_faces_stay(publish, peer, listener):
    humans = publish(persons=False)
    humans.publish("image_raw", IMAGE, perception(person("aaaaa")), header(10), 1.0)
    assert listener.until(lambda: peer.all("frame", child="gaze_aaaaa"))
    assert not peer.all("frame", child="person_anonymous_aaaaa")


def test_a_gesture_is_published_for_whoever_has_a_hand_and_no_body_is_claimed(humans, peer, listener):
    gestures = listener.hear(Gesture, "/humans/bodies/bbbbb/gesture")
    people = person("aaaaa"), person("bbbbb", hands=(hand(),))
    humans.publish("image_raw", IMAGE, perception(*people), header(10), 1.0)
    listener.settle()
    humans.publish("image_raw", IMAGE, perception(*people), header(10.1), 1.0)
    assert listener.until(lambda: gestures)
    assert (gestures[0].gesture, gestures[0].handedness) == (Gesture.VICTORY, Gesture.RIGHT)
    assert listener.node.count_publishers("/humans/bodies/aaaaa/gesture") == 0
    assert listener.node.count_publishers("/humans/bodies/tracked") == 0
    assert not peer.all("appeared", kind="bodies")


def test_somebody_who_comes_later_learns_whose_face_it_is(humans, listen, listener):
    humans.publish("image_raw", IMAGE, perception(person("aaaaa")), header(10), 1.0)
    late = listen()
    for step in range(100):
        humans.publish("image_raw", IMAGE, perception(person("aaaaa")), header(10.1 + step / 10), 1.0)
        if listener.until(lambda: late.all("face_id", value="aaaaa") and late.all("anonymous", value=True), 0.2):
            break
    assert late.all("face_id", value="aaaaa")


def test_a_second_manager_of_persons_is_noticed(humans, listener):
    assert not humans.shared_list
    listener.node.create_publisher(IdsList, "/humans/persons/tracked", 1)
    assert listener.until(lambda: humans.shared_list == "/humans/persons/tracked")


def test_subscribers_without_a_lease_are_served_too(humans, listener):
    lists = []
    listener.node.create_subscription(IdsList, "/humans/faces/tracked", lists.append, QoSProfile(depth=1))
    listener.settle()
    humans.publish("image_raw", IMAGE, perception(person("aaaaa")), header(10), 1.0)
    assert listener.until(lambda: lists and lists[-1].ids == ["aaaaa"])


def test_tf_alone_wakes_no_camera(listener):
    humans = HriPublisher(listener.node)
    listener.hear(TFMessage, "/tf")
    listener.settle()
    assert not humans.has_subscribers
    humans.close()


def test_gestures_of_an_older_hri_msgs_have_no_hand_and_are_other_if_it_lacks_them(monkeypatch):
    class OlderGesture:
        """As in hri_msgs before 2.2."""

        OTHER, HANDS_ON_FACE, WAVING = 0, 1, 6
        __slots__ = ("gesture", "header")

        def __init__(self, header, gesture):
            self.header, self.gesture = header, gesture

    monkeypatch.setattr(hri_conversion, "Gesture", OlderGesture)
    shown = replace(person("aaaaa"), hands=(hand("waving"), hand("victory")))
    assert [each.gesture for each in hri_conversion.to_gestures(IMAGE, shown, header(1))] == [6, 0]


def test_all_landmarks_of_the_standard_are_published_where_they_are_known_and_in_the_image():
    points = np.full((70, 2), (32.0, 24.0), np.float32)
    points[30] = 16, 12
    points[0] = -5, 12
    face = replace(person("aaaaa").face, points=points)
    (message,) = hri_conversion.to_landmarks(IMAGE, replace(person("aaaaa"), face=face), header(1))
    nose = message.landmarks[message.NOSE]
    assert (nose.x, nose.y, nose.c) == pytest.approx((0.25, 0.25, 0.9))
    assert [index for index, each in enumerate(message.landmarks) if each.c == 0] == [message.RIGHT_EAR]
