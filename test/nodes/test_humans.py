"""REP-155 as a listener sees it that knows the standard only: nothing of this package is used to follow people."""

import os
import subprocess
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from emotion_ros.msg import EmotionArray
from hri_msgs.msg import Expression, FacialLandmarks, Gesture, IdsList, NormalizedRegionOfInterest2D
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emotion_ros.nodes.graph import Process
from emotion_ros.nodes.hri_publisher import EYES, WORDS, aligned
from emotion_ros.nodes.image_conversion import to_message
from emotion_ros.types import Box, Face

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


def test_topics_are_made_once_and_goodbye_is_said(follower, listener, start, show, portrait):
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
    for step in range(60):
        for camera, offset in zip(cameras, (50, 10), strict=True):
            header = Header(frame_id="eye")
            header.stamp.sec, header.stamp.nanosec = offset + step // 10, step % 10 * 10**8
            camera.publish(to_message(portrait, header))
        listener.until(lambda: False, 0.05)
    assert listener.until(lambda: len(follower.lists[-1].ids) == 2)
    assert len(follower.heard) == 2  # the same two all the time


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


def test_ids_are_deterministic_where_they_shall_be(follower, start, show, portrait):
    start("detector", hands=False, deterministic_ids=True)
    assert show(portrait, lambda: follower.heard)
    assert [*follower.heard] == ["f00000"]


def test_words_are_those_of_the_standard():
    constants = {getattr(Expression, name) for name in dir(Expression) if name.isupper() and name.isalpha()}
    assert set(WORDS.values()) <= constants
    assert (WORDS["fear"], WORDS["disgust"], WORDS["surprise"]) == ("scared", "disgusted", "surprised")


def test_gestures_have_a_hand():
    message = Gesture(gesture=Gesture.THUMB_UP, handedness=Gesture.LEFT)
    assert (message.gesture, message.handedness) == (11, 2)


def test_aligned_face_has_its_eyes_level_and_in_place():
    image = np.zeros((300, 300, 3), np.uint8)
    eyes = np.array([(120.0, 140.0), (160.0, 110.0)], np.float32)
    for x, y in eyes.astype(int).tolist():
        image[y - 4 : y + 5, x - 4 : x + 5] = 255
    picture = aligned(image, Face(Box(90, 80, 100, 100), 0.9, eyes))
    assert picture.shape == (128, 128, 3)
    for x, y in EYES.round().astype(int).tolist():
        assert picture[y, x].min() > 200
    assert picture[0, 0].max() == 0
