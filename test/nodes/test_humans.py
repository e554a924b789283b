"""/humans as a subscriber sees it that knows REP-155 only: nothing of this package is used to follow people."""

import os
import subprocess
import threading
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from emotion_ros.msg import EmotionArray
from hri_msgs.msg import EngagementLevel, Expression, FacialLandmarks, Gesture, IdsList, NormalizedRegionOfInterest2D
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emotion_ros.errors import ConfigError
from emotion_ros.nodes.graph import Process
from emotion_ros.nodes.hri_conversion import ALIGNED_EYES_PX, EXPRESSIONS, aligned_face, to_expression
from emotion_ros.nodes.hri_publisher import HriPublisher
from emotion_ros.nodes.image_conversion import to_message
from emotion_ros.types import Box, Emotion, Face, Perception

QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
FACE = {
    "roi": NormalizedRegionOfInterest2D,
    "cropped": Image,
    "aligned": Image,
    "landmarks": FacialLandmarks,
    "expression": Expression,
}


class Follower:
    """Follows the list of tracked faces and subscribes to what the newest one of it has."""

    def __init__(self, listener):
        self.listener = listener
        self.lists, self.heard = [], {}
        listener.node.create_subscription(IdsList, "/humans/faces/tracked", self._on_list, QOS)

    def _on_list(self, message):
        self.lists.append(message)
        for id in message.ids:
            if id not in self.heard:
                mine = self.heard[id] = {name: [] for name in FACE}
                for name, kind in FACE.items():
                    self.listener.node.create_subscription(kind, f"/humans/faces/{id}/{name}", mine[name].append, QOS)

    def topics(self):
        return sorted(name for name, _ in self.listener.node.get_topic_names_and_types() if name.startswith("/humans/"))


@pytest.fixture
def follower(listener):
    return Follower(listener)


@pytest.fixture
def show(listener):
    """A function that publishes a picture as if it were taken at a time, until something is there."""
    publisher = listener.node.create_publisher(Image, "image_raw", 5)

    def publish(picture, until, start=10.0, rate=20.0):
        assert listener.until(publisher.get_subscription_count)
        for step in range(int(20 * rate)):
            header = Header(frame_id="eye")
            stamp = start + step / rate
            header.stamp.sec, header.stamp.nanosec = int(stamp), int(stamp % 1 * 1e9)
            publisher.publish(to_message(picture, header))
            if listener.until(until, 1 / rate):
                return stamp
        return None

    return publish


def test_people_come_with_all_their_topics_and_go(follower, listener, start, show, portrait):
    start("detector", hands=False)
    assert show(portrait, lambda: any(all(heard.values()) for heard in follower.heard.values()))
    (id,) = follower.heard
    heard = follower.heard[id]
    assert len(id) == 5
    assert id.isalpha()
    roi, expression, landmarks = (heard[name][-1] for name in ("roi", "expression", "landmarks"))
    assert 0 < roi.xmin < roi.xmax < 1
    assert 0 < roi.ymin < roi.ymax < 1
    assert 0.5 < roi.c <= 1
    assert (expression.expression, expression.header.frame_id) == ("happy", "eye")
    assert expression.valence > 0.5
    assert (landmarks.width, landmarks.height, len(landmarks.landmarks)) == (640, 480, 70)
    eyes = [landmarks.landmarks[index] for index in (FacialLandmarks.RIGHT_PUPIL, FacialLandmarks.LEFT_PUPIL)]
    assert roi.xmin < eyes[0].x < eyes[1].x < roi.xmax
    assert all(each.c > 0.5 for each in eyes)
    for name in ("cropped", "aligned"):
        assert (heard[name][-1].width, heard[name][-1].height, heard[name][-1].encoding) == (128, 128, "bgr8")
    assert {f"/humans/faces/{id}/{name}" for name in FACE} <= set(follower.topics())

    assert show(portrait * 0, lambda: follower.lists[-1].ids == [], start=40.0)
    assert listener.until(lambda: listener.node.count_publishers(f"/humans/faces/{id}/roi") == 0)


def test_topics_are_created_once_and_deactivation_publishes_empty_lists(follower, listener, start, show, portrait):
    start("detector", hands=False)
    assert show(portrait, lambda: len(follower.lists) > 30)
    assert len(follower.heard) == 1
    assert len({each.ids[0] for each in follower.lists if each.ids}) == 1
    (id,) = follower.heard
    assert listener.node.count_publishers(f"/humans/faces/{id}/roi") == 1
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
    assert listener.call(ChangeState, "detector/change_state", request).success
    assert listener.until(lambda: follower.lists[-1].ids == [])
    assert listener.until(lambda: listener.node.count_publishers(f"/humans/faces/{id}/roi") == 0)


