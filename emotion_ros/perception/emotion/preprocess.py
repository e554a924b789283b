"""From an image and a box to what a classifier sees.

The only copy of crop, resize and normalise: training, quantizing and run time all call these functions, so a model
meets on the robot what it met when it was trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import Box, Face, Hand, Image, Points


def crop_square(image: Image, box: Box, margin: float, shift: float = 0.0, angle: float = 0.0) -> Image:
    """The square around a box, at the image's own resolution.

    Args:
        image: height × width × 3.
        box: in pixels of the image.
        margin: how much is added on each side, as a share of the box's longer side (negative: cut away).
        shift: how far the square moves down, as a share of the box's longer side.
        angle: by which the square is turned around the box's middle, radians, clockwise; "down" turns with it.

    Returns:
        side × side × 3, at least 1 × 1. Where the square leaves the image, the image's border pixels are repeated.
    """
    longer = max(box.width, box.height)
    side = max(round(longer * (1 + 2 * margin)), 1)
    x, y = box.centre
    if angle:
        cos, sin, half = float(np.cos(angle)), float(np.sin(angle)), (side - 1) / 2
        down = half - shift * longer  # where the box's middle is in the crop
        column, row = x - 0.5, y - 0.5  # of the pixel whose middle is the box's
        turn = np.array([[cos, -sin, column - cos * half + sin * down], [sin, cos, row - sin * half - cos * down]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(image, turn, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]
    left, top = round(x - side / 2), round(y + shift * longer - side / 2)
    return _padded_slice(image, left, top, side)


def roll(landmarks: Points) -> float:
    """By how much a face is tilted to its left, radians: 0 where its eyes are level and its mouth is straight below.

    Args:
        landmarks: at least four points; right eye, left eye, nose tip, middle of the mouth.
    """
    right, left, mouth = landmarks[0], landmarks[1], landmarks[3]
    down = mouth - (right + left) / 2
    x, y = (left - right + (down[1], -down[0])).tolist()
    return float(np.arctan2(y, x))


def face_square(landmarks: Points) -> Box:
    """The square that eyes and mouth span: their midpoint in its centre, twice as wide as they are apart.

    Detectors draw the box of one face up to a third higher or wider than each other, but agree on where eyes and mouth
    are. "Apart" is the larger of the distance between the eyes and that from their middle to the mouth, so that a face
    that turns away or nods does not shrink.

    Args:
        landmarks: at least four points; right eye, left eye, nose tip, middle of the mouth.
    """
    right, left, mouth = landmarks[0], landmarks[1], landmarks[3]
    eyes = (right + left) / 2
    side = 2 * max(float(np.hypot(*(left - right))), float(np.hypot(*(mouth - eyes))))
    x, y = ((eyes + mouth) / 2).tolist()
    return Box(x - side / 2, y - side / 2, side, side)


def region_crop(image: Image, region: str, face: Face, hands: Sequence[Hand], margin: float, shift: float) -> Image:
    """What a classifier sees of a person.

    Args:
        image: height × width × 3.
        region: ``face``, turned so that the eyes are level; ``face_hands``, the face with the hands that belong to it;
            or ``frame``, the whole image.
        face: the person's.
        hands: the person's.
        margin: see :func:`crop_square`; of the :func:`face_square`.
        shift: the same.
    """
    if region == "frame":
        return image
    box = face_square(face.landmarks)
    if region == "face_hands":
        for hand in (hand.box for hand in hands):
            left, top = min(box.x, hand.x), min(box.y, hand.y)
            right = max(box.x + box.width, hand.x + hand.width)
            box = Box(left, top, right - left, max(box.y + box.height, hand.y + hand.height) - top)
        return crop_square(image, box, margin, shift)
    return crop_square(image, box, margin, shift, roll(face.landmarks))


def _padded_slice(image: Image, left: int, top: int, side: int) -> Image:
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
    """An image (BGR, h × w × 3) at size × size in the model's colour, as size × size × channels.

    ``color`` is ``grey`` (1 channel, ITU-R BT.601 weights as in ``cv2.COLOR_BGR2GRAY``), ``rgb`` or ``bgr``.
    """
    shrinks = image.shape[0] > size or image.shape[1] > size
    seen = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if color == "grey" else image  # one channel is resized faster
    scaled = cv2.resize(seen, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    if color == "grey":
        return scaled[:, :, np.newaxis]  # type: ignore[return-value]
    return cv2.cvtColor(scaled, cv2.COLOR_BGR2RGB) if color == "rgb" else scaled  # type: ignore[return-value]


A = TypeVar("A", bound=Any)


def normalise(pixels: A, mean: Sequence[float], std: Sequence[float]) -> A:
    """Pixels of 0…255 to (pixel / 255 − mean) / std per channel.

    Works on any array type with numpy's arithmetic (numpy, torch), n × channels × height × width, in float.
    """
    scale = [1.0 / (255.0 * each) for each in std]
    offset = [-m / s for m, s in zip(mean, std, strict=True)]
    if len(scale) == 1:
        return pixels * scale[0] + offset[0]  # type: ignore[no-any-return]
    for channel, (a, b) in enumerate(zip(scale, offset, strict=True)):
        pixels[:, channel] = pixels[:, channel] * a + b
    return pixels


def to_input(
    crops: Sequence[Image], size: int, color: str, mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """Crops of any size (BGR) to one batch: n × channels × size × size, float32, normalised."""
    pixels = np.stack([resize(crop, size, color) for crop in crops])
    return normalise(pixels.transpose(0, 3, 1, 2).astype(np.float32), mean, std)
