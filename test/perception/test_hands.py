"""The hand detector of this package: crops, the shipped networks, tracking."""

import math
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ModelError
from emotion_ros.inference.catalog import HAND_MODELS, models_folders
from emotion_ros.perception.detection import HAND_DETECTORS, HandSettings
from emotion_ros.perception.detection.hand_crop import CROP_SIZE_PX, HandCrop, crop_of_landmarks
from emotion_ros.perception.loaded_models import create_hand_detector, load_models
from emotion_ros.perception.schedule import FrameHistory, advance, plan_frame
from emotion_ros.types import Box, Hand

numbers = st.floats(-2000, 2000, width=32)


@given(numbers, numbers, st.floats(4, 3000), st.floats(-math.pi, math.pi))
def test_points_return_from_the_crop_to_the_image(x, y, side, radians):
    crop = HandCrop(x, y, side, radians)
    points = np.array([(0, 0), (CROP_SIZE_PX, 0), (40, 90)], np.float32)
    moved = crop.to_image(points)
    matrix = crop.matrix()
    assert np.abs(moved @ matrix[:, :2].T + matrix[:, 2] - points).max() < 0.2 + 1e-3 * abs(x) / side


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, -120])
def test_hand_points_up_in_its_crop(degrees):
    hand = np.stack([np.linspace(-20, 20, 21), np.linspace(60, -60, 21)], 1)
    hand[0], hand[9] = (0, 60), (0, 0)
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    points = (hand @ turn + 300).astype(np.float32)
    crop = crop_of_landmarks(points)
    matrix = crop.matrix()
    inside = points @ matrix[:, :2].T + matrix[:, 2]
    assert inside.min() > 0
    assert inside.max() < CROP_SIZE_PX
    assert inside[9, 1] < inside[0, 1] - 10
    assert inside[9, 0] == pytest.approx(inside[0, 0], abs=0.1)


@pytest.mark.parametrize("side", [60, 96, 150, 400, 1000])
def test_crop_of_any_size_shows_the_same(side):
    grid = np.zeros((1200, 1200, 3), np.uint8)
    cv2.circle(grid, (600, 600), side // 4, (255, 255, 255), -1)
    pixels = HandCrop(600.5, 600.5, side, 0.5).pixels(grid)
    y, x = np.nonzero(pixels[..., 0] > 127)
    half = CROP_SIZE_PX / 2
    assert (x.mean() + 0.5, y.mean() + 0.5) == (pytest.approx(half, abs=0.9), pytest.approx(half, abs=0.9))
    assert (x.max() - x.min()) == pytest.approx(half, abs=5)


def test_hands_are_followed_and_the_whole_image_is_searched_once_in_a_while():
    config, box = PipelineConfig(), Box(10, 10, 40, 40)
    hand = Hand("left", box, 0.9, np.zeros((21, 2), np.float32))
    history, plan = FrameHistory(), plan_frame(FrameHistory(), 0.0, config)
    assert plan.tracked_hands == ()
    for stamp in (0.0, 0.1):
        history = advance(history, stamp, plan, [box], has_face=True, hands=[hand])
        plan = plan_frame(history, stamp + 0.1, config)
        assert (plan.tracked_hands == (hand,)) is (stamp == 0.0)
    assert plan_frame(history, 0.0, config).tracked_hands == ()  # time went back


def test_emotion_hands_without_its_files_says_what_to_do():
    with pytest.raises(ModelError, match="two ONNX files"):
        HAND_DETECTORS["emotion_hands"](HandSettings())


needs_models = pytest.mark.skipif(
    not all(any((folder / file).is_file() for folder in models_folders()) for file in HAND_MODELS),
    reason=f"{' or '.join(HAND_MODELS)} is not installed",
)


@pytest.fixture(scope="module")
def hands():
    return create_hand_detector(PipelineConfig())


@needs_models
@pytest.mark.parametrize("shape", [(1, 1), (31, 33), (5, 900), (480, 640), (4320, 7680)])
def test_images_of_any_size_have_hands_inside_or_none(hands, shape):
    height, width = shape
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    far = Hand("left", Box(0, 0, 50, 50), 0.9, np.full((21, 2), 1e6, np.float32))
    for hand in (*hands.detect(image), *hands.detect(image, [far])):
        assert hand.box == hand.box.clipped(width, height)
        assert hand.landmarks.shape == (21, 2)


@pytest.fixture(scope="module")
def pictures(shared):
    with zipfile.ZipFile(shared("data/hands/images.zip")) as archive:
        names = [f"{gesture}/{number}.jpg" for gesture in ("open_palm", "victory") for number in ("001", "030")]
        contents = [archive.read(name) for name in names if name in archive.namelist()]
    return [cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) for content in contents]


@needs_models
def test_hands_of_real_pictures_are_found_and_followed(hands, pictures):
    assert pictures
    for picture in pictures:
        (hand, *_) = hands.detect(picture)
        moved = np.roll(picture, 8, axis=1)
        (followed, *_) = hands.detect(moved, [hand])
        assert np.abs(followed.landmarks - hand.landmarks - (8, 0)).mean() < 0.15 * hand.box.height


@needs_models
def test_no_search_runs_while_all_hands_are_followed(hands, pictures, monkeypatch):
    found, searches = hands.detect(pictures[0]), []
    search = type(hands)._search
    monkeypatch.setattr(type(hands), "_search", lambda self, image: searches.append(1) or search(self, image))
    hands.detect(pictures[0], found)
    assert searches == []
    hands.detect(np.zeros_like(pictures[0]), found)  # the hand is gone
    assert searches == [1]


@needs_models
def test_hand_detector_is_replaced_while_the_pipeline_runs():
    config = PipelineConfig()
    models = load_models(config)
    assert load_models(config, models, {"model"}).hands is models.hands
    assert load_models(config, models, {"hand_detector"}).hands is not models.hands


@needs_models
def test_pipeline_finds_hands_where_mediapipe_is_not_installed():
    script = """
import sys
import numpy as np
sys.modules["mediapipe"] = None  # as if it were not installed
from emotion_ros.config import PipelineConfig
from emotion_ros.perception.pipeline import Pipeline
pipeline = Pipeline(PipelineConfig(hands_require_face=False))
print(len(pipeline.perceive(np.zeros((480, 640, 3), np.uint8), 0.0).hands))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == ("0", "")
