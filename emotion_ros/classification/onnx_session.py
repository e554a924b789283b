"""A classifier in ONNX, run by ONNX Runtime."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.classification.contract import METADATA_KEY
from emotion_ros.classification.providers import LARGEST_BATCH, PROVIDERS, plan_providers
from emotion_ros.errors import ModelError


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
        self._session = _session(path, content, provider, threads, cache)
        self.provider = next(ours for ours, name in PROVIDERS.items() if name == self._session.get_providers()[0])
        self._input = self._session.get_inputs()[0].name
        self.batch, self.channels, self.size = _input_shape(path, self._session)
        self.metadata: str | None = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)

    def run(self, pixels: NDArray[np.float32], output: int = 0) -> NDArray[np.float32]:
        """One of the outputs, n × labels, for pixels of n × channels × size × size; n at most ``batch``."""
        name = self._session.get_outputs()[output].name
        return np.asarray(self._session.run([name], {self._input: pixels})[0], np.float32)


def _session(path: Path, content: bytes, provider: str, threads: int, cache: Path) -> ort.InferenceSession:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    try:
        first = ort.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base but this
        reason = str(error).strip().splitlines()[0][:200]
        raise ModelError(f"{path}: expected an ONNX model that ONNX Runtime can load: {reason}") from error
    _input_shape(path, first)
    about = first.get_inputs()[0]
    digest = hashlib.sha256(content).hexdigest()[:16]
    plan = plan_providers(
        provider, ort.get_available_providers(), cache, digest, platform.node(), about.name, about.shape[1:]
    )
    if [name for name, _ in plan] == ["CPUExecutionProvider"]:
        return first
    for _, options in plan:
        if "trt_engine_cache_path" in options:
            Path(options["trt_engine_cache_path"]).mkdir(parents=True, exist_ok=True)
    return ort.InferenceSession(content, settings, providers=plan)


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
