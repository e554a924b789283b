"""Crops faces and converts them to a classifier's input.

Training, quantization and inference call these functions: the classifier gets the same input in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import Box, Face, Hand, Image, Points


def crop_square(image: Image, box: Box, margin: float, shift: float = 0.0, angle: float = 0.0) -> Image:
    """Return the square around a box at the image's resolution.

    Args:
        image: BGR, uint8, height × width × 3.
        box: in pixels of the image.
        margin: added on each side, as a share of the box's longer side; negative: removed.
        shift: by which the square is moved down, as a share of the box's longer side.
        angle: by which the square is turned clockwise around the box's centre, in radians; the shift turns with it.

    Returns:
        side × side × 3, at least 1 × 1. Outside the image, its border pixels are repeated.
    """
    longer = max(box.width, box.height)
    side = max(round(longer * (1 + 2 * margin)), 1)
    x, y = box.centre
    if angle:
        return _turned_square(image, (x, y), side, shift * longer, angle)
    left, top = round(x - side / 2), round(y + shift * longer - side / 2)
    return _padded_slice(image, left, top, side)


def _turned_square(image: Image, centre: tuple[float, float], side: int, shift: float, angle: float) -> Image:
    """Return a square turned by ``angle`` around a point that lies ``shift`` pixels above its centre."""
    cos, sin, half = float(np.cos(angle)), float(np.sin(angle)), (side - 1) / 2
    row_in_crop = half - shift  # of the point around which the square turns
    # Coordinates count from the outer corner of the first pixel, warpAffine's from its centre: half a pixel less.
    column, row = centre[0] - 0.5, centre[1] - 0.5
    to_image = np.array(
        [[cos, -sin, column - cos * half + sin * row_in_crop], [sin, cos, row - sin * half - cos * row_in_crop]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP  # the matrix maps pixels of the crop to pixels of the image
    return cv2.warpAffine(image, to_image, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def roll(landmarks: Points) -> float:
    """Return the angle by which a face is tilted to its left, in radians; 0: eyes level, mouth vertically below.

    Args:
        landmarks: at least four points in pixels; right eye, left eye, nose tip, middle of the mouth.
    """
    right, left, mouth = landmarks[0], landmarks[1], landmarks[3]
    down = mouth - (right + left) / 2
    # The line between the eyes, and the line from eyes to mouth turned by 90°, are two measurements of one direction.
    x, y = (left - right + (down[1], -down[0])).tolist()
    return float(np.arctan2(y, x))


def face_square(landmarks: Points) -> Box:
    """Return the square around eyes and mouth, from landmarks instead of a detector's box.

    Its centre is the midpoint of eyes and mouth. Its side is twice the larger of two distances, between the eyes and
    from their midpoint to the mouth: the square does not shrink if the face turns or nods. Boxes of different
    detectors differ by up to a third in height and width; their landmarks agree.

    Args:
        landmarks: at least four points in pixels; right eye, left eye, nose tip, middle of the mouth.
    """
    right, left, mouth = landmarks[0], landmarks[1], landmarks[3]
    eyes = (right + left) / 2
    side = 2 * max(float(np.hypot(*(left - right))), float(np.hypot(*(mouth - eyes))))
    x, y = ((eyes + mouth) / 2).tolist()
    return Box(x - side / 2, y - side / 2, side, side)


def region_crop(image: Image, region: str, face: Face, hands: Sequence[Hand], margin: float, shift: float) -> Image:
    """Return a person's crop for a classifier, BGR, uint8.

    Args:
        image: BGR, uint8, height × width × 3.
        region: ``face``: :func:`face_square`, turned so that the eyes are level; ``face_hands``: the square around it
            and the person's hands; ``frame``: the whole image.
        face: the person's, in pixels of the image.
        hands: the person's, in pixels of the image.
        margin: of the crop, see :func:`crop_square`.
        shift: of the crop, see :func:`crop_square`.
    """
    if region == "frame":
        return image
    box = face_square(face.landmarks)
    if region == "face_hands":
        for hand in hands:
            box = _union(box, hand.box)
        return crop_square(image, box, margin, shift)
    return crop_square(image, box, margin, shift, roll(face.landmarks))


def whole_image_face(image: Image) -> Face:
    """Return the face that stands for a whole image, for the region ``frame``: it has no landmarks."""
    return Face(Box(0.0, 0.0, image.shape[1], image.shape[0]), 1.0, np.zeros((0, 2), np.float32))


def _union(first: Box, second: Box) -> Box:
    """Return the smallest box that contains both."""
    left, top = min(first.x, second.x), min(first.y, second.y)
    right = max(first.x + first.width, second.x + second.width)
    bottom = max(first.y + first.height, second.y + second.height)
    return Box(left, top, right - left, bottom - top)


def _padded_slice(image: Image, left: int, top: int, side: int) -> Image:
    """Return side × side pixels; the image's border pixels are repeated outside it. A view if nothing is outside."""
    height, width = image.shape[:2]
    x0, y0 = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    x1, y1 = max(min(left + side, width), x0 + 1), max(min(top + side, height), y0 + 1)
    inside = image[y0:y1, x0:x1]
    before_x, before_y = max(-left, 0), max(-top, 0)
    after_x, after_y = side - before_x - (x1 - x0), side - before_y - (y1 - y0)
    if not (before_x or before_y or after_x > 0 or after_y > 0):
        return inside
    edges = (before_y, max(after_y, 0), before_x, max(after_x, 0))
    return cv2.copyMakeBorder(inside, *edges, cv2.BORDER_REPLICATE)[:side, :side]  # type: ignore[return-value]


