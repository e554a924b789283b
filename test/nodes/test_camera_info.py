"""Positions from a camera_info: rectified images and their originals give the same."""

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from emotion_ros.nodes.camera_info import to_intrinsics
from emotion_ros.perception.geometry import PUPIL_DISTANCE_M, face_position
from emotion_ros.types import Box, Face

EYES = np.array([[0.2 - PUPIL_DISTANCE_M / 2, 0.1, 1.5], [0.2 + PUPIL_DISTANCE_M / 2, 0.1, 1.5]])
ORIGINAL = np.array([[500.0, 0, 320], [0, 510.0, 240], [0, 0, 1]])
RECTIFIED = np.array([[376.0, 0, 330], [0, 380.0, 235], [0, 0, 1]])


def calibration(rectified=RECTIFIED):
    projection = np.column_stack((rectified, np.zeros(3)))
    return CameraInfo(width=640, height=480, k=ORIGINAL.ravel().tolist(), p=projection.ravel().tolist())


def position(info, topic, matrix, origin=(0, 0), size=(640, 480), binning=1):
    """Position of the eyes that a camera of a matrix projects to a part of its sensor, scaled down by ``binning``."""
    pixels = ((matrix @ EYES.T) / EYES[:, 2]).T[:, :2]
    face = Face(Box(0, 0, 1, 1), 1.0, ((pixels - origin) / binning).astype(np.float32))
    return face_position(face, to_intrinsics(info, topic), *(each // binning for each in size))


@pytest.mark.parametrize(
    ("topic", "matrix"),
    [
        ("/eye/image_raw", ORIGINAL),
        ("/eye/image_raw/compressed", ORIGINAL),
        ("/image_rect/image", ORIGINAL),
        ("/eye/image_rect", RECTIFIED),
        ("/eye/image_rect_color/compressed", RECTIFIED),
    ],
)
def test_rectified_images_are_measured_with_their_projection(topic, matrix):
    assert position(calibration(), topic, matrix) == pytest.approx((0.2, 0.1, 1.5), abs=1e-3)


def test_rectified_images_of_a_driver_without_a_projection_are_measured_with_k():
    info = calibration(np.zeros((3, 3)))
    assert position(info, "/eye/image_rect", ORIGINAL) == pytest.approx((0.2, 0.1, 1.5), abs=1e-3)


@pytest.mark.parametrize(("topic", "matrix"), [("/eye/image_raw", ORIGINAL), ("/eye/image_rect", RECTIFIED)])
@pytest.mark.parametrize("binning", [1, 2])
def test_region_of_interest_is_a_part_of_the_sensor_and_not_a_scaled_image(topic, matrix, binning):
    info = calibration()
    info.roi = RegionOfInterest(x_offset=200, y_offset=100, width=320, height=240)
    info.binning_x = info.binning_y = binning
    found = position(info, topic, matrix, (200, 100), (320, 240), binning)
    assert found == pytest.approx((0.2, 0.1, 1.5), abs=1e-3)


@pytest.mark.parametrize("binning", [1, 2])
def test_binned_image_of_the_whole_sensor_is_a_scaled_one(binning):
    found = position(calibration(), "/eye/image_raw", ORIGINAL, binning=binning)
    assert found == pytest.approx((0.2, 0.1, 1.5), abs=1e-3)
