"""Conversion between images and image messages, with cv_bridge if it is installed and works."""

from __future__ import annotations

from array import array
from typing import Any

import cv2
import numpy as np
from rclpy.logging import get_logger
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from emotion_ros.config.image_limit import MAX_IMAGE_PIXELS
from emotion_ros.errors import one_line
from emotion_ros.io import encodings
from emotion_ros.types import Image

JPEG_QUALITY = 80
"""Quality of compressed images, 1…100: the default of compressed_image_transport in ROS 1."""

try:
    from cv_bridge import CvBridge
except ImportError:
    CvBridge = None


def to_bgr(message: ImageMessage, max_pixels: int = MAX_IMAGE_PIXELS) -> Image:
    """Convert a message to BGR, uint8, h × w × 3; see :func:`emotion_ros.io.encodings.to_bgr`.

    Raises:
        ImageError: the encoding is unknown, the image too large, or size, step and data do not match.
    """
    return encodings.to_bgr(message, _bridge if CvBridge is not None else None, max_pixels)


def _bridge(message: Any) -> Image | None:
    """Convert with cv_bridge; None, and not again, if it fails: one built for another NumPy fails on every image."""
    global CvBridge
    try:
        return CvBridge().imgmsg_to_cv2(message, "bgr8")  # type: ignore[no-any-return]
    except Exception as error:  # of any library that cv_bridge uses
        CvBridge = None
        get_logger("emotion_ros").warning(f"cv_bridge failed: {one_line(error)}; images are converted without it")
        return None


def to_message(image: Image, header: Header) -> ImageMessage:
    """Convert an image (BGR, uint8, h × w × 3) to a message in bgr8."""
    message = ImageMessage(header=header, encoding="bgr8")
    message.height, message.width = image.shape[:2]
    message.step = message.width * 3
    message.data = _bytes(image)
    return message


def to_jpeg(image: Image, header: Header) -> CompressedImage:
    """Encode an image (BGR, uint8, h × w × 3) as JPEG of quality :data:`JPEG_QUALITY`."""
    message = CompressedImage(header=header, format="bgr8; jpeg compressed bgr8")
    message.data = _bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1])
    return message


def _bytes(values: Any) -> array[int]:
    """Return an array that rclpy accepts without a check of each value; copies the data once."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(values).data.cast("B"))
    return data
