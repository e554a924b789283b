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

from emotion_ros.training.detector.camera_effects import simulate_camera
from emotion_ros.training.detector.label_geometry import downscale, mirrored, pixel_warp, warped
from emotion_ros.training.detector.object_kinds import FACES
from emotion_ros.training.detector.photos import STATE_COLUMN, Backgrounds, Photo
from emotion_ros.training.detector.scene_objects import Place, add_object, draw_background, tint
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
    return simulate_camera(canvas, random), np.array(labelled, np.float32).reshape(-1, 15)


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

    Writes ``number`` into ``owner`` at the photo's pixels. Returns its faces in pixels of the scene, 16 values each:
    box, landmarks, state, ``number``.
    """
    side = len(canvas)
    image, faces = mirrored(photo, FACES) if random.random() < 0.5 else (photo.image, photo.faces)
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
    small_warp = pixel_warp(small_warp - [[0, 0, left], [0, 0, top]])
    size = (right - left, bottom - top)
    pixels = cv2.warpAffine(tint(image, random), small_warp, size, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(_soft_mask(image, random), small_warp, size)
    region = canvas[top:bottom, left:right]
    region[:] = (alpha[..., None] * pixels + (1 - alpha[..., None]) * region).astype(np.uint8)
    owner[top:bottom, left:right][alpha > 0.5] = number
    return [np.append(face, number).astype(np.float32) for face in warped(faces, warp, angle, scale)]


def _soft_mask(image: Image, random: Generator) -> NDArray[Any]:
    """Return how far a photo covers the scene, h × w, 0…1: all of it, or an ellipse with a soft edge."""
    height, width = image.shape[:2]
    if random.random() < 0.4:
        return np.ones((height, width), np.float32)
    mask: NDArray[Any] = np.zeros((height, width), np.float32)
    axes = (max(int(width * random.uniform(0.4, 0.5)), 1), max(int(height * random.uniform(0.46, 0.52)), 1))
    cv2.ellipse(mask, (width // 2, height // 2), axes, 0, 0, 360, (1.0,), -1)
    return cv2.blur(mask, (max(width // 16, 1), max(height // 16, 1)))


def _with_visibility(face: NDArray[np.float32], owner: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Return the labels of a face (16 values, see :func:`_paste`), ignored if too little of it is visible."""
    x, y, width, height = face[:4]
    left, top = int(np.clip(x, 0, side)), int(np.clip(y, 0, side))
    right, bottom = int(np.clip(x + width, 0, side)), int(np.clip(y + height, 0, side))
    visible_px = float((owner[top:bottom, left:right] == face[-1]).sum())
    is_visible = visible_px >= MIN_VISIBLE_SHARE * FACE_SHARE_OF_BOX * width * height
    is_large = min(width, height) >= MIN_LABELLED_SIDE_SHARE * MIN_FACE_HEIGHT_PX
    labels = face[:-1].copy()
    labels[STATE_COLUMN] *= is_visible and is_large
    return labels
