"""Face and hand detectors: on one portrait, on regions of it, on pictures of people; crops around landmarks."""

import csv
import io
import subprocess
import sys
import zipfile
from collections import defaultdict

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ModelError
from emotion_ros.inference.catalog import default_face_model
from emotion_ros.inference.ort_session import Session
from emotion_ros.perception.detection import FACE_DETECTORS, HAND_DETECTORS, FaceSettings, HandSettings
from emotion_ros.perception.detection.image_region import ImageRegion, search_regions
from emotion_ros.perception.emotion.preprocess import crop_square, face_square, roll
from emotion_ros.perception.loaded_models import create_face_detector, create_hand_detector
from emotion_ros.types import Box

YUNET = "models/face_detection_yunet_2026may.onnx"


@pytest.fixture(params=FACE_DETECTORS)
def detector(request):
    """Each face detector of the dictionary."""
    if request.param.startswith("mediapipe"):
        request.getfixturevalue("mediapipe")
    model = str(request.getfixturevalue("shared")(YUNET)) if request.param == "yunet" else ""
    made = create_face_detector(PipelineConfig(face_detector=request.param, face_model=model))
    yield made
    made.close()


def test_every_detector_finds_the_face_and_agrees_on_eyes_and_mouth(detector, portrait):
    (face,) = detector.detect(portrait, 0.65, 24)  # below, emotion_faces takes patterns for faces
    assert face.box.overlap(Box(305, 112, 110, 115)) > 0.6
    assert face.confidence > 0.5
    square = face_square(face.landmarks)
    assert square.overlap(Box(306, 128, 98, 98)) > 0.7
    right, left, nose, mouth = face.landmarks[:4]
    assert right[0] < nose[0] < left[0]
    assert max(right[1], left[1]) < nose[1] < mouth[1]


def test_boxes_are_clipped_sorted_and_not_smaller_than_asked(detector, portrait):
    head = cv2.resize(portrait[56:338, 267:455], (160, 240))
    pair = np.full((240, 400, 3), 60, np.uint8)
    pair[:, :160] = pair[:, 240:] = head
    faces = detector.detect(pair, 0.5, 24)
    assert [face.box.x for face in faces] == sorted(face.box.x for face in faces)
    assert len(faces) == 2
    for face in faces:
        assert face.box == face.box.clipped(400, 240)
    assert detector.detect(pair, 0.5, 200) == []
    assert detector.detect(np.zeros((240, 320, 3), np.uint8), 0.5, 24) == []


@pytest.fixture
def recorded(monkeypatch):
    """The detector of this package, and a list of the heights and widths of its network's inputs."""
    detector, inputs, run = create_face_detector(PipelineConfig()), [], Session.run

    def recording(session, names, arrays):
        inputs.append(arrays["pixels"].shape[2:])
        return run(session, names, arrays)

    monkeypatch.setattr(Session, "run", recording)
    yield detector, inputs
    detector.close()


def test_known_faces_are_searched_in_small_regions_at_a_sufficient_resolution(recorded, portrait):
    detector, inputs = recorded
    (face,) = detector.detect(portrait, 0.5, 24)
    inputs.clear()
    (again,) = detector.detect(portrait, 0.5, 24, [face.box])
    (searched,) = inputs
    assert np.prod(searched) < 0.3 * np.prod(portrait.shape[:2])
    assert again.box.overlap(face.box) > 0.8
    assert face_square(again.landmarks).overlap(face_square(face.landmarks)) > 0.8
    large = cv2.resize(portrait, None, fx=2, fy=2)
    (twice,) = detector.detect(large, 0.5, 24, [face.box.scaled(2)])
    assert np.prod(inputs[-1]) <= np.prod(searched)
    assert twice.box.overlap(again.box.scaled(2)) > 0.8


def test_the_whole_image_is_searched_if_a_face_left_its_region(recorded, portrait):
    detector, inputs = recorded
    (face,) = detector.detect(portrait, 0.5, 24)
    inputs.clear()
    elsewhere = Box(20, 300, 100, 100)
    (moved,) = detector.detect(portrait, 0.5, 24, [elsewhere])
    assert len(inputs) == 2
    assert moved.box == face.box
    assert len(detector.detect(portrait, 0.5, 24, [face.box, elsewhere])) == 1
    assert detector.detect(np.zeros_like(portrait), 0.5, 24, [face.box]) == []
    outside = Box(2000, 100, 100, 100)
    assert [other.box for other in detector.detect(portrait, 0.5, 24, [outside])] == [face.box]
    assert [other.box for other in detector.detect(portrait, 0.5, 24, [face.box, outside])] == [face.box]


