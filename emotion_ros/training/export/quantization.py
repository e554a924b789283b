"""Quantization of an ONNX model from float32 to int8, with the accuracy before and after.

Weights are quantized to 7 bits (−64…64). Processors with AVX2 but without VNNI multiply pairs of uint8 activations and
int8 weights and add each pair in int16 (``vpmaddubsw``): two products of up to 255 · 127 saturate there, and the model
gives other answers than on other processors. With 7 bits a pair is at most 2 · 255 · 64 = 32,640 and fits.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from emotion_ros.errors import ModelError, OutputError
from emotion_ros.io.atomic_file import replacing
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.emotion.preprocess import normalise
from emotion_ros.training.data.datasets import Samples, check_classes, read_split, read_splits
from emotion_ros.training.evaluation.classifier_evaluation import probabilities, view_of

CALIBRATION_PICTURES = 500
"""Training pictures, evenly spaced, from which the range of each layer's activations is taken."""

BATCH_SIZE = 50
"""Pictures per run of the calibration."""

TIMED_RUNS = 40
"""Runs of one picture whose median is the latency."""

TIMED_PICTURE_SIZE_PX = 128

QUANTIZING_OPERATORS = {"QuantizeLinear", "DynamicQuantizeLinear"}
"""ONNX operators of which a model in int8 has one: static or dynamic."""


@dataclass(frozen=True)
class QuantizationResult:
    """A model before and after quantization.

    Attributes:
        size: bytes of the file.
        accuracy: data set to the accuracies on the classes of its val split, 0…1.
        milliseconds: median latency of one picture.
    """

    size: tuple[int, int]
    accuracy: Mapping[str, tuple[float, float]]
    milliseconds: tuple[float, float]

    @property
    def drop(self) -> float:
        """Largest loss of accuracy on a data set in percentage points; negative if the int8 model is better."""
        return max(100 * (before - after) for before, after in self.accuracy.values())


def quantize(
    model: Path, data: Mapping[str, Path], output: Path, kind: str, max_drop: float, crop: str = "auto"
) -> QuantizationResult:
    """Write an int8 copy of a model, with its metadata.

    Args:
        model: ONNX file in float32.
        data: the training data by name; train gives the ranges of activations, val the accuracy.
        output: the new file.
        kind: ``static`` (weights per channel, and activations, as QDQ nodes) or ``dynamic`` (weights; activations at
            run time), which suits transformers.
        max_drop: accepted loss of accuracy on val of each data set, in percentage points.
        crop: see :class:`emotion_ros.training.data.region_crop.View`.

    Returns:
        Size, accuracy and latency before and after.

    Raises:
        ModelError: the model cannot be used, or loses more than ``max_drop``; nothing is written then.
        DatasetError: the data cannot be used.
        OutputError: the file cannot be written.
    """
    before = EmotionClassifier(model, "cpu")
    if any(node.op_type in QUANTIZING_OPERATORS for node in onnx.load(str(model)).graph.node):
        raise ModelError(f"{model}: expected a model in float32, it is in int8 already")
    view = view_of(before.metadata, crop)
    held_out = {name: read_split(path, "val", view) for name, path in data.items()}
    for name, samples in held_out.items():
        check_classes(f"{name}, val", samples.labels, before.metadata.labels)
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / output.name
        _quantize(model, quantized, kind, lambda: _calibration(before, read_splits([*data.values()], "train", view)))
        after = EmotionClassifier(quantized, "cpu")
        result = QuantizationResult(
            (model.stat().st_size, quantized.stat().st_size),
            {name: (_accuracy(before, samples), _accuracy(after, samples)) for name, samples in held_out.items()},
            _latencies(before, after),
        )
        if result.drop > max_drop:
            raise ModelError(
                f"{model}: expected int8 to lose at most {max_drop} points, it loses {result.drop:.2f}; nothing was "
                f"written. Try --kind {'dynamic' if kind == 'static' else 'static'}, or accept more with --max-drop"
            )
        _copy(quantized, output)
    return result


class _CalibrationReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, input_name: str, pixels: NDArray[np.float32]) -> None:
        starts = range(0, len(pixels), BATCH_SIZE)
        self._batches = iter([{input_name: pixels[start : start + BATCH_SIZE]} for start in starts])

    def get_next(self) -> Any:
        return next(self._batches, None)


def _quantize(model: Path, output: Path, kind: str, calibration: Callable[[], NDArray[np.float32]]) -> None:
    weights: dict[str, Any] = {"weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": True}
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
        if kind == "dynamic":
            quantize_dynamic(str(prepared), str(output), **weights)
        else:
            reader = _CalibrationReader(onnx.load(str(prepared)).graph.input[0].name, calibration())
            quantize_static(
                str(prepared),
                str(output),
                reader,
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                calibrate_method=CalibrationMethod.MinMax,
                **weights,
            )
    _copy_metadata(model, output)


def _calibration(classifier: EmotionClassifier, samples: Samples) -> NDArray[np.float32]:
    """Return normalised training pictures, n × channels × size × size."""
    metadata = classifier.metadata
    chosen = np.unique(np.linspace(0, len(samples) - 1, CALIBRATION_PICTURES).astype(int))
    pixels = samples.pixels[chosen].astype(np.float32)
    return np.asarray(normalise(pixels, metadata.mean, metadata.std), np.float32)


def _copy_metadata(model: Path, quantized: Path) -> None:
    file = onnx.load(str(quantized))
    properties = onnx.load(str(model), load_external_data=False).metadata_props
    onnx.helper.set_model_props(file, {item.key: item.value for item in properties})
    onnx.save(file, str(quantized))


def _accuracy(classifier: EmotionClassifier, samples: Samples) -> float:
    order = [classifier.metadata.labels.index(label) for label in samples.labels]
    return float((probabilities(classifier, samples)[:, order].argmax(1) == samples.classes).mean())


def _latencies(*classifiers: EmotionClassifier) -> tuple[float, float]:
    """Return the median milliseconds of two classifiers, run in turns so that other load affects both alike."""
    picture = np.zeros((TIMED_PICTURE_SIZE_PX, TIMED_PICTURE_SIZE_PX, 3), np.uint8)
    times: list[list[float]] = [[] for _ in classifiers]
    for _ in range(TIMED_RUNS):
        for classifier, spans in zip(classifiers, times, strict=True):
            start = time.perf_counter()
            classifier.classify([picture])
            spans.append(time.perf_counter() - start)
    before, after = (1000 * float(np.median(spans)) for spans in times)
    return before, after


def _copy(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as partial:
            shutil.copyfile(source, partial)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror}") from error
