"""Attention, engagement, changes of expression, and the group."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from emotion_ros.config import PipelineConfig
from emotion_ros.perception.attention import attention_of
from emotion_ros.perception.emotion.affect import valence_arousal
from emotion_ros.perception.group import group_mood, update_members
from emotion_ros.perception.social import SocialTracker
from emotion_ros.types import Box, Emotion, Face, HeadPose, Perception

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
FACE = Face(Box(10, 10, 60, 60), 0.9, np.zeros((0, 2), np.float32))
CONFIG = PipelineConfig()
RATE_HZ = 10.0
AHEAD, ASIDE = HeadPose(0.0, 0.0, 0.0), HeadPose(math.radians(45), 0.0, 0.0)


def person(label="neutral", confidence=0.8, id="a", pose=None, distance=None, quality=1.0, lids=None):
    probabilities = np.full(len(CLASSES), (1 - confidence) / 6, np.float32)
    probabilities[CLASSES.index(label if label in CLASSES else "neutral")] = confidence
    return Emotion(
        *(id, label, confidence, probabilities, *valence_arousal(CLASSES, probabilities), FACE),
        quality=quality,
        position=None if distance is None else (0.0, 0.0, distance),
        head_pose=pose,
        lid_height=lids,
    )


class Camera:
    """Ten images per second of the people that a test names."""

    def __init__(self, config=CONFIG, rate=RATE_HZ):
        self.tracker, self.config, self.rate, self.images = SocialTracker(), config, rate, 0
        self.events, self.people = [], ()

    def show(self, seconds, *people):
        """Show people for some seconds; return those of each image."""
        shown = []
        for _ in range(round(seconds * self.rate)):
            self.images += 1
            ids = {each.id for each in people}
            self.people, events = self.tracker.update(people, ids, self.images / self.rate, self.config)
            self.events += events
            shown.append(self.people)
        return shown

    @property
    def changes(self):
        return [(event.from_label, event.to_label) for event in self.events]


def degrees(yaw=0.0, pitch=0.0, roll=0.0):
    return HeadPose(*map(math.radians, (yaw, pitch, roll)))


@pytest.mark.parametrize(
    ("pose", "attention"),
    [
        (degrees(), 1.0),
        (degrees(roll=40), 1.0),
        (degrees(yaw=10), 1.0),
        (degrees(yaw=-25), 0.5),
        (degrees(yaw=45), 0.0),
        (degrees(pitch=-30), 0.25),
        (degrees(yaw=17.8, pitch=17.8), 0.5),
        (degrees(yaw=180), 0.0),
    ],
)
def test_attention_falls_with_the_angle_between_nose_and_camera(pose, attention):
    assert attention_of(pose) == pytest.approx(attention, abs=0.01)


@pytest.mark.parametrize("rate", [5.0, 30.0])
def test_attention_is_smoothed_over_seconds_at_any_rate(rate):
    camera = Camera(rate=rate)
    camera.show(2, person(pose=AHEAD))
    shown = [people[0].attention for people in camera.show(3, person(pose=ASIDE))]
    below_half = next(number for number, attention in enumerate(shown) if attention < 0.5)
    assert below_half / rate == pytest.approx(0.69, abs=0.25)
    assert shown[-1] < 0.1


def test_glance_aside_ends_no_attention():
    camera = Camera()
    camera.show(3, person(pose=AHEAD))
    assert all(people[0].attention > 0.5 for people in camera.show(0.5, person(pose=ASIDE)))


def test_blinks_end_no_attention_and_lowered_eyes_do():
    camera = Camera(rate=30.0)
    for _ in range(5):
        camera.show(1, person(pose=AHEAD, lids=0.16))
        assert all(people[0].attention > 0.6 for people in camera.show(0.3, person(pose=AHEAD, lids=-0.06)))
    (*_, (reader,)) = camera.show(2, person(pose=AHEAD, lids=-0.06))
    assert reader.attention < 0.2


def test_without_a_head_pose_attention_and_engagement_are_unknown():
    camera = Camera()
    camera.show(1, person())
    assert (camera.people[0].attention, camera.people[0].engagement) == (None, "")


def test_image_without_a_head_pose_keeps_the_attention_for_a_second():
    camera = Camera()
    camera.show(1, person(pose=AHEAD))
    assert all(people[0].attention == 1.0 for people in camera.show(0.9, person()))
    camera.show(0.5, person())
    assert (camera.people[0].attention, camera.people[0].engagement) == (None, "")


def levels(shown):
    """Levels in their order, each once, with the seconds that they lasted."""
    changes = [people[0].engagement for people in shown]
    order = [level for number, level in enumerate(changes) if number == 0 or changes[number - 1] != level]
    return order, {level: changes.count(level) / RATE_HZ for level in order}


def test_person_who_looks_from_nearby_is_engaged_after_the_time_and_disengaged_after_looking_away():
    camera = Camera()
    order, lasted = levels(camera.show(5, person(pose=AHEAD, distance=1.5)))
    assert order == ["disengaged", "engaging", "engaged"][-len(order) :]
    assert lasted["engaging"] == pytest.approx(2.0, abs=0.11)
    order, lasted = levels(camera.show(6, person(pose=ASIDE, distance=1.5)))
    assert order == ["engaged", "disengaging", "disengaged"]
    assert lasted["disengaging"] == pytest.approx(2.0, abs=0.11)


def test_person_who_only_passes_or_is_far_away_is_never_engaged():
    passing = Camera()
    assert "engaged" not in levels(passing.show(1, person(pose=AHEAD)))[0]
    assert levels(passing.show(3, person(pose=ASIDE)))[0][-1] == "disengaged"
    assert levels(Camera().show(10, person(pose=AHEAD, distance=5.0)))[0] == ["disengaged"]
    assert levels(Camera().show(10, person(pose=ASIDE, distance=1.0)))[0] == ["disengaged"]


def test_person_who_looks_back_in_time_stays_engaged():
    camera = Camera()
    camera.show(4, person(pose=AHEAD))
    camera.show(1.5, person(pose=ASIDE))
    assert levels(camera.show(3, person(pose=AHEAD)))[0] == ["disengaging", "engaged"]


def test_thresholds_of_engagement_are_parameters():
    config = replace(CONFIG, engagement_time=0.5, engagement_distance=6.0, engagement_attention=0.4)
    camera = Camera(config)
    camera.show(0.9, person(pose=degrees(yaw=26), distance=5.0))
    assert camera.people[0].engagement == "engaged"


def test_change_of_expression_is_one_event_with_its_onset_and_what_it_ends():
    camera = Camera()
    camera.show(4, person("neutral", 0.7))
    camera.show(2.0, person("happy", 0.6))
    camera.show(1.0, person("happy", 0.95))
    camera.show(2, person("neutral", 0.7))
    assert camera.changes == [("", "neutral"), ("neutral", "happy"), ("happy", "neutral")]
    smile, rest = camera.events[1:]
    assert smile.onset == pytest.approx(4.1)
    assert smile.stamp - smile.onset == pytest.approx(0.3, abs=0.05)
    assert (smile.confidence, smile.peak, smile.duration) == pytest.approx((0.6, 0.7, 4.0))
    assert (rest.onset, rest.peak, rest.duration) == pytest.approx((7.1, 0.95, 3.0))


def test_person_who_leaves_ends_an_expression():
    camera = Camera()
    camera.show(3, person("happy"))
    camera.show(2)
    assert camera.changes == [("", "happy"), ("happy", "")]
    assert (camera.events[1].onset, camera.events[1].duration) == pytest.approx((3.0, 2.9))
    camera.show(0.2, person("sad"))
    camera.show(1)
    assert len(camera.events) == 2  # who passes by in 0.2 s shows nothing


def test_flicker_and_unknown_labels_are_no_events():
    camera = Camera()
    camera.show(2, person("neutral"))
    for _ in range(10):
        camera.show(0.2, person("happy"))
        camera.show(0.5, person("neutral"))
        camera.show(0.5, person("unknown"))
    assert camera.changes == [("", "neutral")]


def test_unknown_labels_do_not_end_an_expression_that_begins():
    camera = Camera()
    camera.show(2, person("neutral"))
    for _ in range(3):
        camera.show(0.2, person("happy"))
        camera.show(0.4, person("unknown"))
    assert camera.changes == [("", "neutral"), ("neutral", "happy")]
    assert camera.events[1].onset == pytest.approx(2.1)


def test_events_of_a_person_keep_their_interval_and_a_later_change_is_not_lost():
    camera = Camera(replace(CONFIG, event_interval=3.0))
    for label in ("neutral", "happy", "sad", "angry", "fear", "disgust"):
        camera.show(0.6, person(label))
    camera.show(5, person("surprise"))
    stamps = [event.stamp for event in camera.events]
    assert min(np.diff(stamps)) >= 3.0 - 1e-9
    assert camera.events[-1].to_label == "surprise"


def test_people_have_events_of_their_own():
    camera = Camera()
    camera.show(3, person("happy", id="a"), person("sad", id="b"))
    camera.show(3, person("happy", id="a"))
    assert [(event.id, event.to_label) for event in camera.events] == [("a", "happy"), ("b", "sad"), ("b", "")]


class Room:
    """The group in front of several cameras, ten images per second each."""

    def __init__(self):
        self.members, self.images = {}, 0

    def show(self, seconds, **cameras):
        """Show people to cameras and return the group after each image."""
        moods = []
        for _ in range(round(seconds * RATE_HZ)):
            self.images += 1
            now = self.images / RATE_HZ
            for camera, people in cameras.items():
                seen = Perception(640, 480, "model", CLASSES, tuple(people))
                self.members = update_members(self.members, camera, seen, now, now, 1.0)
            moods.append(group_mood([*self.members.values()], CLASSES, 0.5))
        return moods


def attending(*arguments, **changes):
    return replace(person(*arguments, **changes), attention=0.9)


def test_several_cameras_are_one_group():
    (*_, mood) = Room().show(
        2, left=[attending("happy", id="a"), person("sad", id="b")], right=[attending("happy", id="c")]
    )
    assert (mood.people, mood.attending) == (3, 2)
    shares = dict(zip(mood.labels, mood.distribution.tolist(), strict=True))
    assert shares["happy"] == pytest.approx((0.8 + 0.8 + 0.2 / 6) / 3, abs=1e-3)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)


def test_badly_visible_faces_have_less_weight_in_the_group():
    (*_, mood) = Room().show(1, left=[person("happy", id="a"), person("sad", id="b", quality=0.1)])
    assert mood.valence > 0.4


def test_trend_is_each_ones_own_change_and_not_that_of_people_who_come_and_go():
    room, sad, happy = Room(), person("sad", id="a"), person("happy", id="b")
    room.show(10, left=[sad])
    came = room.show(8, left=[sad, happy])
    assert came[-1].valence > came[0].valence - 0.01
    assert all(mood.valence_trend == pytest.approx(0, abs=0.01) for mood in came)
    left = room.show(8, left=[sad])
    assert left[-1].valence < -0.3
    assert all(mood.valence_trend == pytest.approx(0, abs=0.01) for mood in left)


def test_trend_follows_a_mood_that_brightens():
    room = Room()
    for step in range(20):
        moods = room.show(0.5, left=[replace(person(id="a"), valence=-0.5 + step / 20)])
    assert moods[-1].valence_trend == pytest.approx(1.0, abs=0.1)
    assert math.isnan(Room().show(4, left=[person()])[-1].valence_trend)


def test_missed_detection_changes_no_group_and_people_of_a_dead_camera_leave():
    room, everybody = Room(), [person("happy", id="a"), person("happy", id="b")]
    room.show(2, left=everybody)
    assert {mood.people for mood in room.show(0.5, left=everybody[:1])} == {2}
    assert room.show(2, left=everybody[:1])[-1].people == 1
    room.show(1, right=[person(id="c")])
    assert room.show(1.5, right=[person(id="c")])[-1].people == 1


def test_change_of_the_labels_begins_a_new_group():
    room = Room()
    room.show(1, left=[person(id="a")], right=[person(id="b")])
    few = replace(person(id="a"), probabilities=np.array([0.5, 0.5], np.float32))
    members = update_members(
        room.members, "left", Perception(640, 480, "model", ("good", "bad"), (few,)), 1.1, 1.1, 1.0
    )
    assert group_mood([*members.values()], ("good", "bad"), 0.5).people == 1


def test_empty_room_has_no_mood():
    (*_, mood) = Room().show(1, left=[])
    assert (mood.people, mood.attending, mood.distribution.sum()) == (0, 0, 0)
    assert math.isnan(mood.valence)
    assert math.isnan(mood.valence_trend)


def test_attention_events_and_group_cost_less_than_half_a_millisecond_per_person():
    people = [person("happy", id=str(number), pose=AHEAD, distance=1.0) for number in range(10)]
    camera, room = Camera(), Room()
    room.show(10, left=people)
    start = time.process_time()
    camera.show(10, *people)
    room.show(10, left=people)
    assert (time.process_time() - start) / (10 * RATE_HZ * len(people)) < 0.0005
