"""Backgrounds of scenes, and objects that are no faces: pictures, cut-outs, drawn shapes and drawn hands.

All functions draw into images of BGR, uint8. Coordinates are pixels, x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from emotion_ros.training.detector.label_geometry import downscale
from emotion_ros.training.detector.photos import Backgrounds, Photo
from emotion_ros.types import Image

OBJECT_NUMBER = 255
"""Value in an owner map of the pixels that an object covers."""

DRAWN_HAND_SHARE = 0.4
"""Share of drawn hands among the objects if there are cut-outs: skin is most easily mistaken for a face."""

PICTURE_SHARE, CLOSE_UP_SHARE = 0.6, 0.15
"""Shares of backgrounds that are a part of a picture without people, if there are any, and a part of a face from so
near that it is none. The others are drawn shapes."""

MIN_OBJECT_SIZE_PX = 12
"""Size of the smallest object."""

MAX_OBJECT_SHARE = 0.65
"""Size of the largest object, as a share of the scene's side."""

MIN_PART_SIDE_PX = 8
"""Side of the smallest part that is cut out of a picture."""

UNTINTED_SHARE = 0.4
"""Share of photos that keep their colours."""


class Place(NamedTuple):
    """Middle and size of an object in pixels."""

    x: float
    y: float
    size: float


