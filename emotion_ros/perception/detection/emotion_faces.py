"""Detects faces with the detector of this package, trained by ``emotion-ros train-detector``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.inference.cache_folder import default_cache
from emotion_ros.inference.ort_session import open_session, read_model_file
from emotion_ros.inference.providers import ShapeProfile
from emotion_ros.perception.detection.cells import decode_cells, values_per_cell
from emotion_ros.perception.detection.face_rows import face_from_row, filter_faces
from emotion_ros.perception.detection.image_region import ImageRegion, search_regions
from emotion_ros.perception.detection.network_input import INPUT_STEP_PX, NetworkInput, check_network, padded
from emotion_ros.types import Box, Face, Image

DETECTOR_KIND = "faces"
"""Value of ``kind`` in the metadata of a face detector's model file."""

X_COLUMNS, Y_COLUMNS = (0, 4, 6, 8, 10, 12), (1, 5, 7, 9, 11, 13)
"""Columns of :func:`decode_cells`' rows with x and y coordinates."""

MIN_SCORE = 0.02
"""Lower limit of the minimum confidence; below, nothing is a face."""


class EmotionFaces:
    """Faces with six landmarks: right eye, left eye, nose tip, middle, right and left corner of the mouth.

    Searches only around known faces if that is cheaper. On a GPU it always searches the whole image, so that the
    network's input keeps its shape.
    """

    _MISSING = "emotion_faces: expected its ONNX file, got none; set face_model"

    def __init__(
        self,
        model: Path | None,
        provider: str = "auto",
        threads: int = 0,
        max_side: int = 640,
        cache: Path | None = None,
    ) -> None:
        """Load a model and run it once.

        Args:
            model: the ONNX file.
            provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
            threads: CPU threads; 0: ONNX Runtime's choice.
            max_side: longer side of the network's input in pixels; larger images are scaled down to it.
            cache: folder of TensorRT engines; None: the user's cache folder.

        Raises:
            ModelError: the file is missing, or is not a face detector of this package.
            ProviderError: the provider is not available.
        """
        if model is None:
            raise ModelError(self._MISSING)
        self._max_side = max_side

        def profile_of(session: ort.InferenceSession) -> ShapeProfile:
            self._check_model(model, session)
            return _shape_profile(max_side)

        self._session = open_session(
            model, read_model_file(model), provider, threads, cache or default_cache(), profile_of
        )
        # Guards _to_input and _session: both serve one image at a time. Held by detect while the network runs.
        self._lock = threading.Lock()
        self._to_input = NetworkInput()
        self.detect(np.zeros((480, 640, 3), np.uint8), 0.5, 1)

    @property
    def provider(self) -> str:
        """See :class:`emotion_ros.inference.ort_session.Session`."""
        return self._session.provider

    @property
    def engine_status(self) -> str:
        """See :class:`emotion_ros.inference.ort_session.Session`."""
        return self._session.engine_status

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """See :class:`emotion_ros.inference.ort_session.Session`."""
        self._session.wait_until_ready(timeout)

    def detect(self, image: Image, min_confidence: float, min_size: float, regions: Sequence[Box] = ()) -> list[Face]:
        """See :class:`emotion_ros.perception.detection.FaceDetector`."""
        height, width = image.shape[:2]
        whole = ImageRegion(0, 0, width, height, max(max(height, width) / self._max_side, 1.0))
        parts = search_regions(regions, whole) if self.provider == "cpu" else []
        with self._lock:
            rows = self._search(image, parts, min_confidence)
            if not parts or len(rows) < len(regions):
                rows = self._search(image, [whole], min_confidence)
        return filter_faces((face_from_row(row, width, height) for row in rows), min_size)

    def _search(self, image: Image, regions: Sequence[ImageRegion], min_confidence: float) -> NDArray[np.float32]:
        """Return the rows of :func:`decode_cells` of all regions, in pixels of the image."""
        none = np.empty((0, values_per_cell(5)), np.float32)
        minimum = max(min_confidence, MIN_SCORE)
        return np.concatenate([none, *(self._search_region(image, region, minimum) for region in regions)])

    def _search_region(self, image: Image, region: ImageRegion, min_confidence: float) -> NDArray[np.float32]:
        pixels = self._to_input(region.pixels(image))
        values = self._cells(pixels)
        rows = decode_cells(values, pixels.shape[2], pixels.shape[3], min_confidence)
        rows[:, :14] *= region.downscale
        rows[:, X_COLUMNS] += region.left
        rows[:, Y_COLUMNS] += region.top
        return rows[region.contains(rows, image.shape[1], image.shape[0])]

    def _cells(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network and return the values of all cells, see :mod:`emotion_ros.perception.detection.cells`."""
        values: NDArray[np.float32] = self._session.run(["cells"], {"pixels": pixels})[0][0]
        return values

    def _check_model(self, path: Path, session: ort.InferenceSession) -> None:
        """Raise ModelError if a file is no model of this detector."""
        check_network(path, session, DETECTOR_KIND, ("pixels", "cells"), _shape_profile(self._max_side))

    def close(self) -> None:
        """Do nothing: ONNX Runtime frees its memory with the object."""


def _shape_profile(max_side: int) -> ShapeProfile:
    """Return the shapes for which a TensorRT engine is built; the usual image is 4:3."""
    side = padded(max_side)
    usual_height = side * 3 // 4 // INPUT_STEP_PX * INPUT_STEP_PX
    return (1, 3, INPUT_STEP_PX, INPUT_STEP_PX), (1, 3, usual_height, side), (1, 3, side, side)
