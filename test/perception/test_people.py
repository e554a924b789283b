"""People: quality, position, label maps, and gestures that support emotions."""

import numpy as np
import pytest

from emotion_ros.config import PipelineConfig
from emotion_ros.config.options import build
from emotion_ros.errors import ConfigError, ModelError
from emotion_ros.perception.emotion.affect import valence_arousal
from emotion_ros.perception.emotion.emotion_model import EmotionModel
from emotion_ros.perception.emotion.label_map import LabelMap
from emotion_ros.perception.geometry import CameraIntrinsics, face_position
from emotion_ros.perception.gesture_fusion import gesture_classes, with_gestures
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.quality import quality
from emotion_ros.types import Box, Face, Hand

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def one_hot(label, sure=0.9):
    rest = (1 - sure) / (len(CLASSES) - 1)
    return np.array([sure if each == label else rest for each in CLASSES], np.float32)


def nose_at(x):
    return np.array([(40, 40), (60, 40), (x, 55), (50, 65)], np.float32)


def test_quality_falls_for_small_blurred_turned_and_cut_faces(portrait):
    box = Box(250, 90, 120, 120)
    good = quality(portrait, Face(box, 0.9, nose_at(50)))
    assert good == 1.0
    assert quality(portrait, Face(Box(300, 140, 20, 20), 0.9, nose_at(50))) < 0.2
    assert quality(np.full_like(portrait, 120), Face(box, 0.9, nose_at(50))) == pytest.approx(0.05)
    assert quality(portrait, Face(box, 0.9, nose_at(61))) < 0.3
    assert quality(portrait[90:], Face(Box(250, 0, 120, 120), 0.9, nose_at(50))) == 0.5
    assert quality(portrait, Face(Box(900, 0, 10, 10), 0.9, nose_at(50))) == pytest.approx(0.05)


def test_dark_face_is_no_blurred_one(portrait):
    face = Face(Box(250, 90, 120, 120), 0.9, nose_at(50))
    assert quality((portrait * 0.25).astype(np.uint8), face) == 1.0


def eyes_at(left, right):
    return Face(Box(300, 200, 60, 60), 0.9, np.array([left, right, (330, 230), (330, 245)], np.float32))


def test_position_is_metres_before_the_camera():
    lens = CameraIntrinsics(500.0, 500.0, 320.0, 240.0, 640, 480)
    assert face_position(eyes_at((304.25, 240), (335.75, 240)), lens, 640, 480) == pytest.approx((0.0, 0.0, 1.0))
    right_below = face_position(eyes_at((554.25, 490), (585.75, 490)), lens, 640, 480)
    assert right_below == pytest.approx((0.5, 0.5, 1.0))
    far = face_position(eyes_at((316.0625, 240), (323.9375, 240)), lens, 640, 480)
    assert far == pytest.approx((0.0, 0.0, 4.0))


def test_position_holds_for_an_image_that_was_scaled_and_is_none_without_a_lens():
    face, lens = eyes_at((304.25, 240), (335.75, 240)), CameraIntrinsics(1000.0, 1000.0, 640.0, 480.0, 1280, 960)
    assert face_position(face, lens, 640, 480) == pytest.approx((0.0, 0.0, 1.0))
    assert face_position(face, None, 640, 480) is None
    assert face_position(eyes_at((304, 240), (304, 240)), lens, 640, 480) is None


def test_label_map_merges_and_renames_and_leaves_the_rest():
    mapped = LabelMap("{happiness: [happy, surprise], sadness: sad}", CLASSES)
    assert mapped.labels == ("angry", "disgust", "fear", "happiness", "neutral", "sadness")
    assert mapped(one_hot("surprise", 0.7)) == pytest.approx([0.05, 0.05, 0.05, 0.75, 0.05, 0.05])
    assert LabelMap("", CLASSES).labels == CLASSES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{joy: [hapy]}", "hapy"),
        ("{joy: [happy], fun: [happy]}", "two names"),
        ("[happy]", "mapping"),
        ("{joy: [", "YAML"),
        ("{sad: [happy]}", "a class of its own"),
        ("!!int x", "tag"),
        ("[" * 5000, "levels"),
        ("{a: &a [x, x], b: [*a, *a, *a, *a, *a, *a, *a, *a, *a]}", "aliases"),
        ("9" * 5000, "characters"),
        ("a" * 20_000, "characters"),
        ('{"\\ud800": [happy]}', "printable"),
        ("{2024-99-99: [joy]}", "joy"),
    ],
)
def test_label_map_that_cannot_be_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        LabelMap(text, CLASSES)


