"""Labels the hands in photos with another hand detector, the teacher, and keeps those that it finds reliably."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.detection import HandDetector
from emotion_ros.perception.detection.hand_crop import MIDDLE_KNUCKLE, WRIST
from emotion_ros.perception.gestures import palm_length
from emotion_ros.training.detector.label_geometry import pixel_warp
from emotion_ros.training.detector.object_kinds import HANDS
from emotion_ros.training.photo_archive import label_writer, photos_archive, read_archive
from emotion_ros.types import Hand, Image, Points

POINT_COLUMNS = tuple(f"{axis}{index}" for index in range(21) for axis in "xy")
DETECTOR_COLUMNS = HANDS.columns
"""Box, wrist and middle knuckle, which ``train-detector`` reads."""

COLUMNS = ("file", "width", "height", *DETECTOR_COLUMNS, *POINT_COLUMNS, "side", "score")
"""Columns of the CSV file. Lengths are in pixels of the photo. ``side``: left or right, the person's own. ``score``:
share of the checks that confirmed the hand, 0…1; a hand with 1 is reliable. A photo without hands has no row: the
teacher may have missed some."""

TILE_SHARE = 0.6
"""Side of a tile as a share of the photo's side: four overlapping tiles show small hands at a higher resolution."""

SEARCH_SIDE_PX = 640
"""Longer side to which a photo, a tile or the surroundings of a hand are scaled for the teacher."""

REGION_PALMS = 4.0
"""Half the side of the square around a hand that the checks search, in palm lengths from its middle."""

MAX_DEVIATION_PALMS = 0.1
"""Mean distance of a check's landmarks from the hand's, in palm lengths, up to which the check confirms the hand."""

SAME_HAND_PALMS = 0.5
"""Mean distance of two sets of landmarks, in palm lengths, below which they are one hand."""

MIN_PALM_PX = 10.0
"""Palm length below which the teacher's landmarks are guesses."""

MIN_INSIDE_SHARE = 0.75
"""Minimum share of a hand's landmarks inside the photo."""

CHECKS = ((True, 0.0, 1.0, (0.0, 0.0)), (False, 20.0, 0.85, (0.08, -0.06)), (True, -15.0, 1.15, (-0.06, 0.08)))
"""Each check's view of a hand: mirrored, rotation in degrees, scale, shift as a share of the view's side."""


@dataclass(frozen=True)
class LabelledHand:
    """A hand in a photo.

    Attributes:
        points: 21 landmarks in pixels, 21 × 2, the mean over the confirmed checks.
        side: ``left`` or ``right``, the person's own.
        score: share of the checks that confirmed the hand.
    """

    points: Points
    side: str
    score: float


def label_photos(data: Path, output: Path, teacher: HandDetector) -> tuple[int, int]:
    """Label the photos of an archive.

    Args:
        data: folder with ``photos.zip``.
        output: the CSV file, see :data:`COLUMNS`.
        teacher: finds the hands.

    Returns:
        Numbers of photos and of reliable hands.

    Raises:
        DatasetError: the archive is missing, or a photo cannot be read.
        OutputError: the CSV file cannot be written.
    """
    photos = reliable = 0
    archive = photos_archive(data)
    with label_writer(output, COLUMNS) as writer:
        for name, image in read_archive(archive):
            hands = label_hands(image, teacher)
            writer.writerows(_rows(name, image, hands))
            photos += 1
            reliable += sum(hand.score == 1 for hand in hands)
    return photos, reliable


def label_hands(image: Image, teacher: HandDetector) -> list[LabelledHand]:
    """Return the hands that the teacher finds in a photo or its tiles, with their scores."""
    return [_checked(image, hand, teacher) for hand in _candidates(image, teacher) if _is_plausible(image, hand)]


