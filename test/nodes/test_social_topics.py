"""Events and the group as subscribers receive them from the real detector."""

import math

import numpy as np
import pytest
from emotion_ros.msg import EmotionArray, ExpressionEvent, GroupMood
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emotion_ros.nodes.graph import Process
from emotion_ros.nodes.image_conversion import to_message


def header(seconds):
    made = Header(frame_id="camera")
    made.stamp.sec, made.stamp.nanosec = int(seconds), round(seconds % 1 * 1e9)
    return made


@pytest.fixture
def detector(listener, start):
    """Function that starts a detector of several cameras, and returns one that publishes an image to each."""

    def run(*topics, **parameters):
        start("detector", hands=False, idle_rate=0.0, image_topics=list(topics), **parameters)
        publishers = [listener.node.create_publisher(Image, topic, 5) for topic in topics]

        def publish(seconds, *pictures):
            if not all(publisher.get_subscription_count() for publisher in publishers):
                assert listener.until(lambda: all(each.get_subscription_count() for each in publishers), 60)
                listener.settle()
            for publisher, picture in zip(publishers, pictures, strict=True):
                publisher.publish(to_message(picture, header(seconds)))

        return publish

    return run


def play(listener, publish, heard, pictures, begin):
    """Publish pictures, five per second of stamps, each after the results of the one before."""
    for number, picture in enumerate(pictures):
        publish(begin + number / 5, picture)
        assert listener.until(lambda count=number + 1: len(heard) >= count, 20)


def test_events_topic_tells_once_who_came_and_who_left(listener, detector, portrait):
    events, heard = listener.hear(ExpressionEvent, "events"), listener.hear(EmotionArray, "emotions")
    empty = np.full_like(portrait, 110)
    play(listener, detector("image_raw"), heard, [portrait] * 10 + [empty] * 8, begin=100.0)
    assert listener.until(lambda: len(events) == 2)
    came, left = events
    assert (came.from_label, came.to_label, left.from_label, left.to_label) == ("", "happy", "happy", "")
    assert came.id == left.id == heard[0].emotions[0].id
    assert came.onset.sec == 100
    assert came.onset.nanosec == pytest.approx(0, abs=1000)
    assert (came.header.frame_id, came.header.stamp.nanosec) == ("camera", 400_000_000)
    assert left.onset.sec == 101
    assert left.onset.nanosec == pytest.approx(800_000_000, abs=1000)
    assert left.duration == pytest.approx(1.8, abs=1e-3)
    assert left.peak > 0.9


def test_group_topic_counts_the_people_of_all_cameras(listener, detector, portrait):
    groups = listener.hear(GroupMood, "group")
    publish = detector("left/image_raw", "right/image_raw")
    for number in range(3):
        publish(100 + number / 5, portrait, portrait)
        assert listener.until(lambda count=2 * (number + 1): len(groups) >= count, 20)
    group = groups[-1]
    assert (group.people, group.attending <= 2) == (2, True)
    assert group.labels[np.argmax(group.distribution)] == "happy"
    assert sum(group.distribution) == pytest.approx(1, abs=1e-4)
    assert group.valence > 0.5
    assert math.isnan(group.valence_trend)


def test_each_of_two_detectors_has_a_group_of_its_own_people(listener, spawn, portrait):
    command = Process("detector", {"hands": False, "idle_rate": 0.0}).command()
    pictures = {"left": portrait, "right": np.full_like(portrait, 110)}
    groups = {side: listener.hear(GroupMood, f"{side}/group") for side in pictures}
    cameras = {side: listener.node.create_publisher(Image, f"{side}/image_raw", 5) for side in pictures}
    for side in pictures:
        spawn(*command, "-r", f"__ns:=/{side}")
    assert listener.until(lambda: all(each.get_subscription_count() for each in cameras.values()), 60)
    listener.settle()
    for number in range(3):
        for side, picture in pictures.items():
            cameras[side].publish(to_message(picture, header(100 + number / 5)))
        assert listener.until(lambda count=number + 1: all(len(each) >= count for each in groups.values()), 20)
    assert (groups["left"][-1].people, groups["right"][-1].people) == (1, 0)
