"""Scenes composed of photos: photos are scaled, rotated and spread over a background.

Data sets have few labelled small faces; scenes have as many as training needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from emotion_ros.training.detector.photos import Backgrounds, Photo
from emotion_ros.training.detector.scene_objects import Place, add_object, downscale, draw_background, tint
from emotion_ros.types import Image

MIN_FACE_HEIGHT_PX = 8.0
"""Height of the smallest face."""

MAX_FACE_HEIGHT_SHARE = 1.1
"""Height of the largest face, as a share of the scene's side."""

MIN_LABELLED_SIDE_SHARE = 0.7
"""Shorter side from which a face is labelled, as a share of :data:`MIN_FACE_HEIGHT_PX`."""

MAX_TILT_DEGREES = 45.0
"""Largest angle by which a face is rotated."""

MIN_VISIBLE_SHARE = 0.6
"""Share of a face that must be visible for it to be labelled; a face hidden further is ignored by the loss."""

FACE_SHARE_OF_BOX = 0.75
"""Share of its box that a face covers: about the ellipse in it (π / 4)."""

SINGLE_FACE_SHARE, OBJECT_SHARE, COVERED_SHARE = 0.3, 0.5, 0.4
"""Shares of scenes with one large photo, with objects behind the faces, and with an object in front of a face, most
often of its mouth."""

MIRRORED_LANDMARKS = (2, 3, 0, 1, 4, 5, 8, 9, 6, 7)
"""Order of the landmark columns after a horizontal flip: right and left are exchanged."""


def compose_scene(
    photos: Sequence[Photo], backgrounds: Backgrounds, side: int, random: Generator
) -> tuple[Image, NDArray[np.float32]]:
    """Compose a scene. The same arguments and state of ``random`` give the same scene.

    Args:
        photos: faces with labels.
        backgrounds: pictures and cut-outs; may be empty.
        side: width and height of the scene in pixels.
        random: source of all choices.

    Returns:
        The scene, side × side × 3 (BGR, uint8), and its faces, n × 15 float32: x, y, width and height of the box and
        five landmarks as in :class:`Photo`, pixels of the scene; then 1, or 0 for a face that is hidden too far to
        count as present or absent.
    """
    canvas = draw_background(photos, backgrounds, side, random)
    heights = _face_heights(side, random)
    faces: list[NDArray[np.float32]] = []
    owner = np.zeros((side, side), np.uint8)  # number of the photo that is visible at each pixel; 0: background
    if random.random() < OBJECT_SHARE:
        for _ in range(int(random.integers(1, 6))):
            add_object(canvas, owner, photos, backgrounds, random)
        owner[:] = 0
    for number, height in enumerate(heights, 1):
        faces += _paste(canvas, owner, number, photos[int(random.integers(len(photos)))], height, random)
    if random.random() < COVERED_SHARE:
        add_object(canvas, owner, photos, backgrounds, random, _place_before(faces, random))
    labelled = [_with_visibility(face, owner, side) for face in faces]
    return _simulate_camera(canvas, random), np.array(labelled, np.float32).reshape(-1, 15)


def _face_heights(side: int, random: Generator) -> list[float]:
    """Return the heights of a scene's faces in pixels, the smallest first: the nearest is pasted last."""
    if random.random() < SINGLE_FACE_SHARE:
        return [side * random.uniform(0.3, MAX_FACE_HEIGHT_SHARE)]
    largest = side * random.uniform(0.05, 0.5)
    count = int(np.clip(0.5 * (side / largest) ** 2, 1, 16 * random.random() + 1))
    heights = np.exp(random.uniform(np.log(MIN_FACE_HEIGHT_PX), np.log(largest), count))
    return sorted(heights.tolist())


def _place_before(faces: Sequence[NDArray[np.float32]], random: Generator) -> Place | None:
    """Return a place at the lower half of one of the faces; None if there is none."""
    if not faces:
        return None
    x, y, width, height = faces[int(random.integers(len(faces)))][:4].tolist()
    across, down = random.normal(0.5, 0.3), random.normal(1.0, 0.25)
    return Place(x + across * width, y + down * height, float(height * random.uniform(0.5, 1.3)))


