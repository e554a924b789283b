"""What is processed in which image: the pure schedule, and the pipeline that follows it."""

from dataclasses import replace

import numpy as np
import pytest

from emotion_ros.cli.benchmark_pipeline import crowd_image, stages
from emotion_ros.config import PipelineConfig
from emotion_ros.perception.loaded_models import LoadedModels, load_models
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.schedule import (
    FrameHistory,
    FramePlan,
    HandSearch,
    advance,
    advance_failed,
    is_due,
    is_idle,
    plan_frame,
    select_for_classification,
)
from emotion_ros.types import Box, Face, Hand

BOX = Box(10, 10, 60, 60)
HAND = Hand("left", BOX, 0.9, np.zeros((21, 2), np.float32))
CONFIG = PipelineConfig()


def after(*images):
    """History after images of (stamp, number of faces, number of hands or None)."""
    history = FrameHistory()
    for stamp, faces, hands in images:
        plan = plan_frame(history, stamp, CONFIG)
        found = None if hands is None else [HAND] * hands
        history = advance(history, stamp, plan, [BOX] * faces, has_face=faces > 0, hands=found)
    return history


def test_whole_image_is_searched_first_and_then_once_per_interval():
    history = after((0.0, 1, 0))
    assert plan_frame(FrameHistory(), 0.0, CONFIG).regions == ()
    assert plan_frame(history, 0.1, CONFIG).regions == (BOX,)
    assert plan_frame(history, 0.2, CONFIG).regions == ()
    assert plan_frame(after((0.0, 1, 0), (0.1, 1, 0)), 0.2, CONFIG).regions == ()
    assert plan_frame(history, 0.1, replace(CONFIG, face_search_interval=0.0)).regions == ()


def test_whole_image_is_searched_without_known_faces_and_when_time_does_not_advance():
    assert plan_frame(after((0.0, 0, 0)), 0.1, CONFIG).regions == ()
    assert plan_frame(after((5.0, 1, 0)), 5.0, CONFIG).regions == ()
    assert plan_frame(after((5.0, 1, 0)), 0.0, CONFIG).regions == ()


@pytest.mark.parametrize(
    ("images", "stamp", "changes", "expected"),
    [
        ([], 0.0, {}, HandSearch.AFTER_FACES),
        ([(0.0, 1, 1)], 0.1, {}, HandSearch.CONCURRENT),
        ([(0.0, 1, 0)], 0.19, {}, HandSearch.NONE),
        ([(0.0, 1, 0)], 0.2, {}, HandSearch.CONCURRENT),
        ([(0.0, 1, None)], 0.05, {}, HandSearch.CONCURRENT),
        ([(0.0, 1, 1)], 1.5, {}, HandSearch.AFTER_FACES),
        ([(0.0, 0, 1)], 0.5, {"hands_require_face": False}, HandSearch.CONCURRENT),
        ([(9.0, 1, 0)], 0.0, {}, HandSearch.AFTER_FACES),
        ([(0.0, 1, 1)], 0.1, {"hands": False}, HandSearch.NONE),
    ],
)
def test_hands_are_searched_while_a_face_is_tracked_and_again_a_moment_after_none_were_found(
    images, stamp, changes, expected
):
    assert plan_frame(after(*images), stamp, replace(CONFIG, **changes)).hands is expected


def test_hands_are_searched_in_every_image_if_the_classifier_sees_them():
    assert plan_frame(after((0.0, 1, 0)), 0.05, CONFIG, hands_are_input=True).hands is HandSearch.CONCURRENT


def test_least_recently_classified_faces_come_first_and_new_ones_always():
    def select(ids, last, stamp=3.0, limit=2):
        config = PipelineConfig(max_classifications_per_image=limit, classification_interval=0.0)
        return select_for_classification(ids, last, stamp, config)

    last = {"a": 0.0, "b": 1.0, "c": 2.0}
    assert select(["a", "b", "c"], {}) == {"a", "b", "c"}
    assert select(["a", "b", "c"], last) == {"a", "b"}
    assert select(["c", "b", "d"], last) == {"d", "b"}
    assert select(["d", "e", "a", "b"], last) == {"d", "e", "a"}  # one turn is left for the known ones
    assert select(["a", "b", "c"], last, limit=0) == {"a", "b", "c"}
    assert select([], last) == set()


