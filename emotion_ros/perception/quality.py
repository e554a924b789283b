"""Image quality of a face: size, sharpness, head turn and position in the image."""

from __future__ import annotations

import math

import cv2
import numpy as np
from cv2.typing import MatLike

from emotion_ros.types import Face, HeadPose, Image, ramp

MIN_FACE_SIDE_PX, GOOD_FACE_SIDE_PX = 16.0, 48.0
"""Shorter side of a face box at which the size score is 0 and 1. The shipped classifier sees 48 × 48 pixels."""

FACE_SIZE_PX = 48
"""Width and height to which a face is scaled before its sharpness is measured: the classifier's input size."""

BLURRED_FACE_SHARPNESS, SHARP_FACE_SHARPNESS = 0.4, 0.9
"""Values of :func:`sharpness` at which the sharpness score of a face is 0 and 1.

Measured on 400 faces of 48 pixels or more from each of two collections of photos: 99 % have 0.97 or more. After a
mean over an eighth of the face's width the median is 0.36 and 0.34; over a sixteenth, 0.80 and 0.76.
"""

PROFILE_YAW_RAD, FRONTAL_YAW_RAD = math.radians(45), math.radians(27)
"""Yaw of the head at which the turn score is 0 and 1."""

PROFILE_TURN, FRONTAL_TURN = 0.6, 0.3
"""Values of :func:`head_turn` at which the turn score is 0 and 1, without a head pose: the same angles."""

CUT_FACE_QUALITY = 0.5
"""Highest quality of a face that touches the image border: a part of it may be outside."""

MIN_QUALITY = 0.05
"""Lowest quality, so that a face is never without any weight."""

MIN_GRADIENT_ENERGY = 1.0
"""Grey levels squared. Gradients below it are rounding of the pixel values, not edges."""


def quality(image: Image, face: Face, pose: HeadPose | None = None) -> float:
    """Return the lowest of the scores for size, sharpness, head turn and position, 0.05…1.

    Args:
        image: BGR, uint8, h × w × 3; is only read.
        face: box and landmarks in pixels of ``image``. The box may extend over the border.
        pose: of the head; None: its turn is taken from the landmarks.
    """
    box = face.box.clipped(image.shape[1], image.shape[0])
    x, y, width, height = box.rounded()
    crop = image[y : y + height, x : x + width]
    if crop.size == 0:
        return MIN_QUALITY
    size = ramp(min(width, height), MIN_FACE_SIDE_PX, GOOD_FACE_SIDE_PX)
    inside = x > 0 and y > 0 and x + width < image.shape[1] and y + height < image.shape[0]
    sharp = ramp(sharpness(crop, FACE_SIZE_PX, FACE_SIZE_PX), BLURRED_FACE_SHARPNESS, SHARP_FACE_SHARPNESS)
    frontal = _frontal(face, pose)
    return max(min(size, sharp, frontal, 1.0 if inside else CUT_FACE_QUALITY), MIN_QUALITY)


def _frontal(face: Face, pose: HeadPose | None) -> float:
    if pose is None:
        return ramp(head_turn(face), PROFILE_TURN, FRONTAL_TURN)
    return ramp(abs(pose.yaw), PROFILE_YAW_RAD, FRONTAL_YAW_RAD)


def sharpness(image: Image, width: int, height: int) -> float:
    """Return the energy of the Laplacian divided by the energy of the gradient; higher is sharper.

    Blur removes high frequencies, which the Laplacian weighs more than the gradient. The quotient depends neither on
    the brightness and contrast of the image nor on the share of it that has edges, as the variance of the Laplacian
    does (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000). Noise raises it too.

    Args:
        image: BGR, uint8, h × w × 3, not empty.
        width: pixels to which the image is scaled first, so that the result does not depend on the camera.
        height: the same for the height.

    Returns:
        0 for an image of one colour; 5 for white noise.
    """
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (width, height), interpolation=cv2.INTER_AREA)
    across = cv2.subtract(grey[:, 1:], grey[:, :-1], dtype=cv2.CV_16S)
    down = cv2.subtract(grey[1:], grey[:-1], dtype=cv2.CV_16S)
    gradient = _mean_square(across) + _mean_square(down)
    return _mean_square(cv2.Laplacian(grey, cv2.CV_16S)) / max(gradient, MIN_GRADIENT_ENERGY)


def head_turn(face: Face) -> float:
    """Return how far the nose tip lies from the middle of the eyes, along the line through the eyes.

    The unit is the distance of the eyes: 0 for a face towards the camera, 0.5 if the nose tip is below one eye. 0 for a
    face without landmarks.
    """
    if len(face.landmarks) < 3:
        return 0.0
    right_eye, left_eye, nose = face.landmarks[:3].astype(float)
    eyes = left_eye - right_eye
    distance = max(float(np.hypot(*eyes)), 1e-6)
    return abs(float((nose - (left_eye + right_eye) / 2) @ eyes)) / distance**2


def _mean_square(values: MatLike) -> float:
    return cv2.norm(values, cv2.NORM_L2SQR) / values.size
