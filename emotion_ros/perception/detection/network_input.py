"""Images as the detection networks of this package take them, and the metadata of their files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.inference.cache_folder import default_cache
from emotion_ros.inference.ort_session import Session, open_session, read_metadata, read_model_file
from emotion_ros.inference.providers import ShapeProfile
from emotion_ros.perception.detection.cells import STRIDES
from emotion_ros.types import Image

INPUT_STEP_PX = STRIDES[-1]
"""Width and height of a network's input are multiples of this."""


class NetworkInput:
    """Converts images into a buffer that the next image overwrites. Not thread-safe."""

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.float32)

    def __call__(self, image: Image) -> NDArray[np.float32]:
        """Return 1 × 3 × height × width, float32, BGR of 0…255, padded with black to multiples of 32."""
        height, width = image.shape[:2]
        shape = 1, 3, padded(height), padded(width)
        count = math.prod(shape)
        if len(self._buffer) < count:
            self._buffer = np.empty(count, np.float32)
        pixels = self._buffer[:count].reshape(shape)
        pixels[:, :, height:], pixels[:, :, :, width:] = 0, 0
        for plane, values in zip(pixels[0], cv2.split(image), strict=True):
            plane[:height, :width] = values
        return pixels


def padded(side: int) -> int:
    """Return the next multiple of :data:`INPUT_STEP_PX`."""
    return -(-side // INPUT_STEP_PX) * INPUT_STEP_PX


def open_network(
    model: Path, provider: str, threads: int, kind: str, names: tuple[str, str], profile: ShapeProfile
) -> Session:
    """Open a model file of this package.

    Args:
        model: the ONNX file.
        provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
        threads: CPU threads; 0: ONNX Runtime's choice.
        kind: value of ``kind`` in its metadata.
        names: of its input and of its output.
        profile: shapes of its input.

    Raises:
        ModelError: the file is missing, or is no such model.
        ProviderError: the provider is not available.
    """

    def profile_of(session: ort.InferenceSession) -> ShapeProfile:
        check_network(model, session, kind, names, profile)
        return profile

    return open_session(model, read_model_file(model), provider, threads, default_cache(), profile_of)


def check_network(
    model: Path, session: ort.InferenceSession, kind: str, names: tuple[str, str], profile: ShapeProfile
) -> None:
    """Check that a file is a network of this package; the arguments are those of :func:`open_network`.

    Raises:
        ModelError: it is of another kind, or takes images of another size.
    """
    actual = tuple(tensor.name for tensor in (*session.get_inputs(), *session.get_outputs()))
    if not metadata_of_kind(session, kind) or actual != names:
        raise ModelError(
            f"{model}: expected a model of this package of the kind {kind}, got one of another kind with "
            f"{', '.join(actual)}; make one with emotion-ros export"
        )
    shape = session.get_inputs()[0].shape
    if any(isinstance(has, int) and has != wanted for has, wanted in zip(shape[1:], profile[0][1:], strict=True)):
        raise ModelError(
            f"{model}: expected an input of n × {' × '.join(map(str, profile[0][1:]))}, it has "
            f"{' × '.join(map(str, shape))}; another version of this package made it: train it again"
        )


def metadata_of_kind(session: ort.InferenceSession, kind: str) -> dict[str, Any]:
    """Return the metadata of a detection model of this package; empty if it is of another kind or has none."""
    try:
        content = json.loads(read_metadata(session) or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) and content.get("kind") == kind else {}


def read_metadata_of_kind(path: Path, *kinds: str) -> dict[str, Any]:
    """Return the metadata of a detection model's file; empty if it is of none of the kinds, or cannot be read."""
    try:
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception:  # ONNX Runtime's exceptions have no other common base
        return {}
    return next((found for kind in kinds if (found := metadata_of_kind(session, kind))), {})
