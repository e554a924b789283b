"""Markers of people as a 3D viewer gets them."""

import math
import os
import subprocess
from dataclasses import replace

import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from emotion_ros.nodes.graph import Process
from emotion_ros.nodes.image_conversion import to_message
from emotion_ros.nodes.markers import to_markers
from emotion_ros.types import Box, Emotion, ExpressionEvent, Face, GroupMood, Hand, Perception


def person(id, position, label="happy", gesture=None):
    face = Face(Box(10, 10, 20, 20), 0.9, np.zeros((0, 2), np.float32))
    hands = () if gesture is None else (Hand("right", face.box, 0.9, np.zeros((21, 2), np.float32), gesture, 0.9),)
    return Emotion(id, label, 0.934, np.ones(1, np.float32), 0.8, 0.5, face, hands, position=position)


def markers(*people, events=(), group=None):
    seen = Perception(64, 48, "model", ("happy",), people)
    return to_markers(seen, Header(frame_id="eye"), events, group).markers


def change(id, before, after):
    return ExpressionEvent(id, 10.0, before, after, 9.7, 0.9, 0.8, 3.0)


def mood(valence=0.42, trend=math.nan):
    return GroupMood(3, 2, ("happy",), np.ones(1, np.float32), valence, trend)


class Viewer:
    """What a viewer shows after some arrays, by the rules of visualization_msgs."""

    def __init__(self):
        self.shown = {}

    def receive(self, array):
        for each in array.markers:
            if each.action == Marker.DELETEALL:
                self.shown.clear()
            elif each.action == Marker.DELETE:
                self.shown.pop((each.ns, each.id), None)
            else:
                self.shown[each.ns, each.id] = each


def test_text_says_who_looks_how_and_shows_what():
    _, happy, waving = markers(person("aaaaa", (0, 0, 1)), person("bbbbb", (1, 0, 1), "sad", "waving"))
    assert happy.text == "aaaaa\nhappy 0.93"
    assert waving.text == "bbbbb\nsad 0.93\nwaving"
    assert (happy.type, happy.header.frame_id) == (Marker.TEXT_VIEW_FACING, "eye")
    assert (happy.color.r, happy.color.g, happy.color.b) != (waving.color.r, waving.color.g, waving.color.b)
    assert happy.color.a == 1


def test_text_says_attention_and_engagement_and_nothing_of_them_without_a_head_pose():
    attending = replace(person("aaaaa", (0, 0, 1)), attention=0.874, engagement="engaged")
    assert markers(attending)[1].text == "aaaaa\nhappy 0.93\nattention 0.87, engaged"
    assert "attention" not in markers(person("aaaaa", (0, 0, 1)))[1].text


def test_text_says_what_an_expression_was_before_and_who_is_new():
    people = [person(id, (0, 0, 1)) for id in ("aaaaa", "bbbbb", "ccccc")]
    events = [change("aaaaa", "", "happy"), change("bbbbb", "sad", "happy"), change("ddddd", "sad", "")]
    texts = [marker.text.splitlines()[1] for marker in markers(*people, events=events)[1:]]
    assert texts == ["happy 0.93, new", "happy 0.93, was sad", "happy 0.93"]


def test_group_is_above_all_people_of_the_image():
    people = person("aaaaa", (-1, 0.2, 1)), person("bbbbb", (1, -0.1, 3))
    *texts, group = markers(*people, group=mood())
    assert group.text == "3 in view, 2 attending\nvalence +0.42"
    assert (group.pose.position.x, group.pose.position.z) == (0, 2)
    assert all(group.pose.position.y < each.pose.position.y for each in texts)
    assert markers(*people, group=mood(trend=-0.2))[-1].text.endswith("valence +0.42, -0.20 in 10 s")
    assert markers(*people, group=mood(math.nan))[-1].text == "3 in view, 2 attending"
    assert len(markers(person("ccccc", None), group=mood())) == 1  # where to is not known


def test_text_is_above_the_head_and_goes_by_itself_if_nothing_more_comes():
    _, text = markers(person("aaaaa", (0.2, 0.1, 1.5)))
    assert (text.pose.position.x, text.pose.position.z) == (0.2, 1.5)
    assert -0.5 < text.pose.position.y - 0.1 < -0.15  # y points down
    assert 0 < text.lifetime.sec < 5


def test_somebody_without_a_position_has_no_marker_and_whoever_left_is_deleted():
    viewer = Viewer()
    viewer.receive(MarkerArray(markers=markers(person("aaaaa", (0, 0, 1)), person("bbbbb", (1, 0, 1)))))
    assert {ns for ns, _ in viewer.shown} == {"aaaaa", "bbbbb"}
    viewer.receive(MarkerArray(markers=markers(person("bbbbb", (1, 0, 1)), person("ccccc", None))))
    assert {ns for ns, _ in viewer.shown} == {"bbbbb"}
    viewer.receive(MarkerArray(markers=markers()))
    assert not viewer.shown


def test_the_detector_marks_people_of_a_calibrated_camera_and_deletes_them(listener, start, portrait):
    start("detector", hands=False)
    viewer, info = Viewer(), CameraInfo(width=640, height=480)
    focal = 320 / math.tan(math.radians(30))
    info.k = [focal, 0.0, 320.0, 0.0, focal, 240.0, 0.0, 0.0, 1.0]
    listener.node.create_subscription(MarkerArray, "markers", viewer.receive, 5)
    images = listener.node.create_publisher(Image, "image_raw", 5)
    infos = listener.node.create_publisher(CameraInfo, "camera_info", 5)
    assert listener.until(images.get_subscription_count, 60)  # a viewer of markers wakes the camera

    def show(picture, until, start):
        for step in range(200):
            info.header = Header(frame_id="eye")
            info.header.stamp.sec, info.header.stamp.nanosec = start + step // 10, step % 10 * 10**8
            infos.publish(info)
            images.publish(to_message(picture, info.header))
            if listener.until(until, 0.1):
                return True
        return False

    assert show(portrait, lambda: viewer.shown, 10)
    text, group = viewer.shown.values()
    assert "happy" in text.text
    assert "attention" in text.text
    assert "engag" in text.text
    assert group.text.startswith("1 in view")
    assert 0.2 < text.pose.position.z < 2
    assert show(portrait * 0, lambda: not viewer.shown, 40)


def test_without_visualization_msgs_one_line_says_so_and_the_detector_goes_on(listener, tmp_path):
    (tmp_path / "visualization_msgs").mkdir()
    (tmp_path / "visualization_msgs" / "__init__.py").write_text("raise ImportError('No module visualization_msgs')")
    settings = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"}
    topics = ["left/image_raw", "right/image_raw"]
    command = Process("detector", {"hands": False, "image_topics": topics}).command()
    detector = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=settings)
    try:
        assert listener.until(lambda: listener.node.count_publishers("right/emotions"), 60)
        assert listener.node.count_publishers("right/markers") == 0
    finally:
        detector.terminate()
        errors = detector.communicate(timeout=20)[1]
    assert errors.count("no markers are published; install visualization_msgs") == 1
    assert "Traceback" not in errors