def test_a_face_that_a_regions_edge_cuts_is_left_out(recorded, portrait):
    detector, _ = recorded
    head = cv2.resize(portrait[56:338, 267:455], (100, 150))
    pair = np.full((480, 640, 3), 60, np.uint8)
    pair[100:250, 100:200] = pair[100:250, 220:320] = head
    first, second = detector.detect(pair, 0.5, 24)
    again = detector.detect(pair, 0.5, 24, [first.box])
    assert [face.box.overlap(first.box) > 0.7 for face in again] == [True]
    both = detector.detect(pair, 0.5, 24, [first.box, second.box])
    assert [face.box.overlap(known.box) > 0.7 for face, known in zip(both, (first, second), strict=True)] == [True] * 2


def test_regions_do_not_overlap_and_cost_less_than_the_whole_image():
    whole = ImageRegion(0, 0, 640, 480, 1.0)
    (small,) = search_regions([Box(100, 100, 40, 50)], whole)
    assert (small.left, small.top, small.right, small.bottom, small.downscale) == (75, 75, 165, 175, 1.0)
    assert len(search_regions([Box(100, 100, 40, 50), Box(120, 110, 40, 50), Box(500, 300, 40, 50)], whole)) == 2
    (merged,) = search_regions([Box(0, 0, 200, 200), Box(250, 50, 60, 60)], whole)
    assert merged.downscale == 1.0  # the smaller of two faces sets the resolution
    assert search_regions([Box(0, 0, 200, 200)], whole)[0].downscale == 3.0
    assert search_regions([Box(0, 0, 60, 60), Box(200, 0, 60, 60)], ImageRegion(0, 0, 300, 90, 1.0)) == []
    assert search_regions([Box(100, 100, 40, 50), Box(700, 100, 40, 50)], whole) == []
    corner = search_regions([Box(0, 0, 60, 60)], whole)[0]
    rows = np.array([[0, 0, 60, 60], [50, 10, 40, 40]], np.float32)
    assert corner.contains(rows, 640, 480).tolist() == [True, False]


def test_face_cut_by_the_border_stays_inside(detector, portrait):
    cut = portrait[:, 345:]
    for face in detector.detect(cut, 0.3, 24):
        assert face.box == face.box.clipped(cut.shape[1], cut.shape[0])