def _paste(
    canvas: Image, owner: NDArray[np.uint8], number: int, photo: Photo, face_height: float, random: Generator
) -> list[NDArray[np.float32]]:
    """Paste a photo so that its first face is ``face_height`` pixels high.

    Writes ``number`` into ``owner`` at the photo's pixels. Returns its faces in pixels of the scene, 15 values each:
    box, landmarks, ``number``.
    """
    side = len(canvas)
    image, faces = _flipped(photo) if random.random() < 0.5 else (photo.image, photo.faces)
    height, width = image.shape[:2]
    scale = face_height / (float(faces[0, 3]) if len(faces) else height)
    angle = random.uniform(-MAX_TILT_DEGREES, MAX_TILT_DEGREES) if random.random() < 0.4 else random.normal(0, 8)
    warp: NDArray[Any] = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    border = min(face_height / 2, side / 2) - min(0.5 * face_height, 0.2 * side)
    warp[:, 2] += random.uniform(border, side - border, 2) - (width / 2, height / 2)
    corners = (warp @ [[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]]).T
    left, top = np.clip(np.floor(corners.min(0)), 0, side).astype(int).tolist()
    right, bottom = np.clip(np.ceil(corners.max(0)), 0, side).astype(int).tolist()
    if right - left < 2 or bottom - top < 2:
        return []
    image, small_warp = downscale(image, warp, scale)
    small_warp = small_warp - [[0, 0, left], [0, 0, top]]
    size = (right - left, bottom - top)
    pixels = cv2.warpAffine(tint(image, random), small_warp, size, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(_soft_mask(image, random), small_warp, size)
    region = canvas[top:bottom, left:right]
    region[:] = (alpha[..., None] * pixels + (1 - alpha[..., None]) * region).astype(np.uint8)
    owner[top:bottom, left:right][alpha > 0.5] = number
    return [np.append(_warped_face(face, warp, angle, scale), number).astype(np.float32) for face in faces]


def _soft_mask(image: Image, random: Generator) -> NDArray[Any]:
    """Return how far a photo covers the scene, h × w, 0…1: all of it, or an ellipse with a soft edge."""
    height, width = image.shape[:2]
    if random.random() < 0.4:
        return np.ones((height, width), np.float32)
    mask: NDArray[Any] = np.zeros((height, width), np.float32)
    axes = (max(int(width * random.uniform(0.4, 0.5)), 1), max(int(height * random.uniform(0.46, 0.52)), 1))
    cv2.ellipse(mask, (width // 2, height // 2), axes, 0, 0, 360, (1.0,), -1)
    return cv2.blur(mask, (max(width // 16, 1), max(height // 16, 1)))


def _flipped(photo: Photo) -> tuple[Image, NDArray[np.float32]]:
    """Return a photo's image and faces, flipped horizontally."""
    width, faces = photo.image.shape[1], photo.faces.copy()
    faces[:, 0] = width - photo.faces[:, 0] - photo.faces[:, 2]
    faces[:, 4::2] = width - photo.faces[:, 4::2]
    faces[:, 4:] = faces[:, 4:][:, list(MIRRORED_LANDMARKS)]
    return np.ascontiguousarray(photo.image[:, ::-1]), faces


def _warped_face(face: NDArray[np.float32], warp: NDArray[Any], angle: float, scale: float) -> NDArray[Any]:
    """Return a face (14 values) after a warp: the box encloses the rotated ellipse that the old one enclosed."""
    x, y, width, height = face[:4].astype(float)
    middle = warp @ (x + width / 2, y + height / 2, 1)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    size = scale * np.array([np.hypot(width * cos, height * sin), np.hypot(width * sin, height * cos)])
    points = np.c_[face[4:].reshape(5, 2), np.ones(5)] @ warp.T
    return np.concatenate([middle - size / 2, size, points.ravel()])


def _with_visibility(face: NDArray[np.float32], owner: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Return a face (15 values) with its number replaced by 1 if enough of it is visible, else by 0."""
    x, y, width, height = face[:4]
    left, top = int(np.clip(x, 0, side)), int(np.clip(y, 0, side))
    right, bottom = int(np.clip(x + width, 0, side)), int(np.clip(y + height, 0, side))
    visible_px = float((owner[top:bottom, left:right] == face[14]).sum())
    is_visible = visible_px >= MIN_VISIBLE_SHARE * FACE_SHARE_OF_BOX * width * height
    is_large = min(width, height) >= MIN_LABELLED_SIDE_SHARE * MIN_FACE_HEIGHT_PX
    return np.append(face[:14], float(is_visible and is_large)).astype(np.float32)


def _simulate_camera(image: Image, random: Generator) -> Image:
    """Return the image with random exposure, grey, blur, noise and JPEG artefacts, each in a share of scenes."""
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