def _candidates(image: Image, teacher: HandDetector) -> list[Hand]:
    """Return the hands of the whole photo and those that only its tiles show."""
    height, width = image.shape[:2]
    tile_height, tile_width = round(height * TILE_SHARE), round(width * TILE_SHARE)
    corners = [(x, y) for y in (0, height - tile_height) for x in (0, width - tile_width)]
    views = [(0, 0, width, height), *((x, y, tile_width, tile_height) for x, y in corners)]
    hands: list[Hand] = []
    for x, y, view_width, view_height in views:
        side = max(view_width, view_height)
        matrix = _view((x + view_width / 2, y + view_height / 2), side, 0.0)
        size = round(view_width * SEARCH_SIDE_PX / side), round(view_height * SEARCH_SIDE_PX / side)
        matrix[:, 2] -= [(SEARCH_SIDE_PX - length) / 2 for length in size]
        for hand in _seen_in(image, teacher, matrix, size):
            if all(_deviation(hand.landmarks, known.landmarks) > SAME_HAND_PALMS for known in hands):
                hands.append(hand)
    return hands


def _checked(image: Image, hand: Hand, teacher: HandDetector) -> LabelledHand:
    """Search a hand again in changed views of its surroundings."""
    confirmed = [hand.landmarks]
    half = REGION_PALMS * palm_length(hand.landmarks)
    middle = hand.landmarks.mean(0)
    for mirrored, degrees, scale, shift in CHECKS:
        centre = middle + np.array(shift, np.float32) * 2 * half
        matrix = _view((float(centre[0]), float(centre[1])), 2 * half / scale, degrees)
        side = {"left": "right", "right": "left"}.get(hand.side, "") if mirrored else hand.side
        if mirrored:
            matrix[0] = -matrix[0] + np.array([0, 0, SEARCH_SIDE_PX])
        views = [found for found in _seen_in(image, teacher, matrix, (SEARCH_SIDE_PX,) * 2) if found.side == side]
        best = min(views, key=lambda found: _deviation(found.landmarks, hand.landmarks), default=None)
        if best is not None and _deviation(best.landmarks, hand.landmarks) <= MAX_DEVIATION_PALMS:
            confirmed.append(best.landmarks)
    points = np.mean(confirmed, 0).astype(np.float32)
    return LabelledHand(points, hand.side, (len(confirmed) - 1) / len(CHECKS))


def _view(middle: tuple[float, float], side: float, degrees: float) -> NDArray[np.float64]:
    """Return the matrix, 2 × 3, from the photo to a square view of :data:`SEARCH_SIDE_PX`."""
    matrix: NDArray[np.float64] = np.zeros((2, 3))
    matrix[:] = cv2.getRotationMatrix2D(middle, degrees, SEARCH_SIDE_PX / side)
    matrix[:, 2] += SEARCH_SIDE_PX / 2 - np.array(middle)
    return matrix


def _seen_in(image: Image, teacher: HandDetector, matrix: NDArray[np.float64], size: tuple[int, int]) -> list[Hand]:
    """Return the hands of a view, their landmarks in pixels of the photo; boxes stay in the view's pixels."""
    view = cv2.warpAffine(image, pixel_warp(matrix), size, flags=cv2.INTER_LINEAR)
    back = cv2.invertAffineTransform(matrix)
    hands = teacher.detect(view)  # type: ignore[arg-type]
    return [
        Hand(hand.side, hand.box, hand.confidence, (hand.landmarks @ back[:, :2].T + back[:, 2]).astype(np.float32))
        for hand in hands
    ]


def _deviation(first: Points, second: Points) -> float:
    """Return the mean distance of two sets of landmarks in palm lengths of the second."""
    return float(np.hypot(*(first - second).T).mean()) / palm_length(second)


def _is_plausible(image: Image, hand: Hand) -> bool:
    height, width = image.shape[:2]
    inside = ((hand.landmarks >= 0) & (hand.landmarks <= (width, height))).all(1).mean()
    return bool(palm_length(hand.landmarks) >= MIN_PALM_PX and inside >= MIN_INSIDE_SHARE and hand.side != "unknown")


def _rows(name: str, image: Image, hands: Sequence[LabelledHand]) -> list[list[object]]:
    height, width = image.shape[:2]
    rows: list[list[object]] = []
    for hand in hands:
        low, high = hand.points.min(0), hand.points.max(0)
        numbers = np.concatenate(
            [low, high - low, hand.points[WRIST], hand.points[MIDDLE_KNUCKLE], hand.points.ravel()]
        )
        rows.append([name, width, height, *(f"{value:.2f}" for value in numbers), hand.side, f"{hand.score:.3f}"])
    return rows
