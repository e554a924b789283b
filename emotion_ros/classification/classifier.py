"""The emotion classifier: an ONNX file, its contract, and the session that runs it."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.classification import contract as contracts
from emotion_ros.classification.contract import METADATA_KEY, Contract
from emotion_ros.classification.preprocess import to_input
from emotion_ros.classification.providers import LARGEST_BATCH, PROVIDERS, plan_providers
from emotion_ros.errors import ModelError
from emotion_ros.types import Image


def default_cache() -> Path:
    """Where TensorRT engines are kept: ``$XDG_CACHE_HOME/emotion_ros`` or ``~/.cache/emotion_ros``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emotion_ros"


class EmotionClassifier:
    """Crops to probabilities.

    Attributes:
        contract: what the model says of itself.
        name: file name without ending and the first eight digits of the SHA-256, as in ``emotion_resnet18@1f0c9a2b``.
        provider: the execution provider that runs it: ``tensorrt``, ``cuda`` or ``cpu``.
    """

    def __init__(self, path: Path, provider: str = "auto", threads: int = 0, cache: Path | None = None) -> None:
        """Load a model and run it once.

        Args:
            path: the ONNX file.
            provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
            threads: of the CPU provider; 0 lets ONNX Runtime choose.
            cache: folder for TensorRT engines.

        Raises:
            ModelError: the file is missing, is no ONNX model, or contradicts its contract.
            ProviderError: the provider is not available.
        """
        content = _read(path)
        digest = hashlib.sha256(content).hexdigest()
        self.name = f"{path.stem}@{digest[:8]}"
        self._session = _session(path, content, provider, threads, cache or default_cache(), digest)
        self.provider = next(ours for ours, name in PROVIDERS.items() if name == self._session.get_providers()[0])
        self._input = self._session.get_inputs()[0].name
        self._batch, channels, size = _input_shape(path, self._session)
        self.contract = _contract(path, self._session, size, self._activated(channels, size))
        self._check(path, channels, size)

    def classify(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Probabilities of each crop (BGR, any size), n × labels, float32, each row sums to 1.

        Raises:
            ModelError: the model's outputs are no finite numbers.
        """
        if not crops:
            return np.zeros((0, len(self.contract.labels)), np.float32)
        about = self.contract
        logits = self._run(to_input(crops, about.size, about.color, about.mean, about.std))
        if not np.isfinite(logits).all():
            raise ModelError(f"{self.name}: expected finite outputs, got NaN or infinity; export the model anew")
        return logits if about.activated else _softmax(logits / np.float32(about.temperature))

    def _run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [pixels[i : i + self._batch] for i in range(0, len(pixels), self._batch)]
        outputs = [np.asarray(self._session.run(None, {self._input: part})[0], np.float32) for part in parts]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def _activated(self, channels: int, size: int) -> bool:
        """Whether the outputs are probabilities already, seen on a warm-up run."""
        noise = np.random.default_rng(0).standard_normal((min(self._batch, 2), channels, size, size))
        outputs = self._run(noise.astype(np.float32))
        return bool((outputs >= 0).all() and np.allclose(outputs.sum(1), 1, atol=1e-3))

    def _check(self, path: Path, channels: int, size: int) -> None:
        about = self.contract
        if (channels, size) != (about.channels, about.size):
            raise ModelError(
                f"{path}: its contract says {about.channels} × {about.size} × {about.size}, its input takes "
                f"{channels} × {size} × {size}; export it anew"
            )
        outputs = self.classify([np.zeros((size, size, 3), np.uint8)]).shape[1]
        if outputs != len(about.labels):
            raise ModelError(f"{path}: expected one output per label ({len(about.labels)}), the model has {outputs}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: expected an ONNX model, cannot read it: {error.strerror}") from error


def _session(path: Path, content: bytes, provider: str, threads: int, cache: Path, digest: str) -> ort.InferenceSession:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    try:
        first = ort.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base but this
        raise ModelError(f"{path}: expected an ONNX model that ONNX Runtime can load: {_first_line(error)}") from error
    _input_shape(path, first)
    about = first.get_inputs()[0]
    plan = plan_providers(
        provider, ort.get_available_providers(), cache, digest[:16], platform.node(), about.name, about.shape[1:]
    )
    if [name for name, _ in plan] == ["CPUExecutionProvider"]:
        return first
    for _, options in plan:
        if "trt_engine_cache_path" in options:
            Path(options["trt_engine_cache_path"]).mkdir(parents=True, exist_ok=True)
    return ort.InferenceSession(content, settings, providers=plan)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]


def _input_shape(path: Path, session: ort.InferenceSession) -> tuple[int, int, int]:
    """Largest batch, channels, and side of the square input."""
    shape = session.get_inputs()[0].shape
    square = len(shape) == 4 and shape[1] in (1, 3) and isinstance(shape[2], int) and shape[2] == shape[3]
    if len(session.get_inputs()) != 1 or not square:
        raise ModelError(
            f"{path}: expected one input of batch × 1 or 3 × side × side, the model takes "
            f"{' and '.join(str(each.shape) for each in session.get_inputs())}"
        )
    return (shape[0] if isinstance(shape[0], int) else LARGEST_BATCH), shape[1], shape[2]


def _contract(path: Path, session: ort.InferenceSession, size: int, activated: bool) -> Contract:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    return Contract.from_json(text, path) if text else contracts.jetson_inference(path, size, activated)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]
