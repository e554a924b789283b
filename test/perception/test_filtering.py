"""Probabilities and labels of a face over time."""

import numpy as np
import pytest

from emotion_ros.perception.filtering import EmotionFilter, filter_probabilities

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def one_hot(label, sure=0.9):
    rest = (1 - sure) / (len(CLASSES) - 1)
    return np.array([sure if each == label else rest for each in CLASSES], np.float32)


def labels_of(frames, smoothing=0.25, rate=15.0, quality=1.0, min_confidence=0.3):
    """Labels of a face whose probabilities arrive at a rate."""
    emotions, labels = EmotionFilter(), []
    for number, probabilities in enumerate(frames):
        emotions.update("a", probabilities, quality, number / rate, smoothing)
        labels.append(emotions.update_label("a", CLASSES, emotions.probabilities("a"), min_confidence))
    return labels


def test_label_of_a_still_face_with_noise_is_constant_for_half_a_minute():
    rng = np.random.default_rng(1)
    noisy = np.array([0.05, 0.05, 0.05, 0.42, 0.32, 0.06, 0.05]) + rng.normal(0, 0.06, (465, 7))
    frames = [np.asarray(each.clip(0.001) / each.clip(0.001).sum(), np.float32) for each in noisy]
    assert len({CLASSES[each.argmax()] for each in frames}) > 1  # frame by frame it flickers
    assert set(labels_of(frames)[15:]) == {"happy"}


@pytest.mark.parametrize("rate", [5.0, 15.0, 30.0])
@pytest.mark.parametrize("quality", [0.5, 1.0])
def test_real_change_shows_within_600_ms_at_any_rate(rate, quality):
    before, after = [one_hot("happy")] * int(2 * rate), [one_hot("sad")] * int(2 * rate)
    labels = labels_of(before + after, rate=rate, quality=quality)
    changed = labels.index("sad") - len(before)
    assert changed / rate <= 0.6
    assert set(labels[len(before) + changed :]) == {"sad"}


def test_face_of_low_quality_moves_the_average_less():
    start = filter_probabilities(None, one_hot("happy"), 1.0, 0.0, 0.25)
    good, bad = (filter_probabilities(start, one_hot("sad"), quality, 0.1, 0.25) for quality in (1.0, 0.05))
    happy = CLASSES.index("happy")
    assert good.probabilities[happy] < 0.7 < 0.85 < bad.probabilities[happy]


def test_filter_restarts_when_time_goes_back():
    late = filter_probabilities(None, one_hot("happy"), 1.0, 9.0, 0.25)
    assert filter_probabilities(late, one_hot("sad"), 1.0, 0.0, 0.25).probabilities.tolist() == one_hot("sad").tolist()


def test_label_is_empty_below_min_confidence_and_does_not_flicker_around_it():
    low, high = one_hot("happy", 0.28), one_hot("happy", 0.32)
    assert set(labels_of([low] * 3, smoothing=0)) == {""}
    assert labels_of([high, low, high, high], smoothing=0) == ["happy", "", "", ""]
    assert labels_of([low, one_hot("happy", 0.36)], smoothing=0) == ["", "happy"]


def test_label_returns_though_min_confidence_is_high():
    low, high = one_hot("happy", 0.96), one_hot("happy", 0.99)
    assert labels_of([low, low, high], smoothing=0, min_confidence=0.97) == ["", "", "happy"]


def test_without_smoothing_each_image_counts_alone():
    assert labels_of([one_hot("happy"), one_hot("sad")], smoothing=0) == ["happy", "sad"]


def test_faces_that_are_no_longer_tracked_are_forgotten():
    emotions = EmotionFilter()
    for id in "ab":
        emotions.update(id, one_hot("happy"), 1.0, 3.0, 0.25)
    emotions.keep_only({"b"})
    assert emotions.last_classified == {"b": 3.0}
