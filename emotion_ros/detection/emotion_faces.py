"""Faces by the detector of this package, which is trained by ``emotion-ros train-detector``."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort

from emotion_ros.detection.cells import STRIDES, find
from emotion_ros.detection.rows import face, kept
from emotion_ros.errors import ModelError
from emotion_ros.inference.providers import Shapes
from emotion_ros.inference.session import default_cache, metadata, open_session, read
from emotion_ros.types import Face, Image

KIND = "faces"
"""What the metadata of a model that finds faces say under ``kind``."""

STEP = STRIDES[-1]
"""Width and height of what the network sees are multiples of it."""

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
        self.detect(np.zeros((480, 640, 3), np.uint8), 0.5, 1)

    @property
    def provider(self) -> str:
        """See :class:`emotion_ros.inference.session.Session`."""
        return self._session.provider

    def wait(self) -> None:
        """See :class:`emotion_ros.inference.session.Session`."""
        self._session.wait()

    @property
    def engine(self) -> str:
        """See :class:`emotion_ros.inference.session.Session`."""
        return self._session.engine

    def detect(self, image: Image, confidence: float, minimum: float) -> list[Face]:
        """See :class:`emotion_ros.detection.FaceDetector`."""
        height, width = image.shape[:2]
        scale = min(1.0, self._longest / max(height, width))
        if scale < 1:
            size = (max(round(width * scale), 1), max(round(height * scale), 1))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        bottom, right = -image.shape[0] % STEP, -image.shape[1] % STEP
        if bottom or right:
            image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT)  # type: ignore[assignment]
        with self._lock:
            values = self._session.run(["cells"], {"pixels": cv2.dnn.blobFromImage(image)})[0][0]
        rows = find(values, image.shape[0], image.shape[1], max(confidence, LEAST))
        rows[:, :14] /= scale
        return kept((face(row, width, height) for row in rows), minimum)

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
