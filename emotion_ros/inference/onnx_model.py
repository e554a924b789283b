"""A classifier in ONNX, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.inference.ort_session import open_session
from emotion_ros.inference.providers import Shapes

LARGEST_BATCH = 16
"""Faces that a TensorRT engine takes in one run; more are run in pieces."""


class OnnxModel:
    """Normalised pixels to what the model puts out.

    Attributes:
        session: what runs it.
        batch: most pictures of one run.
        channels, size: of the square input.
        metadata: the contract as JSON; None where the file has none.
    """

    def __init__(self, path: Path, content: bytes, provider: str, threads: int, cache: Path) -> None:
        """Load a model; see :class:`emotion_ros.perception.emotion.classifier.EmotionClassifier`.

        Raises:
            ModelError: the content is no ONNX model, or its input is no picture.
            ProviderError: the provider is not available.
        """

        def shapes(session: ort.InferenceSession) -> Shapes:
            _, *shape = _input_shape(path, session.get_inputs())
            return (1, *shape), (2, *shape), (LARGEST_BATCH, *shape)

        self.session = open_session(path, content, provider, threads, cache, shapes)
        self._input = self.session.inputs[0].name
        self.batch, self.channels, self.size, _ = _input_shape(path, self.session.inputs)
        self.metadata = self.session.metadata

    @property
    def provider(self) -> str:
        """See :class:`emotion_ros.inference.ort_session.Session`."""
        return self.session.provider

    @property
    def engine(self) -> str:
        """See :class:`emotion_ros.inference.ort_session.Session`."""
        return self.session.engine

    def wait(self) -> None:
        """See :class:`emotion_ros.inference.ort_session.Session`."""
        self.session.wait()

    def run(self, pixels: NDArray[np.float32], output: int = 0) -> NDArray[np.float32]:
        """One of the outputs, n × labels, for pixels of n × channels × size × size; n at most ``batch``."""
        name = self.session.outputs[output].name
        return np.asarray(self.session.run([name], {self._input: pixels})[0], np.float32)


def _input_shape(path: Path, inputs: Sequence[Any]) -> tuple[int, int, int, int]:
    """Largest batch, channels, height and width of the square input."""
    shape = inputs[0].shape
    square = len(shape) == 4 and shape[1] in (1, 3) and isinstance(shape[2], int) and shape[2] == shape[3]
    if len(inputs) != 1 or not square:
        raise ModelError(
            f"{path}: expected one input of batch × 1 or 3 × side × side, the model takes "
            f"{' and '.join(str(each.shape) for each in inputs)}"
        )
    return (shape[0] if isinstance(shape[0], int) else LARGEST_BATCH), shape[1], shape[2], shape[3]
