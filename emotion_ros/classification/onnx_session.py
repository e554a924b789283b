"""A classifier in ONNX, run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.inference.providers import Shapes
from emotion_ros.inference.session import metadata, open_session, provider_of

LARGEST_BATCH = 16
"""Faces that a TensorRT engine takes in one run; more are run in pieces."""


class OnnxSession:
    """Normalised pixels to what the model puts out.

    Attributes:
        provider: the execution provider that runs it: ``tensorrt``, ``cuda`` or ``cpu``.
        batch: most pictures of one run.
        channels, size: of the square input.
        metadata: the contract as JSON; None where the file has none.
    """

    def __init__(self, path: Path, content: bytes, provider: str, threads: int, cache: Path) -> None:
        """Load a model; the arguments are those of :class:`emotion_ros.classification.classifier.EmotionClassifier`.

        Raises:
            ModelError: the content is no ONNX model, or its input is no picture.
            ProviderError: the provider is not available.
        """

        def shapes(session: ort.InferenceSession) -> Shapes:
            _, *shape = _input_shape(path, session)
            return (1, *shape), (2, *shape), (LARGEST_BATCH, *shape)

        self._session = open_session(path, content, provider, threads, cache, shapes)
        self.provider = provider_of(self._session)
        self._input = self._session.get_inputs()[0].name
        self.batch, self.channels, self.size, _ = _input_shape(path, self._session)
        self.metadata = metadata(self._session)

    def run(self, pixels: NDArray[np.float32], output: int = 0) -> NDArray[np.float32]:
        """One of the outputs, n × labels, for pixels of n × channels × size × size; n at most ``batch``."""
        name = self._session.get_outputs()[output].name
        return np.asarray(self._session.run([name], {self._input: pixels})[0], np.float32)


def _input_shape(path: Path, session: ort.InferenceSession) -> tuple[int, int, int, int]:
    """Largest batch, channels, height and width of the square input."""
    shape = session.get_inputs()[0].shape
    square = len(shape) == 4 and shape[1] in (1, 3) and isinstance(shape[2], int) and shape[2] == shape[3]
    if len(session.get_inputs()) != 1 or not square:
        raise ModelError(
            f"{path}: expected one input of batch × 1 or 3 × side × side, the model takes "
            f"{' and '.join(str(each.shape) for each in session.get_inputs())}"
        )
    return (shape[0] if isinstance(shape[0], int) else LARGEST_BATCH), shape[1], shape[2], shape[3]
