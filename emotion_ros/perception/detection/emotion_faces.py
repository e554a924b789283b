"""Faces by the detector of this package, which is trained by ``emotion-ros train-detector``."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.inference.ort_session import default_cache, metadata, open_session, read
from emotion_ros.inference.providers import Shapes
from emotion_ros.perception.detection.cells import STRIDES, find
from emotion_ros.perception.detection.face_rows import face, kept
from emotion_ros.perception.detection.image_region import ImageRegion, parts
from emotion_ros.types import Box, Face, Image

KIND = "faces"
"""What the metadata of a model that finds faces say under ``kind``."""

STEP = STRIDES[-1]
"""Width and height of what the network sees are multiples of it."""

XS, YS = (0, 4, 6, 8, 10, 12), (1, 5, 7, 9, 11, 13)
"""Columns of what :func:`find` returns that are places in the image."""

LEAST = 0.02
"""Confidence under which nothing is a face, whatever the caller asks for."""


class EmotionFaces:
    """Faces with six landmarks: right eye, left eye, nose tip, middle, right and left corner of the mouth."""

    def __init__(
        self,
        model: Path | None,
        provider: str = "auto",
        threads: int = 0,
        longest: int = 640,
        cache: Path | None = None,
    ) -> None:
        """Load a model and run it once.

        Args:
            model: the ONNX file.
            provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
            threads: on a CPU; 0 lets ONNX Runtime choose.
            longest: side of an image in pixels above which it is shrunk to it before faces are looked for.
            cache: folder for TensorRT engines.

        Raises:
            ModelError: the file is missing, or is no face detector of this package.
            ProviderError: the provider is not available.
        """
        if model is None:
            raise ModelError("emotion_faces: expected its ONNX file, got none")
        self._longest = longest
        side = -(-longest // STEP) * STEP

        def shapes(session: ort.InferenceSession) -> Shapes:
            _check(model, session)
            return (1, 3, STEP, STEP), (1, 3, side * 3 // 4 // STEP * STEP, side), (1, 3, side, side)

        self._session = open_session(model, read(model), provider, threads, cache or default_cache(), shapes)
        self._lock = threading.Lock()
        self._memory = np.empty(0, np.float32)
        self.detect(np.zeros((480, 640, 3), np.uint8), 0.5, 1)

    @property
    def provider(self) -> str:
        """See :class:`emotion_ros.inference.ort_session.Session`."""
        return self._session.provider

    def wait(self) -> None:
        """See :class:`emotion_ros.inference.ort_session.Session`."""
        self._session.wait()

    @property
    def engine(self) -> str:
        """See :class:`emotion_ros.inference.ort_session.Session`."""
        return self._session.engine

    def detect(self, image: Image, confidence: float, minimum: float, near: Sequence[Box] = ()) -> list[Face]:
        """See :class:`emotion_ros.perception.detection.FaceDetector`."""
        height, width = image.shape[:2]
        shrink = max(max(height, width) / self._longest, 1.0)
        whole = ImageRegion(0, 0, width, height, shrink)
        places = parts(near, whole) if self.provider == "cpu" else []  # a GPU likes shapes it knows
        with self._lock:
            rows = self._look(image, places, confidence)
            if not places or len(rows) < len(near):
                rows = self._look(image, [whole], confidence)
        return kept((face(row, width, height) for row in rows), minimum)

    def _look(self, image: Image, places: Sequence[ImageRegion], confidence: float) -> NDArray[np.float32]:
        """Rows of :func:`find` in those parts, in pixels of the image."""
        nothing = np.empty((0, 15), np.float32)
        return np.concatenate([nothing, *(self._part(image, each, max(confidence, LEAST)) for each in places)])

    def _part(self, image: Image, part: ImageRegion, confidence: float) -> NDArray[np.float32]:
        pixels = self._to_input(part.shrunk(image))
        values = self._session.run(["cells"], {"pixels": pixels})[0][0]
        rows = find(values, pixels.shape[2], pixels.shape[3], confidence)
        rows[:, :14] *= part.shrink
        rows[:, XS] += part.left
        rows[:, YS] += part.top
        return rows[part.holds(rows, image.shape[1], image.shape[0])]

    def _to_input(self, image: Image) -> NDArray[np.float32]:
        """1 × 3 × height × width, black up to multiples of 32, in memory that the next call uses again."""
        height, width = image.shape[:2]
        shape = 1, 3, -(-height // STEP) * STEP, -(-width // STEP) * STEP
        count = math.prod(shape)
        if len(self._memory) < count:
            self._memory = np.empty(count, np.float32)
        pixels = self._memory[:count].reshape(shape)
        pixels[:, :, height:], pixels[:, :, :, width:] = 0, 0
        for plane, values in zip(pixels[0], cv2.split(image), strict=True):
            plane[:height, :width] = values
        return pixels

    def close(self) -> None:
        """Nothing to free: ONNX Runtime does it with the object."""


def about_detector(path: Path) -> dict[str, Any]:
    """What a file says of itself, where it is a face detector of this package; else nothing."""
    try:
        return _about(ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]))
    except Exception:  # ONNX Runtime's errors have no common base but this; what the file is, others say
        return {}


def _about(session: ort.InferenceSession) -> dict[str, Any]:
    try:
        content = json.loads(metadata(session) or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) and content.get("kind") == KIND else {}


def _check(path: Path, session: ort.InferenceSession) -> None:
    about, names = metadata(session), [each.name for each in (*session.get_inputs(), *session.get_outputs())]
    if not _about(session) or names != ["pixels", "cells"]:
        raise ModelError(
            f"{path}: expected a face detector of this package (emotion-ros train-detector, export), got a model that "
            f"has {', '.join(names)} and says of itself: {about or 'nothing'}"
        )
