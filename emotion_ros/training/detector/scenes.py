"""Scenes composed of photos: few data have small faces, so photos are shrunk, turned and spread over a background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from emotion_ros.training.detector.photos import Backgrounds, Photo
from emotion_ros.types import Image

SMALLEST, LARGEST = 8.0, 1.1
"""Height of a face: pixels, and share of the scene."""

TILT = 45.0
"""Degrees that a face is turned at most."""

VISIBLE = 0.6
"""Share of a face that must be seen where another photo covers it; else nothing is learned of it."""

OBJECTS, COVERED, DRAWN = 0.5, 0.4, 0.4
"""Share of scenes with objects behind the faces, and with one before a face, most often its mouth; share of drawn hands
among the objects where there are things cut out of pictures: what looks most like a face and is none is skin."""

MIRRORED = (2, 3, 0, 1, 4, 5, 8, 9, 6, 7)
"""Landmarks after a flip: left and right have changed."""


def scene(
    photos: Sequence[Photo], backgrounds: Backgrounds, side: int, random: Generator
) -> tuple[Image, NDArray[np.float32]]:
    """A scene of side × side pixels (BGR, uint8) and its faces, n × 15: as in :class:`Photo`, then 1, or 0 for a face
    that is too much hidden to count as there or not."""
    canvas = background(photos, backgrounds, side, random)
    if random.random() < 0.3:
        sizes = [side * random.uniform(0.3, LARGEST)]
    else:
        largest = side * random.uniform(0.05, 0.5)
        count = int(np.clip(0.5 * (side / largest) ** 2, 1, 16 * random.random() + 1))
        sizes = sorted(np.exp(random.uniform(np.log(SMALLEST), np.log(largest), count)).tolist())
    faces: list[NDArray[np.float32]] = []
    owner = np.zeros((side, side), np.uint8)
    if random.random() < OBJECTS:
        for _ in range(int(random.integers(1, 6))):
            _add_object(canvas, owner, photos, backgrounds, random)
        owner[:] = 0
    for number, size in enumerate(sizes, 1):
        faces += _paste(canvas, owner, number, photos[int(random.integers(len(photos)))], size, random)
    if random.random() < COVERED:
        _add_object(canvas, owner, photos, backgrounds, random, _before(faces, random))
    labelled = [_seen(each, owner, side) for each in faces]
    return _spoil(canvas, random), np.array(labelled, np.float32).reshape(-1, 15)


def background(photos: Sequence[Photo], others: Backgrounds, side: int, random: Generator) -> Image:
    """What is no face: part of a picture without people, of a face from so near that it is none, or shapes."""
    kind = random.random()
    if others.pictures and kind < 0.6:
        image = others.pictures[int(random.integers(len(others.pictures)))]
        return _part(image, side, random.uniform(0.15, 1.0), random)
    if kind < 0.75:
        image = photos[int(random.integers(len(photos)))].image
        return _part(image, side, random.uniform(0.08, 0.25), random)
    canvas = np.full((side, side, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(int(random.integers(0, 25))):
        color, (x, y), size = (
            random.integers(0, 256, 3).tolist(),
            random.integers(0, side, 2).tolist(),
            random.integers(4, side),
        )
        width = int(random.choice([-1, 1, 3, 8]))
        shape = random.integers(3)
        if shape == 0:
            cv2.rectangle(canvas, (x, y), (x + int(size), y + int(random.integers(4, side))), color, width)
        elif shape == 1:
            axes = (int(size) // 2, int(random.integers(2, side // 2)))
            cv2.ellipse(canvas, (x, y), axes, random.uniform(0, 180), 0, 360, color, width)
        else:
            cv2.line(canvas, (x, y), tuple(random.integers(0, side, 2).tolist()), color, max(width, 1))
    return canvas  # type: ignore[return-value]


Place = tuple[float, float, float]
"""Middle and size of an object, pixels."""


def _add_object(
    canvas: Image,
    owner: NDArray[np.uint8],
    photos: Sequence[Photo],
    others: Backgrounds,
    random: Generator,
    place: Place | None = None,
) -> None:
    """What is no face, at a place or anywhere; ``owner`` is 255 where it is."""
    place = place or _anywhere(len(canvas), random)
    if others.things and random.random() >= DRAWN:
        _put(canvas, owner, others.things[int(random.integers(len(others.things)))], place, random)
    else:
        _draw_hand(canvas, owner, photos[int(random.integers(len(photos)))], place, random)


def _anywhere(side: int, random: Generator) -> Place:
    x, y = random.uniform(0, side, 2).tolist()
    return x, y, float(np.exp(random.uniform(np.log(12), np.log(0.65 * side))))


def _before(faces: Sequence[NDArray[np.float32]], random: Generator) -> Place | None:
    """At the lower half of one of the faces; None where there is none."""
    if not faces:
        return None
    x, y, width, height = faces[int(random.integers(len(faces)))][:4].tolist()
    across, down = random.normal(0.5, 0.3), random.normal(1.0, 0.25)
    return x + across * width, y + down * height, float(height * random.uniform(0.5, 1.3))


def _put(canvas: Image, owner: NDArray[np.uint8], thing: Image, place: Place, random: Generator) -> None:
    """A thing (BGRA), turned at will."""
    side, (height, width) = len(canvas), thing.shape[:2]
    scale = place[2] / max(height, width)
    thing = thing[:, :: int(random.choice([1, -1]))]
    turn: NDArray[Any] = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-180, 180), scale)
    turn[:, 2] += np.array(place[:2]) - (width / 2, height / 2)
    thing, warp = _shrunk(np.ascontiguousarray(thing), turn, scale)
    color = cv2.warpAffine(_tinted(np.ascontiguousarray(thing[..., :3]), random), warp, (side, side))
    alpha = cv2.warpAffine(np.ascontiguousarray(thing[..., 3]), warp, (side, side))
    owner[alpha > 127] = 255
    share = alpha[..., None].astype(np.float32) / 255
    canvas[:] = (share * color + (1 - share) * canvas).astype(np.uint8)


def _draw_hand(canvas: Image, owner: NDArray[np.uint8], photo: Photo, where: Place, random: Generator) -> None:
    """A palm, some fingers and an arm with the skin of a photo; ``owner`` is 255 where it is."""
    side = len(canvas)
    place, size = np.array(where[:2]), where[2]
    mask = np.zeros((side, side), np.uint8)
    lines = np.zeros((side, side), np.uint8)
    angle = random.uniform(0, 360)
    cv2.ellipse(mask, place.astype(int).tolist(), (int(0.45 * size), int(0.35 * size)), angle, 0, 360, (255,), -1)
    for finger in range(int(random.integers(0, 6))):
        toward = np.radians(angle + (finger - 2) * random.uniform(8, 28))
        length, thick = size * random.uniform(0.4, 1.0), max(int(size * random.uniform(0.12, 0.2)), 1)
        root = place + 0.2 * size * np.array([np.cos(toward), np.sin(toward)])
        tip = root + length * np.array([np.cos(toward), np.sin(toward)])
        ends = root.astype(int).tolist(), tip.astype(int).tolist()
        cv2.line(lines, *ends, (255,), thick + max(thick // 4, 1))
        cv2.line(lines, *ends, (0,), thick)
        cv2.line(mask, *ends, (255,), thick)
    back = place - 1.5 * size * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    if random.random() < 0.5:
        cv2.line(mask, place.astype(int).tolist(), back.astype(int).tolist(), (255,), max(int(0.4 * size), 1))
    owner[mask > 0] = 255
    left, top, width, height = cv2.boundingRect(mask)
    if min(width, height) < 2:
        return
    here = slice(top, top + height), slice(left, left + width)
    mask, lines = mask[here], lines[here]
    skin = _tinted(_part(photo.image, max(width, height), random.uniform(0.05, 0.2), random)[:height, :width], random)
    wide = 2 * max(int(0.12 * size), 1) + 1
    light = cv2.blur(mask, (wide, wide)).astype(np.float32) / 255
    shade = (0.5 + 0.5 * light) * (1 - 0.5 * cv2.blur(lines, (3, 3)).astype(np.float32) / 255)
    alpha = cv2.blur(mask, (3, 3)).astype(np.float32)[..., None] / 255
    canvas[here] = (alpha * shade[..., None] * skin + (1 - alpha) * canvas[here]).astype(np.uint8)


def _part(image: Image, side: int, share: float, random: Generator) -> Image:
    height, width = image.shape[:2]
    edge = max(int(min(height, width) * share), 8)
    y, x = int(random.integers(0, height - edge + 1)), int(random.integers(0, width - edge + 1))
    part = image[y : y + edge, x : x + edge]
    part = np.rot90(part, int(random.integers(4)))[:, :: int(random.choice([1, -1]))]
    return cv2.resize(np.ascontiguousarray(part), (side, side), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _paste(
    canvas: Image, owner: NDArray[np.uint8], number: int, photo: Photo, size: float, random: Generator
) -> list[NDArray[np.float32]]:
    """Put a photo into the scene so that its face is ``size`` pixels high; its faces as they are now, then
    ``number``, which ``owner`` has wherever the photo is."""
    side = len(canvas)
    image, faces = _flipped(photo) if random.random() < 0.5 else (photo.image, photo.faces)
    height, width = image.shape[:2]
    scale = size / (float(faces[0, 3]) if len(faces) else height)
    angle = random.uniform(-TILT, TILT) if random.random() < 0.4 else random.normal(0, 8)
    turn: NDArray[Any] = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    edge = min(size / 2, side / 2) - min(0.5 * size, 0.2 * side)
    turn[:, 2] += random.uniform(edge, side - edge, 2) - (width / 2, height / 2)
    corners = (turn @ [[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]]).T
    left, top = np.clip(np.floor(corners.min(0)), 0, side).astype(int).tolist()
    right, bottom = np.clip(np.ceil(corners.max(0)), 0, side).astype(int).tolist()
    if right - left < 2 or bottom - top < 2:
        return []
    image, warp = _shrunk(image, turn, scale)
    warp = warp - [[0, 0, left], [0, 0, top]]
    reached = (right - left, bottom - top)
    piece = cv2.warpAffine(_tinted(image, random), warp, reached, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(_mask(image, random), warp, reached)
    place = canvas[top:bottom, left:right]
    place[:] = (alpha[..., None] * piece + (1 - alpha[..., None]) * place).astype(np.uint8)
    owner[top:bottom, left:right][alpha > 0.5] = number
    return [np.append(_moved(face, turn, angle, scale), number).astype(np.float32) for face in faces]


def _shrunk(image: Image, turn: NDArray[Any], scale: float) -> tuple[Image, NDArray[Any]]:
    """The image, averaged to about its final size where that is much smaller, and what turns that as ``turn`` does."""
    if scale >= 0.5:
        return image, turn
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    grow = np.diag([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0], 1.0])
    return small, turn @ grow  # type: ignore[return-value]


def _mask(image: Image, random: Generator) -> NDArray[Any]:
    """How far a photo covers what is behind it, 0…1: all of it, or an ellipse with a soft edge."""
    height, width = image.shape[:2]
    if random.random() < 0.4:
        return np.ones((height, width), np.float32)
    mask: NDArray[Any] = np.zeros((height, width), np.float32)
    axes = (max(int(width * random.uniform(0.4, 0.5)), 1), max(int(height * random.uniform(0.46, 0.52)), 1))
    cv2.ellipse(mask, (width // 2, height // 2), axes, 0, 0, 360, (1.0,), -1)
    return cv2.blur(mask, (max(width // 16, 1), max(height // 16, 1)))


def _tinted(image: Image, random: Generator) -> Image:
    """Most old photos are grey: give some of them the warm colours of skin and lamps."""
    if random.random() < 0.4:
        return image
    warm = random.uniform(0.0, 0.45)
    gains = np.array([1 - warm, 1 - warm * random.uniform(0.2, 0.7), 1 + 0.3 * warm]) * random.uniform(0.5, 1.2)
    lookup = np.clip(np.arange(256)[:, None] * gains, 0, 255).astype(np.uint8)
    return cv2.LUT(image, np.ascontiguousarray(lookup[None]))  # type: ignore[return-value]


def _flipped(photo: Photo) -> tuple[Image, NDArray[np.float32]]:
    """A photo's image and faces in a mirror."""
    width, faces = photo.image.shape[1], photo.faces.copy()
    faces[:, 0] = width - photo.faces[:, 0] - photo.faces[:, 2]
    faces[:, 4::2] = width - photo.faces[:, 4::2]
    faces[:, 4:] = faces[:, 4:][:, list(MIRRORED)]
    return np.ascontiguousarray(photo.image[:, ::-1]), faces


