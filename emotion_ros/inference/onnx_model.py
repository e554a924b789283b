"""Runs a classifier in ONNX with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.inference.ort_session import first_line, open_session
from emotion_ros.inference.providers import ShapeProfile

MAX_BATCH = 16
"""Largest batch for which a TensorRT engine is built; the caller splits larger ones."""


class OnnxModel:
    """A classifier from normalised pixels to logits.

    Attributes:
        max_batch: maximum images per run.
        channels, size: of the input, ``max_batch`` × channels × size × size.
        metadata: the model's description as JSON; None if the file has none.
    """

    def __init__(self, path: Path, content: bytes, provider: str, threads: int, cache: Path) -> None:
        """Load a model; for the arguments see :func:`emotion_ros.inference.ort_session.open_session`.

        Raises:
            ModelError: the content is not an ONNX model, or its input is not a square image.
            ProviderError: the provider is not available.
        """

        def profile_of(session: ort.InferenceSession) -> ShapeProfile:
            _, *shape = _input_shape(path, session.get_inputs())
            return (1, *shape), (2, *shape), (MAX_BATCH, *shape)

        self._path = path
        self._session = open_session(path, content, provider, threads, cache, profile_of)
        self._input = self._session.inputs[0].name
        self.max_batch, self.channels, self.size, _ = _input_shape(path, self._session.inputs)
        self.metadata = self._session.metadata

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

    def run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the model's first output, n × labels, float32.

        Args:
            pixels: n × channels × size × size; n at most ``max_batch``.

        Raises:
            ModelError: the model cannot be run with this input.
        """
        name = self._session.outputs[0].name
        try:
            return np.asarray(self._session.run([name], {self._input: pixels})[0], np.float32)
        except Exception as error:  # ONNX Runtime's exceptions have no common type but this
            raise ModelError(f"{self._path}: expected a model that runs, got: {first_line(error)}") from error


def _input_shape(path: Path, inputs: Sequence[Any]) -> tuple[int, int, int, int]:
    """Return maximum batch, channels, height and width of the square input."""
    shape = inputs[0].shape
    square = len(shape) == 4 and shape[1] in (1, 3) and isinstance(shape[2], int) and shape[2] == shape[3]
    if len(inputs) != 1 or not square or any(isinstance(each, int) and each <= 0 for each in shape):
        raise ModelError(
            f"{path}: expected one input of batch × 1 or 3 × side × side, the model takes "
            f"{' and '.join(str(model_input.shape) for model_input in inputs)}"
        )
    return (shape[0] if isinstance(shape[0], int) else MAX_BATCH), shape[1], shape[2], shape[3]
