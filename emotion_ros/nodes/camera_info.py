"""The camera_info of an image topic: its name, and the intrinsics in it."""

from __future__ import annotations

import posixpath

from sensor_msgs.msg import CameraInfo

from emotion_ros.perception.geometry import CameraIntrinsics

RECTIFIED_PREFIX = "image_rect"
"""Names of topics with rectified images begin so (image_proc): ``image_rect``, ``image_rect_color``."""


def camera_info_topic(image_topic: str) -> str:
    """Return the camera_info topic beside a resolved image topic, by the convention of image_transport."""
    return posixpath.join(posixpath.dirname(image_topic.removesuffix("/compressed")), "camera_info")


def to_intrinsics(info: CameraInfo, image_topic: str) -> CameraIntrinsics | None:
    """Return the intrinsics of the images of a topic, before binning; None if the camera is not calibrated.

    Args:
        info: beside the images.
        image_topic: resolved name. Rectified images are projected by P, others by K (sensor_msgs/CameraInfo).
    """
    name = posixpath.basename(image_topic.removesuffix("/compressed"))
    if name.startswith(RECTIFIED_PREFIX) and info.p[0] > 0:
        fx, fy, cx, cy = info.p[0], info.p[5], info.p[2], info.p[6]
    else:
        fx, fy, cx, cy = info.k[0], info.k[4], info.k[2], info.k[5]
    width, height, roi = info.width, info.height, info.roi
    if roi.width and roi.height:  # K and P are those of the whole sensor; a roi of zeros is the whole sensor
        cx, cy, width, height = cx - roi.x_offset, cy - roi.y_offset, roi.width, roi.height
    intrinsics = CameraIntrinsics(fx, fy, cx, cy, width, height)
    return intrinsics if intrinsics.is_usable else None
