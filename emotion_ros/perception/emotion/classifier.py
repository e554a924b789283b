"""The emotion classifier: a model file, its contract, and the session that runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.inference.cache_folder import default_cache
from emotion_ros.inference.onnx_model import OnnxModel
from emotion_ros.inference.ort_session import read_model_file
from emotion_ros.inference.tflite_model import TfliteModel
from emotion_ros.perception.emotion import metadata as contracts
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.perception.emotion.preprocess import to_input
from emotion_ros.types import Image

MODEL_FORMATS: dict[str, type[OnnxModel] | type[TfliteModel]] = {".onnx": OnnxModel, ".tflite": TfliteModel}
"""Ending of a model file to what runs it; a file with any other ending is taken for ONNX."""


class EmotionClassifier:
    """Crops to probabilities.

    Attributes:
        contract: what the model says of itself.
        name: file name without ending and the first eight digits of the SHA-256, as in ``emotion_resnet18@1f0c9a2b``.
    """

    def __init__(
        self,
        path: Path,
        provider: str = "auto",
        threads: int = 0,
        cache: Path | None = None,
        labels: Path | None = None,
    ) -> None:
        """Load a model and run it once.

        Args:
            path: the ONNX or TFLite file.
            provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
            threads: on a CPU; 0 lets ONNX Runtime choose.
            cache: folder for TensorRT engines.
            labels: labels.txt of a model without a contract; None: the one beside it.

        Raises:
            ModelError: the file is missing, is no model, or contradicts its contract.
            ProviderError: the provider is not available.
        """
        content = read_model_file(path)
        self.name = f"{path.stem}@{hashlib.sha256(content).hexdigest()[:8]}"
        kind = MODEL_FORMATS.get(path.suffix, OnnxModel)
        self._session = kind(path, content, provider, threads, cache or default_cache())
        self.contract = self._contract(path, labels)
        self._check(path)

    @property
    def provider(self) -> str:
        """The execution provider that runs it now: ``tensorrt``, ``cuda`` or ``cpu``."""
        return self._session.provider

    @property
    def engine_status(self) -> str:
        """How its TensorRT engine fares; empty where it runs, or where none was asked for."""
        return self._session.engine_status

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Until it runs on what it will go on running on: an engine may be in the making."""
        self._session.wait_until_ready(timeout)

    def classify(self, crops: Sequence[Image], taught_by: str = "") -> NDArray[np.float32]:
        """Probabilities of each crop (BGR, any size), n × labels, float32, each row sums to 1.

        Args:
            crops: what the contract's region shows.
            taught_by: which of the contract's ``outputs``; the first where it has no such.

        Raises:
            ModelError: the model's outputs are no finite numbers.
        """
        if not crops:
            return np.zeros((0, len(self.contract.labels)), np.float32)
        about = self.contract
        output = about.outputs.index(taught_by) if taught_by in about.outputs else 0
        logits = self._run(to_input(crops, about.size, about.color, about.mean, about.std), output)
        if not np.isfinite(logits).all():
            raise ModelError(f"{self.name}: expected finite outputs, got NaN or infinity; export the model anew")
        return logits if about.activated else _softmax(logits / np.float32(about.temperature))

    def _run(self, pixels: NDArray[np.float32], output: int = 0) -> NDArray[np.float32]:
        batch = self._session.max_batch
        outputs = [self._session.run(pixels[i : i + batch], output) for i in range(0, len(pixels), batch)]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def _contract(self, path: Path, labels: Path | None) -> ModelMetadata:
        if self._session.metadata:
            return ModelMetadata.from_json(self._session.metadata, path)
        return contracts.jetson_inference(path, labels, self._session.size, self._activated())

    def _activated(self) -> bool:
        """Whether the outputs are probabilities already, seen on a warm-up run."""
        shape = (min(self._session.max_batch, 2), self._session.channels, self._session.size, self._session.size)
        outputs = self._run(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
        return bool((outputs >= 0).all() and np.allclose(outputs.sum(1), 1, atol=1e-3))

    def _check(self, path: Path) -> None:
        about, channels, size = self.contract, self._session.channels, self._session.size
        if (channels, size) != (about.channels, about.size):
            raise ModelError(
                f"{path}: its contract says {about.channels} × {about.size} × {about.size}, its input takes "
                f"{channels} × {size} × {size}; export it anew"
            )
        outputs = self.classify([np.zeros((size, size, 3), np.uint8)]).shape[1]
        if outputs != len(about.labels):
            raise ModelError(f"{path}: expected one output per label ({len(about.labels)}), the model has {outputs}")


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]