def test_cameras_with_clocks_of_their_own_do_not_take_each_others_people_away(follower, listener, start, portrait):
    start("detector", hands=False, image_topics=["left/image_raw", "right/image_raw"])
    cameras = [listener.node.create_publisher(Image, f"{side}/image_raw", 5) for side in ("left", "right")]
    assert listener.until(lambda: all(each.get_subscription_count() for each in cameras))
    both = 0
    for step in range(1000):  # the stamps of both clocks advance by 20 s at most, slowly: a pause loses nobody
        for camera, offset in zip(cameras, (50, 10), strict=True):
            header = Header(frame_id="eye")
            header.stamp.sec, header.stamp.nanosec = offset + step // 50, step % 50 * 2 * 10**7
            camera.publish(to_message(portrait, header))
        listener.until(lambda: False, 0.05)
        both += bool(follower.lists) and len(follower.lists[-1].ids) == 2
        if both == 50:
            break
    assert both == 50
    assert len(follower.heard) == 2  # the same two all the time


def test_people_vanish_after_their_camera_died(follower, listener, start):
    start("detector", hands=False)
    source = start("image_source", source="sample", loop=True, rate=10.0)
    assert listener.until(lambda: follower.lists and follower.lists[-1].ids)
    source.kill()
    assert listener.until(lambda: follower.lists[-1].ids == [])
    (id, *_) = follower.heard
    assert listener.until(lambda: listener.node.count_publishers(f"/humans/faces/{id}/roi") == 0)


def test_switched_off_there_are_no_topics_of_people(listener, start):
    start("detector", hands=False, humans=False)
    heard = listener.hear(DiagnosticArray, "/diagnostics")
    assert listener.until(lambda: any("active" in str(each.status[0].values) for each in heard))
    time.sleep(0.5)
    assert not [name for name, _ in listener.node.get_topic_names_and_types() if name.startswith("/humans")]


def test_without_hri_msgs_the_detector_says_so_and_goes_on(listener, portrait, show, tmp_path):
    (tmp_path / "hri_msgs").mkdir()
    (tmp_path / "hri_msgs" / "__init__.py").write_text("raise ImportError('No module named hri_msgs')")
    settings = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"}
    command = Process("detector", {"hands": False}).command()
    detector = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=settings)
    heard = listener.hear(EmotionArray, "emotions")
    try:
        assert show(portrait, lambda: heard)
    finally:
        detector.terminate()
        errors = detector.communicate(timeout=20)[1]
    assert "install hri_msgs" in errors
    assert "Traceback" not in errors


def test_two_detectors_of_one_list_say_so_and_with_prefixes_of_their_own_they_do_not(listener, start):
    heard = listener.hear(DiagnosticArray, "/diagnostics")
    start("image_source", source="sample", loop=True, rate=5.0)
    start("detector", hands=False, lazy=False)
    second = start("detector", hands=False, lazy=False)
    text = "another node publishes /humans/faces/tracked too"
    assert listener.until(lambda: any(text in each.status[0].message for each in heard), 40)
    second.terminate()
    second.wait()
    start("detector", hands=False, lazy=False, humans_prefix="humans/chest")
    assert listener.until(lambda: listener.node.count_publishers("/humans/chest/faces/tracked"), 40)
    assert listener.until(lambda: listener.node.count_publishers("/humans/faces/tracked") == 1)
    heard.clear()
    assert listener.until(lambda: len(heard) > 4)
    assert not [each for each in heard if text in each.status[0].message]


def test_a_prefix_that_ros_does_not_allow_is_refused(listener):
    with pytest.raises(ConfigError, match="humans_prefix: expected the beginning of a topic name, got '2 robots'"):
        HriPublisher(listener.node, "2 robots")


def test_ids_are_deterministic_where_they_shall_be(follower, start, show, portrait):
    start("detector", hands=False, deterministic_ids=True)
    assert show(portrait, lambda: follower.heard)
    assert [*follower.heard] == ["f00000"]


def person(id, label="happy"):
    face = Face(Box(10, 10, 20, 20), 0.9, np.zeros((0, 2), np.float32))
    return Emotion(id, label, 0.9, np.ones(1, np.float32), 0.8, 0.5, face)


def perception(*ids):
    return Perception(64, 48, "model", ("happy",), tuple(person(id) for id in ids))


def stamped(seconds):
    made = Header(frame_id="eye")
    made.stamp.sec = seconds
    return made


IMAGE = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def humans(listener):
    publisher = HriPublisher(listener.node)
    yield publisher
    publisher.close()


def test_people_of_a_camera_that_died_vanish_by_the_clock(humans, follower, listener):
    humans.publish("image_raw", IMAGE, perception("aaaaa"), stamped(10), 0.5)
    assert listener.until(lambda: follower.lists and follower.lists[-1].ids == ["aaaaa"])
    humans.expire(0.5, time.monotonic())
    assert listener.until(lambda: not humans.expire(0.5, time.monotonic()) and follower.lists[-1].ids == [])
    assert listener.until(lambda: listener.node.count_publishers("/humans/faces/aaaaa/roi") == 0)
    assert len(follower.lists) == 2  # the list is published when somebody vanishes, not each time


