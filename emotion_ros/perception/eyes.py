"""Finds how far the eyes of a face are open with the network of this package."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.detection.network_input import open_network
from emotion_ros.perception.eye_crop import CROP_SIZE_PX, crops_of_eyes, eye_width
from emotion_ros.types import FACE_POINTS, Image, Points

NETWORK_KIND = "eyes"
"""Value of ``kind`` in the metadata of the model file."""

UPPER_LID = 0
"""Column of the network's output with the height of the upper lid."""

MIN_EYE_WIDTH_PX = 8.0
"""Mean width in the image from which the eyes of a face are read. At 6 pixels the lids of held-out photos err by half
as much again as at 8 (docs/accuracy.md)."""

MAX_EYES = 32
"""Eyes per run of the network."""


class EyelidNetwork:
    """Finds the height of the upper lids of faces."""

    def __init__(self, model: Path, provider: str = "auto", threads: int = 1) -> None:
        """Load a model and run it once.

        Args:
            model: the ONNX file.
            provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
            threads: CPU threads; 0: ONNX Runtime's choice.

        Raises:
            ModelError: the file is missing, or is no such model of this package.
            ProviderError: the provider is not available.
        """
        profile = _shape(1), _shape(2), _shape(MAX_EYES)
        self._session = open_network(model, provider, threads, NETWORK_KIND, ("pixels", "eyes"), profile)
        self._lock = threading.Lock()  # guards _session, which serves one image at a time; held by values
        self.values([np.zeros(_shape(1)[2:], np.uint8)])

    @property
    def engine_status(self) -> str:
        """See :class:`emotion_ros.inference.ort_session.Session`."""
        return self._session.engine_status

    def __call__(self, image: Image, faces: Sequence[Points]) -> list[float | None]:
        """Return the mean height of the upper lids of each face above the corners of the eyes, in eye widths.

        Args:
            image: BGR, uint8, height × width × 3; is only read.
            faces: landmarks of each, 70 × 2 pixels, or none.

        Returns:
            None for a face without landmarks, whose eyes are narrower than :data:`MIN_EYE_WIDTH_PX`, or whose height is
            not finite.
        """
        large = [len(points) == FACE_POINTS and eye_width(points) >= MIN_EYE_WIDTH_PX for points in faces]
        heights = iter(self.lid_heights(image, [each for each, is_large in zip(faces, large, strict=True) if is_large]))
        found = [next(heights) if is_large else math.nan for is_large in large]
        return [height if math.isfinite(height) else None for height in found]

    def lid_heights(self, image: Image, faces: Sequence[Points]) -> list[float]:
        """Return the mean height of the upper lids of faces with landmarks, 70 × 2 pixels, whatever their size."""
        crops = [crop.network_pixels(image) for points in faces for crop in crops_of_eyes(points)]
        return self.values(crops)[:, UPPER_LID].reshape(-1, 2).mean(1).tolist()  # type: ignore[no-any-return]

    def values(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Return the network's output for crops of eyes, grey, uint8, 32 × 32, n × 4."""
        rows = [np.empty((0, 4), np.float32)]
        for first in range(0, len(crops), MAX_EYES):
            pixels = np.stack(crops[first : first + MAX_EYES])[:, None].astype(np.float32)
            with self._lock:
                rows.append(np.asarray(self._session.run(["eyes"], {"pixels": pixels})[0], np.float32))
        return np.concatenate(rows)


def _shape(eyes: int) -> tuple[int, int, int, int]:
    return eyes, 1, CROP_SIZE_PX, CROP_SIZE_PX
