"""Eyes in attention: crops, the shipped network on a portrait and on a clip, and what happens without it."""

import logging
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ModelError
from emotion_ros.inference import catalog
from emotion_ros.inference.catalog import default_eye_model, default_face_model
from emotion_ros.io.sources import frames
from emotion_ros.perception.attention import EYES_DOWN, EYES_UP, attention_of
from emotion_ros.perception.eye_crop import crops_of_eyes, eye_width
from emotion_ros.perception.eyes import MIN_EYE_WIDTH_PX, EyelidNetwork
from emotion_ros.perception.loaded_models import load_models
from emotion_ros.perception.model_trial import try_models
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.types import FACE_POINTS, HeadPose

AHEAD = HeadPose(0.0, 0.0, 0.0)
CONFIG = PipelineConfig(hands=False, provider="cpu")


@pytest.fixture(scope="module")
def pipeline():
    pipeline = Pipeline(CONFIG)
    yield pipeline
    pipeline.close()


def person_in(pipeline, image):
    pipeline.reset()
    (person,) = pipeline.perceive(image, 0.0).people
    return person


def face_with_eyes(right_outer, right_inner, left_inner, left_outer):
    points = np.zeros((FACE_POINTS, 2), np.float32)
    points[[36, 39, 42, 45]] = right_outer, right_inner, left_inner, left_outer
    return points


@pytest.mark.parametrize("tilt", [0, 6])
def test_crop_of_a_mirrored_eye_is_that_of_the_other_eye(portrait, tilt):
    points = face_with_eyes((325, 155), (345, 155 - tilt), (370, 152), (392, 150 - tilt))
    mirrored = points.copy()
    mirrored[[45, 42, 39, 36]] = points[[36, 39, 42, 45]] * (-1, 1) + (portrait.shape[1], 0)
    right, left = (crop.network_pixels(portrait) for crop in crops_of_eyes(points))
    image = np.ascontiguousarray(portrait[:, ::-1])
    other_right, other_left = (crop.network_pixels(image) for crop in crops_of_eyes(mirrored))
    for one, other in ((right, other_left), (left, other_right)):
        assert np.abs(one.astype(int) - other).mean() < 3
    assert np.abs(right.astype(int) - right[:, ::-1]).mean() > 6


def test_width_of_the_eyes_is_their_mean():
    assert eye_width(face_with_eyes((0, 0), (30, 40), (60, 0), (60, 30))) == pytest.approx(40)


def test_eyes_that_look_down_take_the_attention_of_the_head():
    assert attention_of(AHEAD, EYES_UP) == attention_of(AHEAD, 0.2) == attention_of(AHEAD) == 1.0
    assert attention_of(AHEAD, EYES_DOWN) == attention_of(AHEAD, -0.1) == 0.0
    assert attention_of(AHEAD, (EYES_UP + EYES_DOWN) / 2) == pytest.approx(0.5)
    assert attention_of(HeadPose(0.7, 0.0, 0.0), 0.2) == 0.0


@pytest.mark.parametrize("brightness", [0.5, 1.0])
def test_portrait_that_looks_into_the_camera_attends(pipeline, portrait, brightness):
    person = person_in(pipeline, cv2.convertScaleAbs(portrait, alpha=brightness))
    assert person.lid_height > EYES_UP
    assert person.attention == 1.0


def test_mirrored_portrait_has_the_same_lids(pipeline, portrait):
    mirrored = person_in(pipeline, np.ascontiguousarray(portrait[:, ::-1]))
    assert mirrored.lid_height == pytest.approx(person_in(pipeline, portrait).lid_height, abs=0.05)


def attention_in(clip, config):
    """Attention in each image of a clip."""
    pipeline = Pipeline(config)
    shown = [pipeline.perceive(frame.image, frame.time).people for frame in frames(str(clip))]
    pipeline.close()
    return [max(people, key=lambda person: person.face.box.area).attention for people in shown if people]


def test_woman_who_reads_on_her_phone_does_not_attend_though_her_head_does(shared):
    clip = shared("data/photos/woman_smiling.mp4")
    configs = [PipelineConfig(hands=False, provider="cpu", eyes=eyes) for eyes in (True, False)]
    by_eyes, by_head = (np.array(attention_in(clip, config)) for config in configs)
    assert len(by_eyes) == len(by_head) > 100
    assert (by_head >= 0.5).all()
    assert (by_eyes < 0.5).mean() >= 0.9


def test_eyes_that_are_too_small_or_turned_away_are_not_read(pipeline, portrait):
    small = cv2.resize(portrait, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    person = person_in(pipeline, small)
    assert eye_width(person.face.points) < MIN_EYE_WIDTH_PX
    assert person.lid_height is None
    assert person.attention == attention_of(person.head_pose)


def test_eyes_can_be_switched_off(portrait):
    config = PipelineConfig(hands=False, provider="cpu", eyes=False)
    models = load_models(config)
    assert models.eyes is None
    off = Pipeline(config, models)
    perception = off.perceive(portrait, 0.0)
    off.close()
    assert "eyes" not in perception.timings
    assert perception.people[0].lid_height is None
    assert perception.people[0].attention == 1.0
    assert load_models(PipelineConfig(hands=False, provider="cpu", head_pose=False)).eyes is None


def test_missing_network_of_the_package_costs_only_the_eyes(portrait, monkeypatch, caplog):
    monkeypatch.setattr(catalog, "EYE_MODEL", "not_installed.onnx")
    with caplog.at_level(logging.WARNING):
        pipeline = Pipeline(CONFIG)
    (person,) = pipeline.perceive(portrait, 0.0).people
    pipeline.close()
    assert (person.lid_height, person.attention) == (None, 1.0)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "not_installed.onnx" in warning
    assert "build the package again" in warning


def test_network_that_the_user_names_must_exist_and_be_one_of_eyes():
    with pytest.raises(ModelError, match="found no such file"):
        load_models(PipelineConfig(hands=False, eye_model="nowhere.onnx"))
    with pytest.raises(ModelError, match="of this package of the kind eyes"):
        EyelidNetwork(default_face_model(), "cpu")
    other = replace(CONFIG, eye_model=str(default_face_model()))  # as a node tries it before it changes its models
    with pytest.raises(ModelError, match="of this package of the kind eyes"):
        try_models(other, {"eye_model"})
    try_models(CONFIG, {"eye_model"})


def test_network_is_small_and_takes_less_than_a_third_of_the_time_of_the_classifier(pipeline, classifier, portrait):
    """0.3 ms of 1.9 ms on a core of an EPYC."""
    assert default_eye_model().stat().st_size <= 300_000
    network, points = EyelidNetwork(default_eye_model(), "cpu"), person_in(pipeline, portrait).face.points

    def seconds_per_call(call):
        start = time.process_time()
        for _ in range(50):
            call()
        return (time.process_time() - start) / 50

    def eyes():
        return seconds_per_call(lambda: network(portrait, [points]))

    def expression():
        return seconds_per_call(lambda: classifier.classify([portrait[100:230, 205:335]]))

    ours, theirs = zip(*((eyes(), expression()) for _ in range(8)), strict=True)
    assert min(ours) < min(theirs) / 3