def resize(image: Image, size: int, color: str) -> NDArray[np.uint8]:
    """Return an image at the classifier's size and colour, size × size × channels.

    Args:
        image: BGR, uint8, height × width × 3.
        size: side in pixels.
        color: ``grey`` (1 channel, ITU-R BT.601 weights as in ``cv2.COLOR_BGR2GRAY``), ``rgb`` or ``bgr``.
    """
    shrinks = image.shape[0] > size or image.shape[1] > size
    source = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if color == "grey" else image  # resizing one channel is faster
    scaled = cv2.resize(source, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    if color == "grey":
        return scaled[:, :, np.newaxis]  # type: ignore[return-value]
    return cv2.cvtColor(scaled, cv2.COLOR_BGR2RGB) if color == "rgb" else scaled  # type: ignore[return-value]


PixelArray = TypeVar("PixelArray", bound=Any)


def normalise(pixels: PixelArray, mean: Sequence[float], std: Sequence[float]) -> PixelArray:
    """Return (pixels / 255 − mean) / std per channel. With three channels, ``pixels`` is overwritten.

    Args:
        pixels: n × channels × height × width, float, 0…255; numpy, torch, or any array type with numpy's arithmetic.
        mean: per channel, of pixels as 0…1.
        std: likewise.
    """
    # Two constants per channel: one multiplication and one addition per pixel.
    scale = [1.0 / (255.0 * deviation) for deviation in std]
    offset = [-average / deviation for average, deviation in zip(mean, std, strict=True)]
    if len(scale) == 1:
        return pixels * scale[0] + offset[0]  # type: ignore[no-any-return]
    for channel, (a, b) in enumerate(zip(scale, offset, strict=True)):
        pixels[:, channel] = pixels[:, channel] * a + b
    return pixels


def to_input(
    crops: Sequence[Image], size: int, color: str, mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """Return a normalised batch, n × channels × size × size, float32.

    Args:
        crops: n, BGR, uint8, of any size.
        size: side of the classifier's input in pixels.
        color: see :func:`resize`.
        mean: see :func:`normalise`.
        std: see :func:`normalise`.
    """
    pixels = np.stack([resize(crop, size, color) for crop in crops])
    return normalise(pixels.transpose(0, 3, 1, 2).astype(np.float32), mean, std)
