import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotion_ros.config import DetectorConfig, PipelineConfig, parameters_yaml
from emotion_ros.config.options import build, options
from emotion_ros.errors import ConfigError, ImageError
from emotion_ros.io.drawing import draw
from emotion_ros.perception.association import associate_hands, filter_false_faces
from emotion_ros.perception.emotion.preprocess import crop_square, normalise, resize
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.stub_modules import stub_modules
from emotion_ros.types import Box, Emotion, Face, Hand, Perception


def face(x, y, side=50.0, confidence=0.9):
    return Face(Box(x, y, side, side), confidence, np.zeros((6, 2), np.float32))


def hand(x, y):
    return Hand("left", Box(x, y, 20, 20), 0.9, np.full((21, 2), (x + 10, y + 10), np.float32))


@pytest.fixture(scope="module")
def pipeline():
    made = Pipeline(PipelineConfig(hands=False))
    yield made
    made.close()


def test_box_is_clipped_to_the_image():
    assert Box(-10, 5, 30, 100).clipped(100, 50) == Box(0, 5, 20, 45)
    assert Box(200, 200, 10, 10).clipped(100, 50).area == 0


def test_overlap_is_one_with_itself_and_zero_apart():
    assert Box(1, 2, 3, 4).overlap(Box(1, 2, 3, 4)) == 1
    assert Box(0, 0, 1, 1).overlap(Box(5, 5, 1, 1)) == 0
    assert Box(0, 0, 2, 1).overlap(Box(1, 0, 2, 1)) == pytest.approx(1 / 3)


@pytest.mark.parametrize("box", [Box(-20, -20, 40, 40), Box(90, 40, 30, 30), Box(0, 0, 100, 50), Box(50, 20, 0, 0)])
@pytest.mark.parametrize("margin", [-0.2, 0.0, 0.5])
def test_crop_is_square_wherever_the_face_is(box, margin):
    image = np.random.default_rng(0).integers(0, 255, (50, 100, 3), np.uint8)
    crop = crop_square(image, box, margin)
    assert crop.shape == (max(round(max(box.width, box.height) * (1 + 2 * margin)), 1),) * 2 + (3,)


def test_crop_inside_the_image_is_the_image_itself():
    image = np.random.default_rng(0).integers(0, 255, (50, 100, 3), np.uint8)
    assert np.array_equal(crop_square(image, Box(10, 10, 20, 20), 0), image[10:30, 10:30])


def test_normalise_is_pixel_minus_mean_over_std():
    pixels = np.full((1, 1, 2, 2), 255, np.float32)
    assert normalise(pixels, (0.5,), (0.25,)) == pytest.approx(np.full((1, 1, 2, 2), 2.0))


def test_rgb_swaps_channels():
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 200
    assert resize(image, 4, "rgb")[0, 0].tolist() == [0, 0, 200]


def test_hand_goes_to_the_nearest_face_in_reach():
    owned, loose = associate_hands([face(0, 0), face(300, 0)], [hand(40, 80), hand(320, 90), hand(1000, 1000)])
    assert [len(each) for each in owned] == [1, 1]
    assert len(loose) == 1


def test_hand_that_was_taken_for_a_face_is_none_but_a_face_behind_a_hand_is():
    on_hand = face(301, 1, side=18.0, confidence=0.6)
    assert filter_false_faces([face(0, 0), on_hand], [hand(300, 0)]) == [0]
    assert filter_false_faces([face(0, 0), on_hand], []) == [0, 1]
    assert filter_false_faces([on_hand], [hand(300, 0)]) == [0]
    assert filter_false_faces([face(0, 0, confidence=0.7), on_hand], [hand(300, 0)]) == [0, 1]
    assert filter_false_faces([face(0, 0), face(295, 0, confidence=0.6)], [hand(300, 0)]) == [0, 1]
    assert filter_false_faces([], [hand(0, 0)]) == []


@pytest.mark.parametrize(
    "values",
    [
        {"min_face_confidence": 1.5},
        {"min_face_confidence": 10**400},
        {"max_hands": 2.5},
        {"provider": "tpu"},
        {"hands": 1},
        {"model": 3},
        {"model": "a\0b.onnx"},
        {"gestures": "\0"},
    ],
)
def test_option_out_of_range_or_of_another_type_is_refused(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        build(PipelineConfig, values)


@pytest.mark.parametrize("config", [PipelineConfig, DetectorConfig])
def test_every_default_passes_its_own_check(config):
    for each in options(config):
        assert each.check(each.default) == each.default
        assert each.description


def test_detect_yaml_holds_every_parameter_with_its_default():
    shipped = Path(__file__).resolve().parents[2] / "config" / "detect.yaml"
    assert shipped.read_text() == parameters_yaml()


def test_module_is_absent_only_while_that_is_asked_for():
    sys.modules.pop("colorsys", None)
    with stub_modules("colorsys"):
        import colorsys

        assert colorsys.rgb_to_hsv is None
        with pytest.raises(AttributeError):
            colorsys.__file__  # noqa: B018
    import colorsys

    assert colorsys.rgb_to_hsv(1, 1, 1) == (0, 0, 1)
    with stub_modules("colorsys"):
        import colorsys as loaded
    assert loaded.rgb_to_hsv(1, 1, 1) == (0, 0, 1)


def test_smiling_astronaut_is_happy(pipeline, portrait):
    seen = pipeline.perceive(portrait, 0.0)
    assert [person.label for person in seen.people] == ["happy"]
    assert seen.people[0].probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_nobody_in_an_empty_image(pipeline):
    assert pipeline.perceive(np.zeros((480, 640, 3), np.uint8), 0.0).people == ()


@pytest.mark.parametrize("image", [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3))])
def test_array_that_is_no_image_is_refused(pipeline, image):
    with pytest.raises(ImageError, match="expected a BGR image"):
        pipeline.perceive(image, 0.0)


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (2880, 2160)])
def test_drawing_changes_a_copy_only(pipeline, portrait, size):
    image = cv2.resize(portrait, size)
    before = image.copy()
    seen = pipeline.perceive(image, 0.0)
    assert len(seen.people) == 1
    assert (draw(image, seen) != before).any()
    assert np.array_equal(image, before)


def test_bars_of_a_person_cover_no_other_face():
    labels = ("happy", "sad")
    image = np.full((480, 640, 3), 200, np.uint8)

    def drawn(*places):
        shares = np.array([0.9, 0.1], np.float32)
        people = [Emotion(f"p{x}", "happy", 0.9, shares, 0.0, 0.0, face(x, y, 80)) for x, y in places]
        return draw(image, Perception(640, 480, "model", labels, tuple(people)))

    dark = (drawn((100, 200)) < 100).sum(2) == 3
    assert dark[200:240, 185:280].mean() > 0.5  # the panel right of a person who is alone
    crowd = drawn((100, 200), (190, 200), (280, 200), (370, 200))
    for x in (100, 190, 280, 370):
        assert (crowd[204:276, x + 4 : x + 76] == 200).all()


def test_people_are_found_without_loading_optional_or_slow_libraries():
    code = "import sys, emotion_ros.perception.pipeline; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"mediapipe", "scipy", "skimage", "matplotlib", "jax", "torch"} & set(loaded)