def test_face_that_was_classified_within_the_interval_is_not_selected():
    config = PipelineConfig(max_classifications_per_image=0, classification_interval=1.5)
    last = {"a": 0.0, "b": 1.0, "c": 2.0}
    assert select_for_classification(["a", "b", "c", "d"], last, 2.5, config) == {"a", "b", "d"}
    assert select_for_classification(["c"], last, 2.0, config) == {"c"}  # another picture of the same moment
    assert select_for_classification(["c"], last, 1.0, config) == {"c"}  # time went back


def test_images_without_faces_are_processed_at_the_idle_rate_after_the_timeout():
    history = after((0.0, 0, None), (1.1, 0, None))
    assert not is_idle(history, 0.9, 1.0)
    assert is_idle(history, 1.2, 1.0)
    assert not is_due(history, 1.2, 5.0, 1.0)
    assert is_due(history, 1.35, 5.0, 1.0)
    assert is_due(history, 1.2, 0.0, 1.0)
    assert is_due(history, 0.1, 5.0, 1.0)  # time went back
    assert is_due(after((0.0, 0, None), (1.1, 1, None)), 1.2, 5.0, 1.0)
    assert is_due(FrameHistory(), 7.0, 5.0, 1.0)


@pytest.mark.parametrize("track_timeout", [0.0, 0.1])
def test_face_in_the_last_image_ends_the_idle_rate_though_images_are_rarer_than_the_timeout(track_timeout):
    history = after((0.0, 1, None), (0.15, 1, None))
    assert is_due(history, 0.3, 5.0, track_timeout)
    assert not is_due(after((0.0, 1, None), (0.15, 0, None)), 0.3, 5.0, track_timeout)


def test_history_starts_again_when_time_goes_back():
    history = after((100.0, 1, 0), (5.0, 0, None))
    assert (history.first_frame, history.last_frame) == (5.0, 5.0)
    assert history.boxes == ()
    assert is_idle(history, 6.5, 1.0)


def test_plan_is_a_value():
    assert FramePlan((), HandSearch.NONE) == FramePlan((), HandSearch.NONE)


class Recorder:
    """A detector that counts its calls."""

    def __init__(self, detector, answer=None):
        self.detector, self.answer, self.regions = detector, answer, []
        self.engine_status = ""

    def detect(self, *arguments):
        self.regions.append(len(arguments[3]) if len(arguments) > 3 else 0)
        return self.detector.detect(*arguments) if self.answer is None else self.answer

    def close(self):
        if self.detector:
            self.detector.close()


def recorded(config, hands=None, faces=None):
    """A pipeline of real networks for faces, given hands (none: no hand), and the recorders of both detectors."""
    models = load_models(replace(config, hands=False))
    face_calls = Recorder(models.faces, faces)
    hand_calls = Recorder(None, hands or []) if config.hands else None
    pipeline = Pipeline(config, LoadedModels(face_calls, hand_calls, models.emotion))
    for each in (face_calls, hand_calls):
        if each:
            each.regions.clear()  # of the warm-up
    return pipeline, face_calls, hand_calls


def test_pipeline_searches_hands_only_while_somebody_is_or_was_visible(portrait):
    pipeline, _, hands = recorded(PipelineConfig(track_timeout=1.0))
    empty = np.full_like(portrait, 90)
    for image, stamp, searches in (
        (empty, 0.0, 0),
        (portrait, 0.2, 1),
        (portrait, 0.4, 2),
        (empty, 0.7, 3),  # a hand may cover the face
        (empty, 1.9, 3),
        (empty, 2.1, 3),
    ):
        pipeline.perceive(image, stamp, "front")
        assert len(hands.regions) == searches
    pipeline.perceive(empty, 0.3, "back")
    assert len(hands.regions) == 3
    pipeline.configure(replace(pipeline.config, hands_require_face=False))
    pipeline.perceive(empty, 3.0, "front")
    assert len(hands.regions) == 4
    pipeline.close()


