"""Faces without labels, from photos, at the size that a network sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ConfigError, DatasetError
from emotion_ros.perception.emotion.preprocess import region_crop, resize
from emotion_ros.perception.loaded_models import create_face_detector
from emotion_ros.training.data.region_crop import View
from emotion_ros.training.photo_archive import photos_archive, read_archive

MIN_FACE_SIDE_PX = 32
"""Shorter side of the smallest face box that is used: two thirds of the input of the shipped classifier. Teachers are
often wrong about smaller faces."""


def read_unlabelled(folders: Sequence[Path], view: View) -> NDArray[np.uint8]:
    """Return all faces of photos as a network sees them, n × channels × size × size, channels as in the view's colour.

    Args:
        folders: each contains ``photos.zip``.
        view: its region must be ``face``.

    Raises:
        ConfigError: the region is another.
        DatasetError: an archive is missing or cannot be read, or no photo shows a face.
    """
    if view.region != "face":
        raise ConfigError(f"unlabelled: expected --region face, got {view.region}")
    archives = [photos_archive(folder) for folder in folders]
    pixels: list[NDArray[np.uint8]] = []
    config = PipelineConfig()
    detector = create_face_detector(config)
    try:
        for archive in archives:
            for _, image in tqdm(read_archive(archive), desc=f"faces of {archive}", leave=False, disable=None):
                for face in detector.detect(image, config.min_face_confidence, MIN_FACE_SIDE_PX):
                    crop = region_crop(image, view.region, face, (), view.margin, view.shift)
                    pixels.append(resize(crop, view.size, view.color))
    finally:
        detector.close()
    if not pixels:
        raise DatasetError(f"{', '.join(map(str, folders))}: expected photos of people, found no face in them")
    return np.stack(pixels).transpose(0, 3, 1, 2).copy()
