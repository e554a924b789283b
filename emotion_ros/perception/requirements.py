"""What a captured picture must show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2

from emotion_ros.config import PipelineConfig
from emotion_ros.perception.detection import HAND_DETECTORS
from emotion_ros.perception.loaded_models import create_face_detector
from emotion_ros.types import Image

SHARPEST = 320
"""Pixels of the longer side at which sharpness is measured, so that it does not depend on the camera."""

BLURRED = 40.0
"""Variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000) below which a
picture counts as blurred. Of 60 webcam pictures of people the least sharp had 112, and none more than 20 once it was
smeared over 25 of its 640 pixels."""


def sharpness(image: Image) -> float:
    """Variance of the Laplacian of the picture at :data:`SHARPEST` pixels."""
    scale = SHARPEST / max(image.shape[:2])
    grey = cv2.cvtColor(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def checks(require: Sequence[str]) -> Callable[[Image], str]:
    """A function that says why a picture is refused; an empty text where it is not."""
    config = PipelineConfig()
    faces = create_face_detector(config) if "face" in require else None
    hands = HAND_DETECTORS["mediapipe"](config.max_hands) if "hand" in require else None

    def check(image: Image) -> str:
        if "sharp" in require and sharpness(image) < BLURRED:
            return "blurred"
        if faces and not faces.detect(image, config.min_face_confidence, config.min_face_size):
            return "no face"
        return "no hand" if hands and not hands.detect(image) else ""

    return check
