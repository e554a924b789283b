"""A person's usual expression, learned over time and taken off."""

import time

import numpy as np
import pytest

from emotion_ros.config import PipelineConfig
from emotion_ros.perception.baseline import learn, neutral_index, take_off
from emotion_ros.perception.filtering import EmotionFilter
from emotion_ros.perception.pipeline import Pipeline

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
NEUTRAL = CLASSES.index("neutral")
MEMORY_S, RATE_HZ = 60.0, 10.0


def face(noise=None, **log_odds):
    """Probabilities with these log-odds of classes against neutral; the others have −4."""
    scores = np.array([0.0 if name == "neutral" else log_odds.get(name, -4.0) for name in CLASSES])
    if noise is not None:
        scores = scores + noise.normal(0, 0.5, len(CLASSES))
    powers = np.exp(scores)
    return np.asarray(powers / powers.sum(), np.float32)


class Person:
    """A tracked face that is classified ten times per second."""

    def __init__(self, memory=MEMORY_S):
        self.emotions, self.memory, self.images = EmotionFilter(NEUTRAL), memory, 0
        self.noise = np.random.default_rng(1)

    def show(self, seconds, **log_odds):
        """Show an expression for seconds and return the label of each image."""
        labels = []
        for _ in range(round(seconds * RATE_HZ)):
            self.images += 1
            faces = face(self.noise, **log_odds)
            self.emotions.update("a", faces, 1.0, self.images / RATE_HZ, 0.25, self.memory)
            labels.append(self.emotions.update_label("a", CLASSES, self.emotions.probabilities("a"), 0.3))
        return labels


def test_resting_frown_becomes_neutral_after_the_time():
    assert set(Person(memory=0).show(70, angry=1.5)) == {"angry"}
    frowning = Person()
    assert set(frowning.show(50, angry=1.5)) == {"angry"}
    frowning.show(12, angry=1.5)
    assert set(frowning.show(120, angry=1.5)) == {"neutral"}


def test_expressions_of_a_person_with_a_resting_frown_show_within_600_ms():
    person = Person()
    person.show(70, angry=1.5)
    assert person.show(3, happy=4).index("happy") / RATE_HZ <= 0.6
    person.show(5, angry=1.5)
    assert person.show(3, angry=5).index("angry") / RATE_HZ <= 0.6  # more than usual


def test_expression_that_is_held_for_20_s_is_not_learned_away_by_a_memory_of_24_s():
    person = Person(memory=24)
    person.show(30)
    assert set(person.show(20, happy=3)[6:]) == {"happy"}
    assert set(Person(memory=24).show(20, happy=3)) == {"happy"}  # held from the first image on


def test_expression_that_is_held_for_minutes_is_usual():
    person = Person(memory=24)
    person.show(30)
    assert person.show(100, happy=3)[-1] == "neutral"


def test_person_who_arrives_smiling_and_then_rests_has_an_ordinary_baseline():
    person = Person()
    person.show(10, happy=3)
    person.show(80)
    assert set(person.show(20, happy=3)[6:]) == {"happy"}


def test_rest_after_a_smile_is_learned_though_other_classes_return_with_it():
    smiling = learn(None, face(happy=5.0, sad=-5.0), NEUTRAL, 1.0, 0.0, MEMORY_S)
    resting = learn(smiling, face(sad=-2.7), NEUTRAL, 1.0, MEMORY_S, MEMORY_S)
    assert resting.held_since is None
    assert len(resting.samples) == 2


def test_baseline_ends_with_the_id():
    person = Person()
    person.show(70, angry=1.5)
    person.emotions.keep_only(set())
    assert set(person.show(10, angry=1.5)) == {"angry"}


def test_nothing_is_taken_off_an_ordinary_face():
    baseline = None
    for number in range(200):
        baseline = learn(baseline, face(), NEUTRAL, 1.0, float(number), MEMORY_S)
    assert baseline.is_learned
    assert take_off(baseline, face(angry=1.5), NEUTRAL) == pytest.approx(face(angry=1.5))


def test_blurred_and_turned_faces_are_not_learned():
    assert learn(None, face(angry=1.5), NEUTRAL, 0.2, 0.0, MEMORY_S) is None


def test_classes_without_neutral_have_no_baseline():
    assert neutral_index(("like", "dislike")) is None
    assert neutral_index(("like", "neutral")) == 1
    without, kept = EmotionFilter(None), np.array([0.9, 0.1], np.float32)
    for number in range(200):
        without.update("a", kept, 1.0, number * 1.0, 0.0, 1.0)
    assert without.probabilities("a").tolist() == kept.tolist()


def test_pipeline_takes_off_what_a_person_always_shows(portrait):
    pipeline = Pipeline(PipelineConfig(hands=False, personal_baseline=6.0))
    labels = [pipeline.perceive(portrait, number * 0.06).people[0].label for number in range(135)]
    pipeline.close()
    assert labels[0] == labels[90] == "happy"
    assert labels[-1] == "neutral"


def test_baseline_costs_less_than_half_a_millisecond():
    person = Person(memory=1.0)  # every image is learned
    person.show(20)
    start = time.process_time()
    person.show(20)
    assert (time.process_time() - start) / (20 * RATE_HZ) < 0.0005
