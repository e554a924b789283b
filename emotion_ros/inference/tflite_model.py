"""A classifier in TensorFlow Lite, run by LiteRT: what a microcontroller gets, tried on a computer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import ModelError, ProviderError
from emotion_ros.inference.ort_session import METADATA_KEY


class TfliteModel:
    """Normalised pixels to what the model puts out; the same interface as
    :class:`emotion_ros.inference.onnx_model.OnnxModel`.

    An int8 model gets and gives int8: what goes in and out is scaled as its file says.
    """

    provider, engine = "cpu", ""
    batch = 1

    def __init__(self, path: Path, content: bytes, provider: str, threads: int, cache: Path) -> None:
        """Load a model.

        Raises:
            ModelError: the content is no TFLite model, its input is no picture, or LiteRT is not installed.
            ProviderError: another provider than the CPU is asked for.
        """
        if provider not in ("auto", "cpu"):
            raise ProviderError(f"provider: a TFLite model runs on the CPU only, got {provider!r}; export it as ONNX")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ModelError(
                f"{path}: LiteRT, which runs TFLite models, is missing: pip install ai-edge-litert"
            ) from error
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads or None)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = (str(error).strip() or "it is broken").splitlines()[0][:200]
            raise ModelError(f"{path}: expected a TFLite model that LiteRT can load: {reason}") from error
        inputs = self._interpreter.get_input_details()
        shape = tuple(int(side) for side in inputs[0]["shape"])
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != shape[2] or shape[3] not in (1, 3):
            raise ModelError(f"{path}: expected one input of 1 × side × side × 1 or 3, the model takes {shape}")
        self.size, self.channels = shape[1], shape[3]
        self._input, self._outputs = inputs[0], self._interpreter.get_output_details()
        self.metadata = _metadata(content)

    def wait(self) -> None:
        """It runs."""

    def run(self, pixels: NDArray[np.float32], output: int = 0) -> NDArray[np.float32]:
        """One of the outputs, 1 × labels, for pixels of 1 × channels × size × size."""
        self._interpreter.set_tensor(self._input["index"], _quantized(pixels.transpose(0, 2, 3, 1), self._input))
        self._interpreter.invoke()
        return _real(self._interpreter.get_tensor(self._outputs[output]["index"]), self._outputs[output])


def _quantized(values: NDArray[np.float32], tensor: dict[str, Any]) -> NDArray[Any]:
    scale, zero = tensor["quantization"]
    if not scale:
        return values
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.rint(values / scale) + zero, limits.min, limits.max).astype(tensor["dtype"])  # type: ignore[no-any-return]


def _real(values: NDArray[Any], tensor: dict[str, Any]) -> NDArray[np.float32]:
    scale, zero = tensor["quantization"]
    return ((values.astype(np.float32) - zero) * scale).astype(np.float32) if scale else values


def _metadata(content: bytes) -> str | None:
    """The contract in the file's metadata."""
    from ai_edge_litert.schema_py_generated import Model

    model = Model.GetRootAs(content)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == METADATA_KEY.encode():
            return bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).decode()
    return None
