"""Head pose and face landmarks: conventions, line of sight, and the shipped network on a portrait."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ModelError
from emotion_ros.inference.catalog import default_face_landmark_model, default_face_model
from emotion_ros.io.drawing import draw
from emotion_ros.perception.emotion.preprocess import roll
from emotion_ros.perception.face_crop import crop_of_face
from emotion_ros.perception.face_points import FacePointsNetwork
from emotion_ros.perception.geometry import PUPIL_DISTANCE_M, CameraIntrinsics, face_position, line_of_sight
from emotion_ros.perception.head_pose import rotation_in_camera, to_pose, to_rotation, view_rotation
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.quality import quality
from emotion_ros.perception.state import Frame
from emotion_ros.types import FACE_POINTS, Box, Face, HeadPose

angles = st.floats(-1.4, 1.4)
FRONTAL = np.array([(40, 40), (60, 40), (50, 55), (50, 65)], np.float32)


@given(angles, angles, angles)
def test_angles_survive_the_rotation_matrix(yaw, pitch, roll):
    pose = to_pose(to_rotation(HeadPose(yaw, pitch, roll)))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((yaw, pitch, roll), abs=1e-6)


def test_signs_are_those_of_the_viewer():
    def nose_and_crown(**changes):
        rotation = to_rotation(HeadPose(**{"yaw": 0.0, "pitch": 0.0, "roll": 0.0, **changes}))
        return rotation @ (0, 0, -1), rotation @ (0, -1, 0)

    assert nose_and_crown(yaw=0.5)[0] == pytest.approx((math.sin(0.5), 0, -math.cos(0.5)))
    assert nose_and_crown(pitch=0.5)[0] == pytest.approx((0, -math.sin(0.5), -math.cos(0.5)))
    nose, crown = nose_and_crown(roll=0.5)
    assert nose == pytest.approx((0, 0, -1))
    assert crown == pytest.approx((math.sin(0.5), -math.cos(0.5), 0))  # clockwise: to the right


@pytest.mark.parametrize("position", [(0.0, 0.0, 2.0), (1.0, 0.0, 1.0), (-0.5, 0.7, 1.0)])
def test_head_that_looks_at_the_camera_does_so_wherever_it_is(position):
    nose = rotation_in_camera(HeadPose(0.0, 0.0, 0.4), position) @ (0, 0, -1)
    assert nose == pytest.approx(-np.array(position) / np.linalg.norm(position))


@pytest.mark.parametrize("focal", [(500.0, 500.0), (700.0, 350.0)])
@pytest.mark.parametrize("middle", [(320.0, 240.0), (600.0, 240.0), (620.0, 20.0)])
def test_disc_across_the_line_of_sight_is_round_there(focal, middle):
    lens = CameraIntrinsics(*focal, 320.0, 240.0, 640, 480)
    direction = np.array([(middle[0] - 320) / focal[0], (middle[1] - 240) / focal[1], 1.0])
    circle = np.array([(math.cos(angle), math.sin(angle), 0) for angle in np.linspace(0, 6, 20)]) * 0.001
    seen = direction / np.linalg.norm(direction) + circle @ view_rotation(direction)
    pixels = seen[:, :2] / seen[:, 2:] * focal + (320, 240)
    offsets = (pixels - middle) @ line_of_sight(middle, lens, 640, 480).T
    distances = np.hypot(*offsets.T)
    assert distances == pytest.approx(distances.mean(), rel=0.01)
    half_size = line_of_sight((middle[0] / 2, middle[1] / 2), lens, 320, 240)  # the same image, scaled
    assert half_size == pytest.approx(line_of_sight(middle, lens, 640, 480))


def test_points_return_from_the_crop_of_a_face_beside_the_middle():
    crop = crop_of_face(FRONTAL * 2 + 500, line_of_sight((600.0, 600.0), None, 640, 640))
    matrix, points = crop.matrix(), np.array([(0, 0), (64, 0), (20, 50)], np.float32)
    assert crop.to_image(points) @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(points, abs=0.01)


def test_turned_head_has_a_lower_quality_whatever_its_landmarks_say(portrait):
    face = Face(Box(250, 90, 120, 120), 0.9, FRONTAL)
    scores = [quality(portrait, face, HeadPose(math.radians(yaw), 0.0, 0.0)) for yaw in (0, 20, -36, 60)]
    assert scores == pytest.approx([1.0, 1.0, 0.5, 0.05])


def test_position_of_a_turned_head_is_not_farther_away():
    lens, pose = CameraIntrinsics(500.0, 500.0, 320.0, 240.0, 640, 480), HeadPose(math.radians(60), 0.0, 0.0)
    eyes = np.array([(312.125, 240), (327.875, 240)], np.float32)
    face = Face(Box(300, 200, 60, 60), 0.9, eyes)
    assert face_position(face, lens, 640, 480) == pytest.approx((0.0, 0.0, 2.0))
    assert face_position(face, lens, 640, 480, pose) == pytest.approx((0.0, 0.0, 1.0))


@pytest.mark.parametrize("beside", [0, 20, 40])
@pytest.mark.parametrize("yaw", [0, -30, 40])
def test_position_beside_the_middle_is_that_of_the_projected_eyes(beside, yaw):
    position = np.array([2 * math.tan(math.radians(beside)), 0.3, 2.0])
    pose = HeadPose(math.radians(yaw), 0.0, 0.0)
    across = rotation_in_camera(pose, tuple(position))[:, 0] * PUPIL_DISTANCE_M / 2
    eyes = [position - across, position + across]
    pixels = np.array([(600 * x / z + 640, 600 * y / z + 360) for x, y, z in eyes], np.float32)
    face, lens = Face(Box(0, 0, 9, 9), 0.9, pixels), CameraIntrinsics(600.0, 600.0, 640.0, 360.0, 1280, 720)
    assert face_position(face, lens, 1280, 720, pose) == pytest.approx(tuple(position), rel=0.02, abs=0.02)


NO_LENS = [(1.0, 1.0, 0.0, 0.0), (math.nan,) * 4, (0.0,) * 4, (500.0, 500.0, math.inf, 240.0), (500.0, 2.0, 32.0, 24.0)]


@pytest.mark.parametrize("values", NO_LENS, ids=["identity", "nan", "zeros", "infinite", "no aspect"])
def test_intrinsics_that_no_camera_has_count_as_unknown(pipeline, portrait, values):
    lens = CameraIntrinsics(*values, 640, 480)
    pipeline.reset()
    known, unknown = (
        pipeline.perceive_all([Frame(portrait, 0.0, name, each)])[0] for name, each in (("a", lens), ("b", None))
    )
    assert known.people[0].position is None
    assert known.people[0].head_pose == unknown.people[0].head_pose
    assert known.people[0].label == unknown.people[0].label == "happy"


def test_other_model_is_refused():
    with pytest.raises(ModelError, match="of this package of the kind face_landmarks"):
        FacePointsNetwork(default_face_model(), "cpu")


@pytest.fixture(scope="module")
def pipeline():
    pipeline = Pipeline(PipelineConfig(hands=False, provider="cpu"))
    yield pipeline
    pipeline.close()


def person_in(pipeline, image):
    pipeline.reset()
    (person,) = pipeline.perceive(image, 0.0).people
    return person


def degrees(pose):
    return np.degrees([pose.yaw, pose.pitch, pose.roll])


def test_portrait_looks_into_the_camera(pipeline, portrait):
    person = person_in(pipeline, portrait)
    assert np.abs(degrees(person.head_pose)).max() < 12
    assert person.face.points.shape == (FACE_POINTS, 2)
    eyes = np.linalg.norm(person.face.landmarks[1] - person.face.landmarks[0])
    pupils_nose = person.face.points[[68, 69, 30]]
    assert np.hypot(*(pupils_nose - person.face.landmarks[:3]).T).max() < 0.25 * eyes
    chin, brow, right_ear, left_ear = person.face.points[[8, 19, 0, 16]]
    assert brow[1] < chin[1]
    assert right_ear[0] < left_ear[0]


def test_mirrored_portrait_has_the_mirrored_pose(pipeline, portrait):
    pose = degrees(person_in(pipeline, portrait).head_pose)
    mirrored = degrees(person_in(pipeline, np.ascontiguousarray(portrait[:, ::-1])).head_pose)
    assert mirrored * (-1, 1, -1) == pytest.approx(pose, abs=5)


@pytest.mark.parametrize("angle", [-25, 25])
def test_roll_follows_a_rotated_photo(pipeline, portrait, angle):
    middle = person_in(pipeline, portrait).face.box.centre
    warp = cv2.getRotationMatrix2D(middle, -angle, 1.0)
    turned = cv2.warpAffine(portrait, warp, portrait.shape[1::-1])
    change = degrees(person_in(pipeline, turned).head_pose) - degrees(person_in(pipeline, portrait).head_pose)
    assert change[2] == pytest.approx(angle, abs=5)


@pytest.mark.parametrize("angle", [-15, 15])
def test_crop_for_the_classifier_follows_a_tilted_head(pipeline, portrait, angle):
    upright = person_in(pipeline, portrait)
    warp = cv2.getRotationMatrix2D(upright.face.box.centre, -angle, 1.0)
    tilted = person_in(pipeline, cv2.warpAffine(portrait, warp, portrait.shape[1::-1]))
    change = math.degrees(roll(tilted.face.landmarks) - roll(upright.face.landmarks))
    assert change == pytest.approx(angle, abs=4)  # the detector's own landmarks follow by a fraction of a degree
    assert tilted.label == upright.label == "happy"


def test_head_pose_is_drawn_and_can_be_switched_off(pipeline, portrait):
    perception = pipeline.perceive(portrait, 0.0)
    without = Pipeline(PipelineConfig(hands=False, head_pose=False, provider="cpu"))
    plain = without.perceive(portrait, 0.0)
    without.close()
    (person,) = plain.people
    assert (person.head_pose, len(person.face.points)) == (None, 0)
    assert "pose" not in plain.timings
    assert perception.timings["pose"] > 0
    assert (draw(portrait, perception) != draw(portrait, plain)).any()


def test_network_takes_no_more_than_a_megabyte():
    assert default_face_landmark_model().stat().st_size <= 1_000_000
