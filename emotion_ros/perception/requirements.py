"""Requirements on a captured picture: sharp, with a face, with a hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ConfigError
from emotion_ros.perception.loaded_models import create_face_detector, create_hand_detector
from emotion_ros.perception.quality import sharpness
from emotion_ros.types import Image

REQUIREMENTS = ("sharp", "face", "hand")

LONGER_SIDE_PX = 320
"""Longer side to which a picture is scaled before its sharpness is measured."""

MIN_PICTURE_SHARPNESS = 1.2
"""Value of :func:`picture_sharpness` below which a picture is blurred.

Measured on 668 webcam pictures of people with hands, 640 × 480: at least 2.00, and at least 2.14 at a quarter of the
brightness. After a mean over 9 × 9 or 25 × 25 pixels: at most 0.53. After a mean over 25 pixels of a row, as by motion:
99.9 % have less than 1.2, but only 0.8 % if the picture is as dark as that too. Of 300 photos of groups 3.7 % have
less, of 300 photos of rooms 0.3 %.
"""


def picture_sharpness(image: Image) -> float:
    """Return the :func:`~emotion_ros.perception.quality.sharpness` of a picture (BGR, uint8, h × w × 3)."""
    height, width = image.shape[:2]
    scale = LONGER_SIDE_PX / max(height, width)
    return sharpness(image, max(round(width * scale), 1), max(round(height * scale), 1))


def create_check(require: Sequence[str]) -> Callable[[Image], str]:
    """Load the detectors that the requirements need and return a function that checks a picture.

    The function takes a picture (BGR, uint8, h × w × 3). It returns the reason why the picture is rejected, or an empty
    string. Not thread-safe.

    Args:
        require: any of :data:`REQUIREMENTS`.

    Raises:
        ConfigError: a requirement is unknown.
    """
    unknown = sorted(set(require) - set(REQUIREMENTS))
    if unknown:
        raise ConfigError(f"require: expected {', '.join(REQUIREMENTS)}, got {', '.join(unknown)}")
    config = PipelineConfig()
    faces = create_face_detector(config) if "face" in require else None
    hands = create_hand_detector(config) if "hand" in require else None

    def check(image: Image) -> str:
        if "sharp" in require and picture_sharpness(image) < MIN_PICTURE_SHARPNESS:
            return "blurred"
        if faces and not faces.detect(image, config.min_face_confidence, config.min_face_size):
            return "no face"
        return "no hand" if hands and not hands.detect(image) else ""

    return check