def _moved(face: NDArray[np.float32], turn: NDArray[Any], angle: float, scale: float) -> NDArray[Any]:
    """A face under rotation: the box is the one around the turned ellipse that it enclosed."""
    x, y, width, height = face[:4].astype(float)
    middle = turn @ (x + width / 2, y + height / 2, 1)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    size = scale * np.array([np.hypot(width * cos, height * sin), np.hypot(width * sin, height * cos)])
    points = np.c_[face[4:].reshape(5, 2), np.ones(5)] @ turn.T
    return np.concatenate([middle - size / 2, size, points.ravel()])


def _seen(face: NDArray[np.float32], owner: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """The face, and whether enough of it can be seen."""
    x, y, width, height = face[:4]
    left, top = int(np.clip(x, 0, side)), int(np.clip(y, 0, side))
    right, bottom = int(np.clip(x + width, 0, side)), int(np.clip(y + height, 0, side))
    mine = float((owner[top:bottom, left:right] == face[14]).sum())
    known = mine >= VISIBLE * 0.75 * width * height and min(width, height) >= 0.7 * SMALLEST
    return np.append(face[:14], float(known)).astype(np.float32)


def _spoil(image: Image, random: Generator) -> Image:
    """Light, grey, blur, noise and JPEG, as cameras have them."""
    if random.random() < 0.7:
        gain, gamma = random.uniform(0.5, 1.3), np.exp(random.uniform(-0.7, 0.7))
        curve = 255 * np.clip(gain * (np.arange(256) / 255) ** gamma, 0, 1)
        image = cv2.LUT(image, curve.astype(np.uint8))  # type: ignore[assignment]
    if random.random() < 0.2:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)  # type: ignore[assignment]
    if random.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), random.uniform(0.4, 1.4))  # type: ignore[assignment]
    if random.random() < 0.3:
        noise = random.standard_normal((len(image), len(image), 1), np.float32) * random.uniform(2, 14)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if random.random() < 0.4:
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 90))])[1]
        image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)  # type: ignore[assignment]
    return image
