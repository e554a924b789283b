"""Draw people and hands onto an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from emotion_ros.types import Box, Emotion, Hand, HeadPose, Image, Perception

COLORS = {
    "angry": (60, 60, 230),
    "disgust": (70, 150, 60),
    "fear": (190, 90, 150),
    "happy": (40, 200, 250),
    "neutral": (190, 190, 190),
    "sad": (220, 140, 60),
    "surprise": (60, 160, 250),
}
"""BGR per label; other labels are drawn in :data:`OTHER`."""

OTHER = (160, 200, 120)
HAND_COLOR = (120, 220, 120)
DARK, LIGHT = (25, 25, 25), (250, 250, 250)
REFERENCE_HEIGHT_PX = 480
"""Shorter side of an image on which lines and text have their nominal size."""
FONT = cv2.FONT_HERSHEY_SIMPLEX

NOSE = 2
"""Index of the nose tip in :attr:`Face.landmarks`."""

NOSE_LENGTH = 0.8
"""Length of the line that shows the head pose of a profile, in widths of the face's box."""

FINGERS = [(0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (0, 17, 18, 19, 20), (5, 9, 13, 17)]
"""Chains of hand landmarks that are joined by lines."""


def draw(image: Image, perception: Perception) -> Image:
    """Return a copy of an image (BGR, h × w × 3) with face boxes, labels, head directions, bars and hands.

    Lines and text scale with the image's shorter side. Bars that would cover another face are left out.
    """
    canvas = image.copy()
    unit = max(min(image.shape[:2]) / REFERENCE_HEIGHT_PX, 0.4)
    for hand in (*perception.hands, *(hand for person in perception.people for hand in person.hands)):
        _draw_hand(canvas, hand, unit)
    for person in perception.people:
        others = [other.face.box for other in perception.people if other is not person]
        _draw_bars(canvas, person, perception.labels, unit, others)
    for person in perception.people:  # above the bars of others
        _draw_person(canvas, person, unit)
    return canvas


def letterbox(image: Image, size: tuple[int, int]) -> Image:
    """Return the image scaled to fit into ``size`` (width, height), centred on black."""
    width, height = size
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    scaled = cv2.resize(image, (max(int(image.shape[1] * scale), 1), max(int(image.shape[0] * scale), 1)))
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - scaled.shape[0]) // 2, (width - scaled.shape[1]) // 2
    canvas[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return canvas


def _width(unit: float, pixels: float) -> int:
    return max(round(unit * pixels), 1)


def _draw_hand(canvas: Image, hand: Hand, unit: float) -> None:
    points = np.round(hand.landmarks).astype(np.int32)
    for finger in FINGERS:
        cv2.polylines(canvas, [points[list(finger)]], False, HAND_COLOR, _width(unit, 2), cv2.LINE_AA)
    for x, y in points.tolist():
        cv2.circle(canvas, (x, y), _width(unit, 3), LIGHT, -1, cv2.LINE_AA)


def _draw_person(canvas: Image, person: Emotion, unit: float) -> None:
    color = COLORS.get(person.label, OTHER)
    x, y, width, height = person.face.box.rounded()
    cv2.rectangle(canvas, (x, y), (x + width, y + height), color, _width(unit, 2), cv2.LINE_AA)
    if person.head_pose is not None and len(person.face.landmarks) > NOSE:
        _draw_direction(canvas, person.face.landmarks[NOSE].tolist(), person.head_pose, NOSE_LENGTH * width, unit)
    _draw_title(canvas, f"{person.label} {person.confidence:.2f}", (x, y), color, unit)


def _draw_direction(canvas: Image, nose: Sequence[float], pose: HeadPose, length: float, unit: float) -> None:
    """Draw a line from the nose where the head points; a point if that is the camera."""
    right, down = math.sin(pose.yaw) * math.cos(pose.pitch), -math.sin(pose.pitch)
    end = round(nose[0] + length * right), round(nose[1] + length * down)
    cv2.line(canvas, (round(nose[0]), round(nose[1])), end, LIGHT, _width(unit, 2), cv2.LINE_AA)


def _draw_title(canvas: Image, text: str, corner: tuple[int, int], color: tuple[int, int, int], unit: float) -> None:
    """Draw a filled label above the box, or inside it if there is no room above; never outside the image."""
    scale, thick, pad = 0.6 * unit, _width(unit, 1.5), _width(unit, 4)
    (width, height), base = cv2.getTextSize(text, FONT, scale, thick)
    full = height + base + 2 * pad
    left = max(min(corner[0], canvas.shape[1] - width - 2 * pad), 0)
    top = corner[1] - full if corner[1] >= full else corner[1]
    cv2.rectangle(canvas, (left, top), (left + width + 2 * pad, top + full), color, -1)
    cv2.putText(canvas, text, (left + pad, top + pad + height), FONT, scale, DARK, thick, cv2.LINE_AA)


def _draw_bars(canvas: Image, person: Emotion, labels: tuple[str, ...], unit: float, others: Sequence[Box]) -> None:
    """Draw a bar per label on a dark panel right of the face, or left of it, where it covers none of ``others``."""
    scale, pad = 0.42 * unit, _width(unit, 4)
    sizes = [cv2.getTextSize(label, FONT, scale, 1)[0] for label in labels]
    row, label_width, bar = max(size[1] for size in sizes) + pad, max(size[0] for size in sizes) + pad, _width(unit, 60)
    width, height = label_width + bar + 2 * pad, row * len(labels) + pad
    x, y, face_width, _ = person.face.box.rounded()
    top = max(min(y, canvas.shape[0] - height), 0)
    sides = [side for side in (x + face_width + pad, x - pad - width) if 0 <= side <= canvas.shape[1] - width]
    free = [side for side in sides if not any(Box(side, top, width, height).shared(other) for other in others)]
    if others and not free:
        return
    left = free[0] if free else 0
    panel = canvas[top : top + height, left : left + width]
    panel[:] = panel // 3
    for index, label in enumerate(labels):
        bottom = top + (index + 1) * row
        cv2.putText(canvas, label, (left + pad, bottom), FONT, scale, LIGHT, _width(unit, 1), cv2.LINE_AA)
        start, end = (
            left + label_width + pad,
            left + label_width + pad + round(bar * float(person.probabilities[index])),
        )
        cv2.rectangle(canvas, (start, bottom - row + pad), (end, bottom), COLORS.get(label, OTHER), -1)
