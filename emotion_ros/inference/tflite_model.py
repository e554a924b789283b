"""Runs a classifier in TensorFlow Lite with LiteRT: a microcontroller's model on a computer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import ModelError, ProviderError
from emotion_ros.inference.ort_session import MAX_REASON_CHARACTERS, METADATA_KEY


class TfliteModel:
    """A classifier from normalised pixels to logits, with the interface of
    :class:`emotion_ros.inference.onnx_model.OnnxModel`.

    Inputs and outputs of an int8 model are converted with scale and zero point of its file.
    """

    provider, engine_status = "cpu", ""
    max_batch = 1

    def __init__(self, path: Path, content: bytes, provider: str, threads: int, cache: Path) -> None:
        """Load a model; for the arguments see :func:`emotion_ros.inference.ort_session.open_session`.

        Raises:
            ModelError: the content is not a TFLite model, its input is not a square image, or LiteRT is not installed.
            ProviderError: a provider other than the CPU was requested.
        """
        if provider not in ("auto", "cpu"):
            raise ProviderError(f"provider: a TFLite model runs on the CPU only, got {provider!r}; export it as ONNX")
        self._interpreter = _interpreter(path, content, threads)
        inputs = self._interpreter.get_input_details()
        shape = tuple(int(side) for side in inputs[0]["shape"])
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != shape[2] or shape[3] not in (1, 3):
            raise ModelError(f"{path}: expected one input of 1 × side × side × 1 or 3, the model takes {shape}")
        self.size, self.channels = shape[1], shape[3]
        self._input, self._outputs = inputs[0], self._interpreter.get_output_details()
        self.metadata = _read_metadata(content)

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Return at once: a TFLite model needs no engine."""

    def run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the model's first output, 1 × labels, float32.

        Args:
            pixels: 1 × channels × size × size.
        """
        self._interpreter.set_tensor(self._input["index"], _quantize(pixels.transpose(0, 2, 3, 1), self._input))
        self._interpreter.invoke()
        return _dequantize(self._interpreter.get_tensor(self._outputs[0]["index"]), self._outputs[0])


def _interpreter(path: Path, content: bytes, threads: int) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ModelError(
            f"{path}: expected LiteRT to run this TFLite model, it is not installed ({error}); "
            "pip install ai-edge-litert, or use an ONNX model"
        ) from error
    try:
        interpreter = Interpreter(model_content=content, num_threads=threads or None)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = (str(error).strip() or "it is broken").splitlines()[0][:MAX_REASON_CHARACTERS]
        raise ModelError(f"{path}: expected a TFLite model that LiteRT can load: {reason}") from error
    return interpreter


def _quantize(values: NDArray[np.float32], tensor: dict[str, Any]) -> NDArray[Any]:
    scale, zero = tensor["quantization"]
    if not scale:  # a float model
        return values
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.rint(values / scale) + zero, limits.min, limits.max).astype(tensor["dtype"])  # type: ignore[no-any-return]


def _dequantize(values: NDArray[Any], tensor: dict[str, Any]) -> NDArray[np.float32]:
    scale, zero = tensor["quantization"]
    return ((values.astype(np.float32) - zero) * scale).astype(np.float32) if scale else values


def _read_metadata(content: bytes) -> str | None:
    """Return the JSON under :data:`METADATA_KEY` in the file's metadata buffers; None if it has none."""
    from ai_edge_litert.schema_py_generated import Model

    model = Model.GetRootAs(content)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == METADATA_KEY.encode():
            return bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).decode()
    return None
