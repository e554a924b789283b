"""Emotion classifier: a model file, its metadata and the session that runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.inference.cache_folder import default_cache
from emotion_ros.inference.onnx_model import OnnxModel
from emotion_ros.inference.ort_session import read_model_file
from emotion_ros.inference.tflite_model import TfliteModel
from emotion_ros.perception.emotion.metadata import ModelMetadata, jetson_inference
from emotion_ros.perception.emotion.preprocess import to_input
from emotion_ros.types import Image

MODEL_FORMATS: dict[str, type[OnnxModel] | type[TfliteModel]] = {".onnx": OnnxModel, ".tflite": TfliteModel}
"""Suffix of a model file to the class that runs it; a file with another suffix is read as ONNX."""

MAX_SUM_ERROR = 1e-3
"""Largest distance of an output's sum from 1 at which the output is taken for probabilities."""


class EmotionClassifier:
    """Face crops to probabilities of emotions.

    Attributes:
        metadata: how the model is fed and read.
        name: file name without suffix and the first eight hexadecimal digits of the file's SHA-256, such as
            ``emotion_resnet18@1f0c9a2b``.
    """

    def __init__(
        self,
        path: Path,
        provider: str = "auto",
        threads: int = 0,
        cache: Path | None = None,
        labels: Path | None = None,
        prior: Mapping[str, float] | None = None,
    ) -> None:
        """Load a model and run it once.

        Args:
            path: the ONNX or TFLite file.
            provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
            threads: number of threads on a CPU; 0: ONNX Runtime's choice.
            cache: folder for TensorRT engines; None: the default one.
            labels: file of labels of a model without metadata; None: labels.txt in the folder of the model.
            prior: replaces the metadata's, see :class:`emotion_ros.perception.emotion.metadata.ModelMetadata`.

        Raises:
            ModelError: the file is missing, is not a model, or contradicts its metadata; the prior has other labels.
            ProviderError: the provider is not available.
        """
        content = read_model_file(path)
        self.name = f"{path.stem}@{hashlib.sha256(content).hexdigest()[:8]}"
        kind = MODEL_FORMATS.get(path.suffix, OnnxModel)
        self._session = kind(path, content, provider, threads, cache or default_cache())
        self.metadata = self._read_metadata(path, labels)
        if prior is not None:
            self.metadata = replace(self.metadata, prior=prior)
        self._prior = np.array(self.metadata.class_weights, np.float32)
        self._check(path)

    @property
    def provider(self) -> str:
        """Execution provider in use: ``tensorrt``, ``cuda`` or ``cpu``."""
        return self._session.provider

    @property
    def engine_status(self) -> str:
        """State of the TensorRT engine build; empty if the engine runs or none was requested."""
        return self._session.engine_status

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Wait until a TensorRT engine build that runs in the background has ended, or for ``timeout`` seconds."""
        self._session.wait_until_ready(timeout)

    def classify(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Return the probabilities of each crop, n × labels, float32; each row sums to 1.

        Args:
            crops: BGR, uint8, of any size; they show the metadata's region.

        Raises:
            ModelError: the model's output is not finite.
        """
        metadata = self.metadata
        if not crops:
            return np.zeros((0, len(metadata.labels)), np.float32)
        outputs = self._run(to_input(crops, metadata.size, metadata.color, metadata.mean, metadata.std))
        if not np.isfinite(outputs).all():
            raise ModelError(f"{self.name}: expected finite outputs, got NaN or infinity; export the model again")
        probabilities = outputs if metadata.activated else _softmax(outputs / np.float32(metadata.temperature))
        weighted = probabilities * self._prior
        return weighted / weighted.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    def _run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        batch = self._session.max_batch
        outputs = [self._session.run(pixels[start : start + batch]) for start in range(0, len(pixels), batch)]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def _read_metadata(self, path: Path, labels: Path | None) -> ModelMetadata:
        if self._session.metadata:
            return ModelMetadata.from_json(self._session.metadata, path)
        return jetson_inference(path, labels, self._session.size, self._gives_probabilities())

    def _gives_probabilities(self) -> bool:
        """Return True if the outputs for noise are not negative and sum to 1."""
        shape = (min(self._session.max_batch, 2), self._session.channels, self._session.size, self._session.size)
        outputs = self._run(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
        return bool((outputs >= 0).all() and np.allclose(outputs.sum(1), 1, atol=MAX_SUM_ERROR))

    def _check(self, path: Path) -> None:
        metadata, channels, size = self.metadata, self._session.channels, self._session.size
        if (channels, size) != (metadata.channels, metadata.size):
            raise ModelError(
                f"{path}: its metadata give an input of {metadata.channels} × {metadata.size} × {metadata.size}, the "
                f"model takes {channels} × {size} × {size}; export the model again"
            )
        black = np.zeros((size, size, 3), np.uint8)
        outputs = self._run(to_input([black], size, metadata.color, metadata.mean, metadata.std)).shape[1]
        if outputs != len(metadata.labels):
            raise ModelError(f"{path}: expected one output per label ({len(metadata.labels)}), the model has {outputs}")
        self.classify([black])  # raises if the output is not finite


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]
