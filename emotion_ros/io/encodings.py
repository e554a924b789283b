"""Convert sensor_msgs/Image and CompressedImage of any library to BGR pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.config.image_limit import MAX_IMAGE_PIXELS
from emotion_ros.errors import ImageError
from emotion_ros.io.pictures import decode_picture
from emotion_ros.types import Image

ENCODINGS: dict[str, tuple[int, type[Any], int | None]] = {
    "bgr8": (3, np.uint8, None),
    "8UC3": (3, np.uint8, None),
    "rgb8": (3, np.uint8, cv2.COLOR_RGB2BGR),
    "bgra8": (4, np.uint8, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, np.uint8, cv2.COLOR_RGBA2BGR),
    "mono8": (1, np.uint8, cv2.COLOR_GRAY2BGR),
    "8UC1": (1, np.uint8, cv2.COLOR_GRAY2BGR),
    "mono16": (1, np.uint16, cv2.COLOR_GRAY2BGR),
    "16UC1": (1, np.uint16, cv2.COLOR_GRAY2BGR),
    "bgr16": (3, np.uint16, None),
    "16UC3": (3, np.uint16, None),
    "rgb16": (3, np.uint16, cv2.COLOR_RGB2BGR),
    "32FC1": (1, np.float32, cv2.COLOR_GRAY2BGR),
    "yuv422": (2, np.uint8, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": (2, np.uint8, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (2, np.uint8, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": (2, np.uint8, cv2.COLOR_YUV2BGR_YUY2),
    "bayer_rggb8": (1, np.uint8, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": (1, np.uint8, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (1, np.uint8, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": (1, np.uint8, cv2.COLOR_BayerGB2BGR),
    "bayer_rggb16": (1, np.uint16, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr16": (1, np.uint16, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg16": (1, np.uint16, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg16": (1, np.uint16, cv2.COLOR_BayerGB2BGR),
}
"""Encoding (sensor_msgs/image_encodings.hpp) to values per pixel, their type, and OpenCV's conversion to BGR.

OpenCV names a Bayer pattern by its second row: ROS's RGGB is OpenCV's BG.
"""

BRIDGED = tuple(
    name
    for name, (_, dtype, _) in ENCODINGS.items()
    if (dtype is np.uint8 or name == "mono16") and name not in ("8UC1", "8UC3", "uyvy", "yuyv")
)
"""Encodings that every version of cv_bridge converts to bgr8."""

PLANAR = {"nv12": cv2.COLOR_YUV2BGR_NV12, "nv21": cv2.COLOR_YUV2BGR_NV21}
"""Encodings of two planes: height rows of luma, then height / 2 rows of interleaved chroma."""


def to_bgr(
    message: Any, bridge: Callable[[Any], Image | None] | None = None, max_pixels: int = MAX_IMAGE_PIXELS
) -> Image:
    """Return the pixels of a message, BGR, height × width × 3, uint8; a view of its data if that is BGR already.

    65535 becomes 255 in encodings of 16 bits, as in cv_bridge; 1.0 becomes 255 in 32FC1.

    Args:
        message: a sensor_msgs/Image.
        bridge: cv_bridge's conversion, if installed; used for :data:`BRIDGED` after size and step are checked. Returns
            None if it failed.
        max_pixels: maximum width × height.

    Raises:
        ImageError: the encoding is unknown, the image too large, or size, step and data are inconsistent.
    """
    height, width, encoding = message.height, message.width, message.encoding
    if height == 0 or width == 0:
        raise ImageError(f"image: expected a size above zero, got {width} × {height}")
    if width * height > max_pixels:
        raise ImageError(f"image: expected at most {max_pixels} pixels (max_image_pixels), got {width} × {height}")
    data = np.frombuffer(message.data, np.uint8)
    if encoding in PLANAR:
        planes = _rows(data, height * 3 // 2, width, message)
        return _converted(np.ascontiguousarray(planes), PLANAR[encoding], message)
    if encoding not in ENCODINGS:
        accepted = ", ".join([*ENCODINGS, *PLANAR])
        raise ImageError(f"image: encoding {encoding!r} is not known; expected one of {accepted}")
    channels, dtype, conversion = ENCODINGS[encoding]
    size = np.dtype(dtype).itemsize
    rows = _rows(data, height, width * channels * size, message)
    if bridge is not None and encoding in BRIDGED and message.step % (channels * size) == 0:
        image = bridge(message)
        if image is not None:
            return image
    if size > 1:
        order = np.dtype(dtype).newbyteorder(">" if message.is_bigendian else "<")
        rows = _to_8_bits(np.ascontiguousarray(rows).view(order).astype(dtype, copy=False))
    pixels = np.ascontiguousarray(rows).reshape(height, width, channels) if channels > 1 else np.ascontiguousarray(rows)
    return pixels if conversion is None else _converted(pixels, conversion, message)


def _to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale 0…65535 (uint16) or 0…1 (float32; others are clipped, NaN is 0) to 0…255."""
    if values.dtype == np.uint16:
        return cv2.convertScaleAbs(values, alpha=255 / 65535)  # type: ignore[return-value]
    return (np.nan_to_num(values, nan=0.0).clip(0, 1) * 255).round().astype(np.uint8)


def _converted(pixels: NDArray[np.uint8], conversion: int, message: Any) -> Image:
    try:
        return cv2.cvtColor(pixels, conversion)  # type: ignore[return-value]
    except cv2.error as error:
        size = f"{message.width} × {message.height}"
        raise ImageError(f"image: {size} in {message.encoding} cannot be converted: {error.err}") from error


def _rows(data: NDArray[np.uint8], height: int, row: int, message: Any) -> NDArray[np.uint8]:
    """Return height × row bytes, without the padding at the end of each row."""
    if message.step < row:
        raise ImageError(
            f"image: expected a step of at least {row} bytes for {message.width} pixels of {message.encoding}, "
            f"got {message.step}"
        )
    needed = (height - 1) * message.step + row
    if len(data) < needed:
        raise ImageError(f"image: expected {height * message.step} bytes (height × step), got {len(data)}")
    return np.lib.stride_tricks.as_strided(data, (height, row), (message.step, 1), writeable=False)


def decode(message: Any, max_pixels: int = MAX_IMAGE_PIXELS) -> Image:
    """Return the pixels of a sensor_msgs/CompressedImage (JPEG, PNG, …), BGR, height × width × 3, uint8.

    Args:
        message: the image.
        max_pixels: see :func:`emotion_ros.io.pictures.decode_picture`.

    Raises:
        ImageError: the data cannot be decoded, have too many pixels, or are a JPEG that ends too early.
    """
    data = memoryview(message.data)
    try:
        return decode_picture(data, max_pixels, allow_truncated=False)
    except ImageError as error:
        raise ImageError(f"compressed image of {len(data)} bytes: {error}") from error