def draw_background(photos: Sequence[Photo], backgrounds: Backgrounds, side: int, random: Generator) -> Image:
    """Return an image of side × side pixels (BGR, uint8) without a face.

    Args:
        photos: for parts of faces from very near.
        backgrounds: for parts of pictures.
        side: width and height in pixels.
        random: source of all choices.
    """
    kind = random.random()
    if backgrounds.pictures and kind < PICTURE_SHARE:
        image = backgrounds.pictures[int(random.integers(len(backgrounds.pictures)))]
        return _random_part(image, side, random.uniform(0.15, 1.0), random)
    if kind < PICTURE_SHARE + CLOSE_UP_SHARE:
        image = photos[int(random.integers(len(photos)))].image
        return _random_part(image, side, random.uniform(0.08, 0.25), random)
    canvas: NDArray[np.uint8] = np.full((side, side, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(int(random.integers(0, 25))):
        _draw_shape(canvas, random)
    return canvas


def add_object(
    canvas: Image,
    owner: NDArray[np.uint8],
    photos: Sequence[Photo],
    backgrounds: Backgrounds,
    random: Generator,
    place: Place | None = None,
) -> None:
    """Draw a cut-out or a hand into a scene.

    Args:
        canvas: the scene, side × side × 3; changed.
        owner: side × side; becomes :data:`OBJECT_NUMBER` at the pixels of the object.
        photos: for the colour of skin.
        backgrounds: for cut-outs.
        random: source of all choices.
        place: where; a random place if None.
    """
    place = place or _random_place(len(canvas), random)
    if backgrounds.things and random.random() >= DRAWN_HAND_SHARE:
        _draw_thing(canvas, owner, backgrounds.things[int(random.integers(len(backgrounds.things)))], place, random)
    else:
        _draw_hand(canvas, owner, photos[int(random.integers(len(photos)))], place, random)


def tint(image: Image, random: Generator) -> Image:
    """Return the image in the warm colours of skin and lamps, or as it is: most photos of faces are grey."""
    if random.random() < UNTINTED_SHARE:
        return image
    warmth = random.uniform(0.0, 0.45)
    gains = np.array([1 - warmth, 1 - warmth * random.uniform(0.2, 0.7), 1 + 0.3 * warmth]) * random.uniform(0.5, 1.2)
    lookup = np.clip(np.arange(256)[:, None] * gains, 0, 255).astype(np.uint8)
    return cv2.LUT(image, np.ascontiguousarray(lookup[None]))  # type: ignore[return-value]


def _draw_shape(canvas: Image, random: Generator) -> None:
    """Draw a random rectangle, ellipse or line."""
    side = len(canvas)
    color = random.integers(0, 256, 3).tolist()
    x, y = random.integers(0, side, 2).tolist()
    size = int(random.integers(4, side))
    thickness = int(random.choice([-1, 1, 3, 8]))  # −1: filled
    shape = random.integers(3)
    if shape == 0:
        cv2.rectangle(canvas, (x, y), (x + size, y + int(random.integers(4, side))), color, thickness)
    elif shape == 1:
        axes = (size // 2, int(random.integers(2, side // 2)))
        cv2.ellipse(canvas, (x, y), axes, random.uniform(0, 180), 0, 360, color, thickness)
    else:
        cv2.line(canvas, (x, y), tuple(random.integers(0, side, 2).tolist()), color, max(thickness, 1))


def _random_place(side: int, random: Generator) -> Place:
    x, y = random.uniform(0, side, 2).tolist()
    size = np.exp(random.uniform(np.log(MIN_OBJECT_SIZE_PX), np.log(MAX_OBJECT_SHARE * side)))
    return Place(x, y, float(size))


def _random_part(image: Image, side: int, share: float, random: Generator) -> Image:
    """Return a random square of an image, in a random orientation, scaled to side × side.

    ``share`` is the square's side as a share of the image's shorter side.
    """
    height, width = image.shape[:2]
    edge = max(int(min(height, width) * share), MIN_PART_SIDE_PX)
    y, x = int(random.integers(0, height - edge + 1)), int(random.integers(0, width - edge + 1))
    part = image[y : y + edge, x : x + edge]
    part = np.rot90(part, int(random.integers(4)))[:, :: int(random.choice([1, -1]))]
    return cv2.resize(np.ascontiguousarray(part), (side, side), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _draw_thing(canvas: Image, owner: NDArray[np.uint8], thing: Image, place: Place, random: Generator) -> None:
    """Draw a cut-out (BGRA) at any angle."""
    side, (height, width) = len(canvas), thing.shape[:2]
    scale = place.size / max(height, width)
    thing = thing[:, :: int(random.choice([1, -1]))]
    warp: NDArray[Any] = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-180, 180), scale)
    warp[:, 2] += np.array([place.x, place.y]) - (width / 2, height / 2)
    thing, warp = downscale(np.ascontiguousarray(thing), warp, scale)
    color = cv2.warpAffine(tint(np.ascontiguousarray(thing[..., :3]), random), warp, (side, side))
    alpha = cv2.warpAffine(np.ascontiguousarray(thing[..., 3]), warp, (side, side))
    owner[alpha > 127] = OBJECT_NUMBER
    share = alpha[..., None].astype(np.float32) / 255
    canvas[:] = (share * color + (1 - share) * canvas).astype(np.uint8)


def _draw_hand(canvas: Image, owner: NDArray[np.uint8], photo: Photo, place: Place, random: Generator) -> None:
    """Draw a palm, 0 to 5 fingers and perhaps an arm with the skin of a photo."""
    mask, outlines = _hand_shape(len(canvas), place, random)
    owner[mask > 0] = OBJECT_NUMBER
    left, top, width, height = cv2.boundingRect(mask)
    if min(width, height) < 2:
        return
    area = slice(top, top + height), slice(left, left + width)
    mask, outlines = mask[area], outlines[area]
    skin = _random_part(photo.image, max(width, height), random.uniform(0.05, 0.2), random)[:height, :width]
    skin = tint(skin, random)
    blur = 2 * max(int(0.12 * place.size), 1) + 1
    light = cv2.blur(mask, (blur, blur)).astype(np.float32) / 255  # darker towards the edge, as of a round body
    shade = (0.5 + 0.5 * light) * (1 - 0.5 * cv2.blur(outlines, (3, 3)).astype(np.float32) / 255)
    alpha = cv2.blur(mask, (3, 3)).astype(np.float32)[..., None] / 255
    canvas[area] = (alpha * shade[..., None] * skin + (1 - alpha) * canvas[area]).astype(np.uint8)


def _hand_shape(side: int, place: Place, random: Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the mask of a hand and the outlines of its fingers, side × side each, 0 or 255."""
    mask, outlines = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
    middle, size, angle = np.array([place.x, place.y]), place.size, random.uniform(0, 360)
    axes = (int(0.45 * size), int(0.35 * size))
    cv2.ellipse(mask, middle.astype(int).tolist(), axes, angle, 0, 360, (255,), -1)
    for finger in range(int(random.integers(0, 6))):
        direction = _unit_vector(angle + (finger - 2) * random.uniform(8, 28))
        length, thickness = size * random.uniform(0.4, 1.0), max(int(size * random.uniform(0.12, 0.2)), 1)
        root = middle + 0.2 * size * direction
        ends = root.astype(int).tolist(), (root + length * direction).astype(int).tolist()
        cv2.line(outlines, *ends, (255,), thickness + max(thickness // 4, 1))
        cv2.line(outlines, *ends, (0,), thickness)
        cv2.line(mask, *ends, (255,), thickness)
    if random.random() < 0.5:
        elbow = middle - 1.5 * size * _unit_vector(angle)
        cv2.line(mask, middle.astype(int).tolist(), elbow.astype(int).tolist(), (255,), max(int(0.4 * size), 1))
    return mask, outlines


def _unit_vector(degrees: float) -> NDArray[np.float64]:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