@pytest.mark.parametrize(
    ("code", "alternative"),
    [
        ("HAND_DETECTORS['mediapipe'](HandSettings(2))", "hand_detector: emotion_hands"),
        ("FACE_DETECTORS['mediapipe'](FaceSettings())", "face_detector: emotion_faces"),
        ("FACE_DETECTORS['mediapipe_full'](FaceSettings())", "face_detector: emotion_faces"),
    ],
)
@pytest.mark.parametrize(("machine", "version"), [("x86_64", "0.10.21"), ("aarch64", "0.10.18")])
def test_missing_mediapipe_is_named_with_how_to_install_it(code, alternative, machine, version):
    script = f"""
import platform, sys
platform.machine = lambda: {machine!r}
sys.modules["mediapipe"] = None  # as if it were not installed
from emotion_ros.errors import ModelError
from emotion_ros.perception.detection import FACE_DETECTORS, HAND_DETECTORS, FaceSettings, HandSettings
try:
    {code}
except ModelError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"pip install mediapipe=={version}, or set {alternative}" in result.stdout, result.stderr
    assert len(result.stdout.splitlines()) == 1


def test_yunet_without_its_model_says_how_to_get_it(tmp_path):
    with pytest.raises(ModelError, match="models fetch"):
        FACE_DETECTORS["yunet"](FaceSettings())
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"bad\.onnx: expected an ONNX model"):
        FACE_DETECTORS["yunet"](FaceSettings(tmp_path / "bad.onnx"))
    with pytest.raises(ModelError, match="expected a YuNet ONNX file"):
        FACE_DETECTORS["yunet"](FaceSettings(default_face_model()))


@pytest.mark.usefixtures("mediapipe")
@pytest.mark.timeout(300)
def test_every_face_and_every_hand_of_real_pictures_is_found(shared):
    config = PipelineConfig()
    detectors = {
        name: create_face_detector(PipelineConfig(face_detector=name)) for name in ("emotion_faces", "mediapipe")
    }
    false = dict.fromkeys(detectors, 0)
    hands = create_hand_detector(config)
    boxes = defaultdict(list)
    for row in csv.DictReader(io.StringIO(shared("data/hands/boxes.csv").read_text())):
        left, top, right, bottom = (float(row[edge]) for edge in ("xmin", "ymin", "xmax", "ymax"))
        boxes[row["file"]].append(Box(left, top, right - left, bottom - top))
    faceless, missed = [], []
    with zipfile.ZipFile(shared("data/hands/images.zip")) as pictures:
        for name, expected in boxes.items():
            image = cv2.imdecode(np.frombuffer(pictures.read(name), np.uint8), cv2.IMREAD_COLOR)
            for kind, faces in detectors.items():
                count = len(faces.detect(image, config.min_face_confidence, config.min_face_size))
                faceless += [(kind, name)] * (count == 0)
                false[kind] += max(count - 1, 0)  # each picture shows one person
            centres = [hand.box.centre for hand in hands.detect(image)]
            missed += [name for box in expected if not any(contains(box, point) for point in centres)]
    print(f"false faces: {false}")
    assert len(boxes) == 668
    assert faceless == []
    assert missed == []


def contains(box, point):
    return box.x <= point[0] <= box.x + box.width and box.y <= point[1] <= box.y + box.height


@pytest.mark.usefixtures("mediapipe")
def test_hand_has_21_landmarks_inside_its_box_and_a_side(shared):
    with zipfile.ZipFile(shared("data/hands/images.zip")) as pictures:
        content = pictures.read("open_palm/001.jpg")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    (hand,) = HAND_DETECTORS["mediapipe"](HandSettings(2)).detect(image)
    mirrored = HAND_DETECTORS["mediapipe"](HandSettings(2)).detect(np.ascontiguousarray(image[:, ::-1]))
    assert hand.landmarks.shape == (21, 2)
    assert all(contains(hand.box, point) for point in hand.landmarks)
    assert {hand.side, mirrored[0].side} == {"left", "right"}


landmarks = st.lists(st.tuples(*[st.floats(-50, 150, width=32)] * 2), min_size=4, max_size=6)


@given(landmarks, st.floats(-0.4, 1.0), st.floats(-0.5, 0.5))
@settings(deadline=None)
def test_crop_around_any_landmarks_is_a_square_of_pixels(points, margin, shift):
    image = np.arange(100 * 80 * 3, dtype=np.uint32).astype(np.uint8).reshape(80, 100, 3)
    crop = crop_square(image, face_square(np.array(points, np.float32)), margin, shift)
    assert crop.shape[0] == crop.shape[1] >= 1
    assert crop.dtype == np.uint8


@pytest.mark.parametrize("degrees", [-40, -15, 10, 45])
def test_tilted_face_is_cropped_as_if_it_were_upright(portrait, degrees):
    points = np.array([(335, 152), (381, 152), (358, 175), (358, 198)], np.float32)
    assert roll(points) == pytest.approx(0, abs=1e-6)
    upright = crop_square(portrait, face_square(points), 0.1, -0.05)
    turn = cv2.getRotationMatrix2D((300, 200), -degrees, 1.0)  # OpenCV turns the other way round
    tilted = cv2.warpAffine(portrait, turn, (640, 480))
    moved = (np.c_[points, np.ones(4)] @ turn.T).astype(np.float32)
    assert np.degrees(roll(moved)) == pytest.approx(degrees, abs=0.1)
    aligned = crop_square(tilted, face_square(moved), 0.1, -0.05, roll(moved))
    assert abs(aligned.shape[0] - upright.shape[0]) <= 1
    difference = np.abs(cv2.resize(aligned, upright.shape[1::-1]).astype(int) - upright)
    assert difference.mean() < 8
    standing = np.abs(
        crop_square(tilted, face_square(moved), 0.1, -0.05).astype(int)[: len(upright), : len(upright)] - upright
    )
    assert standing.mean() > 3 * difference.mean()


def test_face_square_turns_and_nods_without_shrinking():
    front = np.array([[40, 50], [60, 50], [50, 60], [50, 70]], np.float32)
    turned, nodding = front.copy(), front.copy()
    turned[:, 0] = 50 + (front[:, 0] - 50) * 0.3
    nodding[:, 1] = 60 + (front[:, 1] - 60) * 0.3
    assert face_square(front) == Box(30, 40, 40, 40)
    assert face_square(turned) == face_square(nodding) == Box(30, 40, 40, 40)
