"""From an ONNX model in float32 to one in int8, kept only where it is still right."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
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
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.emotion.preprocess import normalise
from emotion_ros.training.data.datasets import Samples, check_classes, read_split
from emotion_ros.training.evaluation.classifier_evaluation import probabilities, view_of

CALIBRATION = 500
"""Training pictures, spread evenly, that show the range of each layer's values."""

TIMED = 40
"""Runs of one picture whose median is the speed."""


@dataclass(frozen=True)
class QuantizationResult:
    """Before and after: ``size`` in bytes, ``accuracy`` on val as 0…1, ``milliseconds`` for one picture."""

    size: tuple[int, int]
    accuracy: tuple[float, float]
    milliseconds: tuple[float, float]

    @property
    def drop(self) -> float:
        """Points of accuracy that were lost; negative where some were won."""
        return 100 * (self.accuracy[0] - self.accuracy[1])


def quantize(
    model: Path, data: Path, output: Path, kind: str, max_drop: float, crop: str = "auto"
) -> QuantizationResult:
    """Write an int8 copy of a model, with its contract.

    Args:
        model: ONNX file in float32.
        data: what it was trained on; train shows the range of values, val tells what is lost.
        output: the new file.
        kind: ``static`` (weights and activations, per channel, QDQ) or ``dynamic`` (weights; activations as they
            come), which suits transformers.
        max_drop: points of accuracy on val that may be lost.
        crop: see :class:`emotion_ros.training.data.region_crop.View`.

    Returns:
        What changed.

    Raises:
        ModelError: the model cannot be used, or loses more than ``max_drop``; nothing is written then.
        DatasetError: the data cannot be used.
        OutputError: the file cannot be written.
    """
    before = EmotionClassifier(model, "cpu")
    seen = view_of(before.contract, crop)
    held_out = read_split(data, "val", seen)
    check_classes(f"{data}, val", held_out.labels, before.contract.labels)
    with tempfile.TemporaryDirectory() as folder:
        ready, small = Path(folder) / "ready.onnx", Path(folder) / output.name
        quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
        if kind == "static":
            _static(ready, small, before, read_split(data, "train", seen))
        else:
            quantize_dynamic(str(ready), str(small), weight_type=QuantType.QInt8, per_channel=True)
        _copy_metadata(model, small)
        after = EmotionClassifier(small, "cpu")
        change = QuantizationResult(
            (model.stat().st_size, small.stat().st_size),
            (_accuracy(before, held_out), _accuracy(after, held_out)),
            _speed(before, after),
        )
        if change.drop > max_drop:
            raise ModelError(
                f"{model}: expected int8 to lose at most {max_drop} points, it loses {change.drop:.2f}; nothing was "
                f"written. Try --kind {'dynamic' if kind == 'static' else 'static'}, or allow more with --max-drop"
            )
        _keep(small, output)
    return change


class _Pictures(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, pixels: NDArray[np.float32]) -> None:
        self._batches = iter([{name: pixels[start : start + 50]} for start in range(0, len(pixels), 50)])

    def get_next(self) -> Any:
        return next(self._batches, None)


def _static(ready: Path, small: Path, before: EmotionClassifier, samples: Samples) -> None:
    about = before.contract
    chosen = np.unique(np.linspace(0, len(samples) - 1, CALIBRATION).astype(int))
    pixels = normalise(samples.pixels[chosen].astype(np.float32), about.mean, about.std)
    name = onnx.load(str(ready)).graph.input[0].name
    quantize_static(
        str(ready),
        str(small),
        _Pictures(name, pixels),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )


def _copy_metadata(model: Path, small: Path) -> None:
    file = onnx.load(str(small))
    given = {each.key: each.value for each in onnx.load(str(model), load_external_data=False).metadata_props}
    onnx.helper.set_model_props(file, given)
    onnx.save(file, str(small))


def _accuracy(classifier: EmotionClassifier, samples: Samples) -> float:
    order = [classifier.contract.labels.index(label) for label in samples.labels]
    return float((probabilities(classifier, samples, "folder")[:, order].argmax(1) == samples.classes).mean())


def _speed(*classifiers: EmotionClassifier) -> tuple[float, float]:
    """Median milliseconds of each, in turns, so that a busy machine hits both."""
    picture = np.zeros((128, 128, 3), np.uint8)
    spent: list[list[float]] = [[] for _ in classifiers]
    for _ in range(TIMED):
        for classifier, times in zip(classifiers, spent, strict=True):
            times.append(_timed(lambda each=classifier: each.classify([picture])))  # type: ignore[misc]
    first, second = (1000 * float(np.median(times)) for times in spent)
    return first, second


def _timed(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _keep(small: Path, output: Path) -> None:
    """Copy beside the target first: an old file survives a full disk."""
    partial = output.with_suffix(".partial")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(small.read_bytes())
        os.replace(partial, output)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
