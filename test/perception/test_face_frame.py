"""The frame of a face against the axes that REP-155 describes, in the optical frame: x right, y down, z forward."""

import numpy as np
import pytest

from emotion_ros.perception.face_frame import face_rotation, quaternion
from emotion_ros.types import HeadPose


def axes(position, yaw=0.0, pitch=0.0, roll=0.0):
    rotation = face_rotation(position, HeadPose(np.radians(yaw), np.radians(pitch), np.radians(roll)))
    return dict(zip("xyz", rotation.T, strict=True))


def test_a_face_before_the_camera_looks_back_at_it_with_its_top_up_and_its_left_on_the_right():
    face = axes((0.0, 0.0, 2.0))
    assert face["x"] == pytest.approx((0, 0, -1))
    assert face["y"] == pytest.approx((1, 0, 0))
    assert face["z"] == pytest.approx((0, -1, 0))


@pytest.mark.parametrize("position", [(1.0, 0.0, 1.0), (-0.4, 0.8, 2.0), (0.3, -0.5, 0.4)])
def test_without_rotation_a_face_anywhere_looks_into_the_camera(position):
    assert axes(position)["x"] == pytest.approx(-np.array(position) / np.linalg.norm(position))


def test_each_angle_turns_as_the_viewer_sees_it():
    assert axes((0, 0, 1), yaw=90)["x"] == pytest.approx((1, 0, 0))  # nose to the right of the image
    assert axes((0, 0, 1), pitch=90)["x"] == pytest.approx((0, -1, 0))  # nose up
    assert axes((0, 0, 1), roll=90)["z"] == pytest.approx((1, 0, 0))  # tilted clockwise
    assert axes((0, 0, 1), yaw=30, roll=40)["x"] == pytest.approx((0.5, 0, -np.sqrt(0.75)))  # rolled about the nose


def test_quaternions_turn_as_their_rotations_for_every_angle():
    random = np.random.default_rng(0)
    for _ in range(200):
        x, y = random.normal(size=2)
        rotation = face_rotation((x, y, 1.0), HeadPose(*random.uniform(-3.2, 3.2, 3)))
        *vector, w = quaternion(rotation)
        turned = [point + 2 * np.cross(vector, np.cross(vector, point) + w * point) for point in np.eye(3)]
        assert np.transpose(turned) == pytest.approx(rotation)
        assert w >= 0
