"""Export as int8 TFLite for microcontrollers, checked with LiteRT.

Google's litert-torch converts and its ai-edge-quantizer quantizes. Input and output are int8: pixel − 128, and
256 · probability − 128. Normalisation, prior and softmax are part of the model.
"""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emotion_ros.errors import ModelError, OutputError
from emotion_ros.inference.ort_session import METADATA_KEY
from emotion_ros.io.atomic_file import replacing
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.training.data.datasets import Samples

CALIBRATION_PICTURES = 500
"""Training pictures, evenly spaced, from which the range of each layer's activations is taken."""

MIN_AGREEMENT = 0.85
"""Least share of the calibration pictures on which the int8 file predicts the network's class. Less means a broken
file, or a network whose probabilities are nearly alike, not the loss of eight bits."""

MISSING_LIBRARIES = "TFLite needs more libraries: pip install 'emotion_ros[tinyml]'"


class _PixelsToProbabilities(nn.Module):
    """Pixels of 0…1, 1 × size × size × channels, to probabilities."""

    def __init__(self, network: nn.Module, metadata: ModelMetadata) -> None:
        super().__init__()
        self.network, self.temperature = network, metadata.temperature
        self.mean, self.std = torch.tensor(metadata.mean), torch.tensor(metadata.std)
        self.prior = torch.tensor(metadata.class_weights).log()

    def forward(self, pixels: Tensor) -> Tensor:
        logits = self.network(((pixels - self.mean) / self.std).permute(0, 3, 1, 2))
        return torch.softmax(logits / self.temperature + self.prior, 1)


def write_tflite(network: nn.Module, metadata: ModelMetadata, samples: Samples, output: Path) -> ModelMetadata:
    """Write an int8 model.

    Args:
        network: see :func:`emotion_ros.training.export.classifier_export.prepare`.
        metadata: of the network.
        samples: training pictures.
        output: the .tflite file.

    Returns:
        The metadata as written: the file takes pixels of 0…1 and gives probabilities.

    Raises:
        ModelError: a library is missing, or the int8 model differs from the network too often.
        OutputError: the file cannot be written.
    """
    mean, std = (0.0,) * metadata.channels, (1.0,) * metadata.channels
    written = replace(metadata, mean=mean, std=std, activated=True, temperature=1.0, prior={})
    chosen = np.unique(np.linspace(0, len(samples) - 1, CALIBRATION_PICTURES).astype(int))
    pixels = np.ascontiguousarray(samples.pixels[chosen].transpose(0, 2, 3, 1))
    model = _PixelsToProbabilities(network, metadata).eval()
    content = _with_metadata(_quantized(model, pixels), written.to_json())
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(output) as partial:
            partial.write_bytes(content)
            _compare(model, EmotionClassifier(partial), pixels, metadata)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror}") from error
    return written


def _quantized(model: nn.Module, pixels: NDArray[np.uint8]) -> bytes:
    """Return the model in int8; its input range is that of all pixel values, not that of these pictures."""
    try:
        import litert_torch
        from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
        from ai_edge_quantizer.utils.qsv_utils import min_max_update
    except ImportError as error:
        raise ModelError(f"{MISSING_LIBRARIES} ({error})") from error
    inputs = pixels.astype(np.float32) / 255
    logging.getLogger("litert_torch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        plain = Path(folder) / "float.tflite"
        litert_torch.convert(model, (torch.from_numpy(inputs[:1]),)).export(str(plain))
        recipes = recipe_manager.RecipeManager()
        recipes.load_quantization_recipe(recipe.static_wi8_ai8())
        # The quantizer's own calibration is a moving average, in which the last pictures, of one class, count most.
        calibration = calibrator.Calibrator(str(plain), qsv_update_func=min_max_update)
        calibration.calibrate({"serving_default": [{"args_0": picture[None]} for picture in inputs]}, recipes)
        ranges = calibration.get_model_qsvs()
        first = next(name for name in ranges if name.startswith("serving_default_args_0"))
        ranges[first] = {
            **ranges[first],
            "min": np.zeros_like(ranges[first]["min"]),
            "max": np.ones_like(ranges[first]["max"]),
        }
        return bytes(quantizer.Quantizer(str(plain), recipe.static_wi8_ai8()).quantize(ranges).quantized_model)


def _with_metadata(content: bytes, text: str) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    entry.name, entry.buffer = METADATA_KEY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _compare(model: nn.Module, int8: EmotionClassifier, pixels: NDArray[np.uint8], metadata: ModelMetadata) -> None:
    with torch.no_grad():
        expected = model(torch.from_numpy(pixels.astype(np.float32) / 255)).argmax(1).numpy()
    if metadata.channels == 1:
        pixels = np.repeat(pixels, 3, 3)
    elif metadata.color == "rgb":
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    agreement = float((int8.classify(list(pixels)).argmax(1) == expected).mean())
    if agreement < MIN_AGREEMENT:
        raise ModelError(
            f"expected the int8 model to predict the network's class on {MIN_AGREEMENT:.0%} of the calibration "
            f"pictures, it does on {agreement:.0%}; calibrate with the training data, and train longer if the network "
            f"hardly tells the classes apart"
        )
