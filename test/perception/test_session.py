"""Sessions made of photos, from images to events."""

import numpy as np
import pytest
from scripted_session import photos_by_label, play, precision_recall, recognized, script, scripted_changes

from emotion_ros.config import PipelineConfig
from emotion_ros.perception.pipeline import Pipeline

CONFIG = PipelineConfig(hands=False, provider="cpu")
SESSION_S = 180.0


def test_smiling_person_who_comes_leaves_and_comes_back_is_three_events(portrait):
    pipeline, empty, events = Pipeline(CONFIG), np.full_like(portrait, 110), []
    for number in range(60):
        is_there = number < 20 or number >= 40
        events += pipeline.perceive(portrait if is_there else empty, number / 5).events
    pipeline.close()
    assert [(event.from_label, event.to_label) for event in events] == [("", "happy"), ("happy", ""), ("", "happy")]
    came, left, back = events
    assert (came.id, left.id) == (left.id, came.id)
    assert back.id != came.id
    assert came.onset == pytest.approx(0.0)
    assert (left.onset, left.duration) == pytest.approx((3.8, 3.8))
    assert back.onset == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("all_photos", "expected"), [(False, 0.85), (True, 0.3)], ids=["recognized photos", "all photos"]
)
def test_scripted_events_of_a_session_of_photos_come_out(shared, all_photos, expected):
    photos = photos_by_label(shared("data/expressions/val.zip"), 12)
    if not all_photos:
        pipeline = Pipeline(CONFIG)
        photos = {label: recognized(pipeline, photos[label], label) for label in photos}
        pipeline.close()
    shown = script({label: each for label, each in photos.items() if each}, SESSION_S, seed=4)
    asked, came = scripted_changes(shown, SESSION_S), play(shown, SESSION_S, CONFIG)
    precision, recall = precision_recall(asked, came)
    print(f"{len(asked)} events scripted, {len(came)} reported, precision {precision:.2f}, recall {recall:.2f}")
    assert min(precision, recall) >= expected
