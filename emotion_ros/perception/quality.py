"""How well a face can be judged: its size, sharpness, turn and place in the image."""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike

from emotion_ros.types import Face, Image, ramp

SMALL, ENOUGH = 16.0, 48.0
"""Pixels of the shorter side at which a face says nothing and all: the shipped classifier sees 48 × 48."""

SIDE = 48
"""Pixels at which sharpness is measured, what the classifier sees."""

BLURRED, SHARP = 0.03, 0.15
"""Of :func:`sharpness`. A portrait has 0.43, 0.10 after a mean over 5 × 5 of its pixels and 0.035 over 9 × 9; half of
36 photos of people had 0.34 or more."""

PROFILE, FRONTAL = 0.6, 0.3
"""Distance of the nose tip from the middle of the eyes along the line through them, in eye distances: 0 for a face
that looks into the camera, 0.5 where the nose tip is below one eye."""

CUT = 0.5
"""Quality of a face that touches the border of the image, part of which may be outside."""

LEAST = 0.05
"""Quality of the worst face: even that says more than nothing."""


def quality(image: Image, face: Face) -> float:
    """0.05…1: as good as the worst of size, sharpness, turn and place."""
    box = face.box.clipped(image.shape[1], image.shape[0])
    x, y, width, height = box.rounded()
    crop = image[y : y + height, x : x + width]
    if crop.size == 0:
        return LEAST
    size = ramp(min(width, height), SMALL, ENOUGH)
    inside = x > 0 and y > 0 and x + width < image.shape[1] and y + height < image.shape[0]
    return max(min(size, _sharp(crop), _frontal(face), 1.0 if inside else CUT), LEAST)


def sharpness(crop: Image) -> float:
    """Variance of the Laplacian of a face at :data:`SIDE` × :data:`SIDE` pixels, as a share of the variance of its grey
    values: a dark face is not a blurred one (after Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy", 2000)."""
    grey = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return _variance(cv2.Laplacian(grey, cv2.CV_16S)) / max(_variance(grey), 1.0)


def turn(face: Face) -> float:
    """See :data:`PROFILE`; 0 where the face has no landmarks."""
    if len(face.landmarks) < 3:
        return 0.0
    right, left, nose = face.landmarks[:3].astype(float)
    eyes = left - right
    distance = max(float(np.hypot(*eyes)), 1e-6)
    return abs(float((nose - (left + right) / 2) @ eyes)) / distance**2


def _variance(values: MatLike) -> float:
    return float(cv2.meanStdDev(values)[1][0, 0]) ** 2


def _sharp(crop: Image) -> float:
    return ramp(sharpness(crop), BLURRED, SHARP)


def _frontal(face: Face) -> float:
    return ramp(turn(face), PROFILE, FRONTAL)