def test_pipeline_searches_around_known_faces_between_whole_images(portrait):
    pipeline, faces, _ = recorded(PipelineConfig(hands=False, face_search_interval=0.09))
    for number in range(6):  # 30 Hz
        assert len(pipeline.perceive(portrait, number / 30).people) == 1
    assert faces.regions == [0, 1, 1, 0, 1, 1]
    pipeline.configure(replace(pipeline.config, face_search_interval=0.0))
    for number in range(2):
        pipeline.perceive(portrait, 1 + number / 30)
    assert faces.regions[6:] == [0, 0]
    pipeline.close()


def test_pipeline_searches_hands_in_every_image_while_there_are_some(portrait):
    hand = Hand("left", Box(20, 300, 80, 80), 0.9, np.full((21, 2), 340, np.float32))
    pipeline, _, hands = recorded(PipelineConfig(), hands=[hand])
    seen = [pipeline.perceive(portrait, number / 30) for number in range(6)]
    assert len(hands.regions) == 6
    assert all(len(one.hands) + len(one.people[0].hands) == 1 for one in seen)
    hands.answer = []
    for number in range(6, 13):
        pipeline.perceive(portrait, number / 30)
    assert len(hands.regions) == 8  # at 0.2 and 0.4 s
    pipeline.close()


def test_pipeline_classifies_two_of_many_faces_per_image_in_turn():
    image = crowd_image(8)
    pipeline = Pipeline(PipelineConfig(hands=False, smoothing=0.0))
    seen = [pipeline.perceive(image, number / 30) for number in range(10)]
    assert [len(one.people) for one in seen] == [8] * 10
    assert all(person.label != "unknown" for one in seen for person in one.people)
    pipeline.close()


def test_faces_that_are_hands_do_not_take_the_turns_of_people(portrait):
    """Two false faces are found in every image; the person's expression changes, and the label follows."""
    models = load_models(PipelineConfig(hands=False))
    (real,) = models.faces.detect(portrait, 0.5, 24, ())
    boxes = [Box(20, 300, 60, 60), Box(500, 300, 60, 60)]
    landmarks = np.array([(20, 20), (40, 20), (30, 30), (30, 45)], np.float32)
    false = [Face(box, 0.3, landmarks + np.float32([box.x, box.y])) for box in boxes]
    on_them = [Hand("left", box, 0.9, np.full((21, 2), box.x, np.float32)) for box in boxes]
    pipeline, _, _ = recorded(PipelineConfig(smoothing=0.0), hands=on_them, faces=[false[0], real, false[1]])
    dark = np.zeros_like(portrait)
    (first,) = pipeline.perceive(portrait, 0.0).people
    later = [person for number in range(1, 10) for person in pipeline.perceive(dark, number / 30).people]
    pipeline.close()
    assert [person.id for person in later] == [first.id] * 9
    assert not np.allclose(later[-1].probabilities, first.probabilities)


def test_result_of_an_image_is_frozen(portrait):
    pipeline = Pipeline(PipelineConfig(hands=False))
    left = pipeline.perceive(portrait, 0.0, "left")
    total = left.timings["total"]
    pipeline.perceive(portrait, 0.1, "right")
    pipeline.close()
    assert left.timings["total"] == total
    with pytest.raises(TypeError):
        left.timings["total"] = 0.0
    for values in (left.people[0].probabilities, left.people[0].face.landmarks):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1.0


def test_failed_images_count_for_the_idle_rate():
    history = advance_failed(advance_failed(FrameHistory(), 0.0), 1.5)
    assert is_idle(history, 1.6, 1.0)
    assert not is_due(history, 1.6, 5.0, 1.0)
    assert is_due(history, 1.75, 5.0, 1.0)


def test_benchmark_of_the_pipeline_measures_all_stages():
    figures = stages("sample", "emotion_hands")
    assert figures["faces_per_frame"] == 1
    assert figures["frames_per_second"] > 1
    stages_ms = [figures[f"{stage}_ms"] for stage in ("hands", "faces", "pose", "eyes", "classify", "people", "total")]
    assert min(stages_ms) > 0