def raised(gesture, sure=1.0):
    return Hand("left", Box(0, 0, 9, 9), 0.9, np.zeros((21, 2), np.float32), gesture, sure)


def test_gesture_mends_an_open_face_and_does_not_overrule_a_sure_one():
    speaks = gesture_classes({"thumb_up": "happy"}, ("thumb_up", "fist"), CLASSES)
    open_face = np.array([0.02, 0.02, 0.02, 0.40, 0.46, 0.05, 0.03], np.float32)
    assert CLASSES[with_gestures(open_face, [raised("thumb_up")], speaks, 1.0).argmax()] == "happy"
    assert CLASSES[with_gestures(one_hot("angry"), [raised("thumb_up")] * 2, speaks, 1.0).argmax()] == "angry"
    assert with_gestures(open_face, [raised("fist")], speaks, 1.0) == pytest.approx(open_face)
    assert with_gestures(open_face, [raised("thumb_up")], speaks, 0.0) == pytest.approx(open_face)
    assert with_gestures(open_face, [raised("thumb_up")], speaks, 1.0).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "gestures"),
    [("", {"thumb_up", "waving", "thumb_down", "fist"}), ("{}", set()), ("{victory: happy}", {"victory"})],
)
def test_gestures_support_emotions_by_default_as_told_or_not_at_all(text, gestures):
    model = EmotionModel(PipelineConfig(gesture_emotions=text, provider="cpu"))
    assert set(model.gesture_classes) == gestures


def test_gesture_that_speaks_for_a_class_the_model_lacks_is_refused():
    with pytest.raises(ConfigError, match="joy"):
        gesture_classes({"thumb_up": "joy"}, ("thumb_up",), CLASSES)


def test_happy_is_pleasant_and_unknown_labels_have_no_coordinates():
    valence, arousal = valence_arousal(("happy", "sad"), np.array([1, 0], np.float32))
    assert (valence, arousal) == pytest.approx((0.81, 0.51))
    assert valence_arousal(("happiness",), np.array([1], np.float32)) == (valence, arousal)
    assert np.isnan(valence_arousal(("like", "dislike"), np.array([1, 0], np.float32))).all()


def test_pipeline_speaks_in_the_names_of_the_label_map(portrait):
    config = build(PipelineConfig, {"label_map": "{happiness: [happy]}", "deterministic_ids": True, "hands": False})
    pipeline = Pipeline(config)
    seen = pipeline.perceive(portrait, 0.0)
    pipeline.close()
    (person,) = seen.people
    assert (person.id, person.label) == ("f00000", "happiness")
    assert person.valence > 0.5
    assert 0.9 < person.quality <= 1
    assert "happiness" in seen.labels
    assert "happy" not in seen.labels


def test_prior_is_assumed_by_the_pipeline(portrait):
    pipeline = Pipeline(PipelineConfig(hands=False, prior="{neutral: 1e9}"))
    (person,) = pipeline.perceive(portrait, 0.0).people
    pipeline.close()
    assert person.label == "neutral"


@pytest.mark.parametrize("prior", ["{neutral: much}", "neutral", "{nothing: 2}", "{neutral: -1}"])
def test_prior_that_cannot_be_used_is_refused(prior):
    with pytest.raises((ConfigError, ModelError), match="prior"):
        Pipeline(PipelineConfig(hands=False, prior=prior))


def test_cameras_do_not_share_people_and_pictures_can_be_kept_apart(portrait):
    pipeline = Pipeline(PipelineConfig(hands=False))
    (left,) = pipeline.perceive(portrait, 0.0, "left").people
    (right,) = pipeline.perceive(portrait, 0.0, "right").people
    (again,) = pipeline.perceive(portrait, 0.1, "left").people
    pipeline.reset()
    (later,) = pipeline.perceive(portrait, 0.2, "left").people
    pipeline.close()
    assert left.id == again.id
    assert len({left.id, right.id, later.id}) == 3