def test_people_vanish_by_the_clock_though_stamps_stand_still(humans, follower, listener):
    begin = time.monotonic()
    humans.publish("image_raw", IMAGE, perception("aaaaa", "bbbbb"), stamped(0), 0.5)

    def is_alone():
        humans.publish("image_raw", IMAGE, perception("bbbbb"), stamped(0), 0.5)
        humans.expire(0.5, time.monotonic())
        return follower.lists and follower.lists[-1].ids == ["bbbbb"]

    assert listener.until(is_alone)
    assert time.monotonic() - begin > 0.5


def test_people_vanish_with_a_newer_image_of_their_camera_only(humans, follower, listener):
    humans.publish("left", IMAGE, perception("aaaaa"), stamped(10), 1.0)
    humans.publish("right", IMAGE, perception("bbbbb"), stamped(500), 1.0)
    humans.publish("left", IMAGE, perception(), stamped(11), 1.0)
    assert listener.until(lambda: follower.lists and follower.lists[-1].ids == ["aaaaa", "bbbbb"])
    humans.publish("left", IMAGE, perception(), stamped(12), 1.0)
    assert listener.until(lambda: follower.lists[-1].ids == ["bbbbb"])


def test_people_come_and_go_while_another_thread_asks_for_subscribers(humans, follower, listener):
    errors = []

    def work():
        try:
            for number in range(150):
                ids = [f"p{number}{letter}" for letter in "abc"]
                humans.publish("image_raw", IMAGE, perception(*ids), stamped(10 * number), 1.0)
                humans.expire(1.0, time.monotonic())
        except Exception as error:
            errors.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        assert humans.has_subscribers  # the follower subscribes to the list
    worker.join()
    assert not errors


def test_nothing_is_published_after_close(humans, follower, listener):
    humans.close()
    humans.publish("image_raw", IMAGE, perception("aaaaa"), stamped(10), 1.0)
    humans.expire(0.0, time.monotonic())
    assert not humans.has_subscribers
    assert listener.node.count_publishers("/humans/faces/aaaaa/roi") == 0


def test_expressions_are_words_of_the_standard():
    constants = {getattr(Expression, name) for name in dir(Expression) if name.isupper() and name.isalpha()}
    assert set(EXPRESSIONS.values()) <= constants
    assert (EXPRESSIONS["fear"], EXPRESSIONS["disgust"], EXPRESSIONS["surprise"]) == (
        "scared",
        "disgusted",
        "surprised",
    )


@pytest.mark.parametrize(("label", "words"), [("happiness", ["happy"]), ("surprised", ["surprised"]), ("joy", [])])
def test_synonyms_are_published_and_other_labels_are_not(label, words):
    messages = to_expression(IMAGE, person("aaaaa", label), stamped(1))
    assert [each.expression for each in messages] == words


def test_gestures_have_a_hand():
    message = Gesture(gesture=Gesture.THUMB_UP, handedness=Gesture.LEFT)
    assert (message.gesture, message.handedness) == (11, 2)


def test_aligned_face_has_its_eyes_level_and_in_place():
    image = np.zeros((300, 300, 3), np.uint8)
    eyes = np.array([(120.0, 140.0), (160.0, 110.0)], np.float32)
    for x, y in eyes.astype(int).tolist():
        image[y - 4 : y + 5, x - 4 : x + 5] = 255
    picture = aligned_face(image, Face(Box(90, 80, 100, 100), 0.9, eyes))
    assert picture.shape == (128, 128, 3)
    for x, y in ALIGNED_EYES_PX.round().astype(int).tolist():
        assert picture[y, x].min() > 200
    assert picture[0, 0].max() == 0


@pytest.mark.parametrize(
    ("engagement", "level"),
    [
        ("", EngagementLevel.UNKNOWN),
        ("disengaged", EngagementLevel.DISENGAGED),
        ("engaging", EngagementLevel.ENGAGING),
        ("engaged", EngagementLevel.ENGAGED),
        ("disengaging", EngagementLevel.DISENGAGING),
    ],
)
def test_engagement_status_is_the_level_of_the_person(listener, engagement, level):
    face = Face(Box(10, 10, 20, 20), 0.9, np.zeros((0, 2), np.float32))
    person = Emotion("aaaaa", "happy", 0.9, np.ones(1, np.float32), 0.8, 0.5, face, engagement=engagement)
    humans = HriPublisher(listener.node)
    heard = listener.hear(EngagementLevel, "/humans/persons/anonymous_aaaaa/engagement_status")
    image, seen = np.zeros((48, 64, 3), np.uint8), Perception(64, 48, "model", ("happy",), (person,))

    def is_heard():
        humans.publish("camera", image, seen, Header(frame_id="camera"), 1.0)
        return heard

    assert listener.until(is_heard)
    assert {message.level for message in heard} == {level}
    assert heard[0].header.frame_id == "camera"
    humans.close()
