"""What ``emotion-ros export`` can write."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emotion_ros.errors import ConfigError
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.training.classifier.classifier_training import load, view
from emotion_ros.training.data.datasets import Samples, read_split
from emotion_ros.training.export import tflite
from emotion_ros.training.export.classifier_export import export, prepare
from emotion_ros.training.export.edge_impulse import write_package


def export_as(form: str, checkpoint: Path, output: Path, about: Mapping[str, Any], data: Path | None) -> str:
    """Write a checkpoint in one of :data:`FORMATS`.

    Args:
        form: the format.
        checkpoint: file written by training.
        output: a file; for Edge Impulse a folder.
        about: see :func:`emotion_ros.training.export.classifier_export.export`.
        data: what the model was trained on: sets the temperature and the range of int8 values.

    Returns:
        What was written, for the user.

    Raises:
        ConfigError: int8 formats without data.
        DatasetError: the data cannot be used.
        ModelError: the checkpoint cannot be used, or the file does not compute what it does.
        OutputError: the output cannot be written.
    """
    if form != "onnx" and data is None:
        raise ConfigError(f"export: {form} needs pictures to set the range of int8 values: --calibrate DATA")
    return FORMATS[form](checkpoint, output, about, data)


def _onnx(checkpoint: Path, output: Path, about: Mapping[str, Any], data: Path | None) -> str:
    contract = export(checkpoint, output, about, data)
    return f"{output}: {', '.join(contract.labels)}; temperature {contract.temperature}"


def _tflite(checkpoint: Path, output: Path, about: Mapping[str, Any], data: Path) -> str:
    _write_tflite(checkpoint, output, about, data)
    return f"{output}: {_tell(tflite.needs(output))}"


def _c(checkpoint: Path, output: Path, about: Mapping[str, Any], data: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / f"{output.stem}.tflite"
        _write_tflite(checkpoint, model, about, data)
        return f"{output} and {output.with_suffix('.h').name}: {_tell(tflite.write_c(model, output))}"


def _edge_impulse(checkpoint: Path, output: Path, about: Mapping[str, Any], data: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.tflite"
        contract, train = _write_tflite(checkpoint, model, about, data)
        seen = view(load(checkpoint).config)
        splits = {"train": train, **{split: read_split(data, split, seen) for split in ("val", "test")}}
        write_package(model, contract, splits, output)
        return f"{output}: {_tell(tflite.needs(model))}; upload as its README.md says"


def _write_tflite(
    checkpoint: Path, output: Path, about: Mapping[str, Any], data: Path
) -> tuple[ModelMetadata, Samples]:
    network, contract = prepare(checkpoint, about, data)
    samples = read_split(data, "train", view(load(checkpoint).config))
    return tflite.write_tflite(network, contract, samples, output), samples


def _tell(needed: tflite.Requirements) -> str:
    return (
        f"{needed.flash / 1024:.0f} KiB of flash, {needed.arena / 1024:.0f} KiB of arena in TensorFlow Lite Micro, "
        f"operators {', '.join(needed.operators)}"
    )


FORMATS: dict[str, Callable[..., str]] = {"onnx": _onnx, "tflite": _tflite, "c": _c, "edge-impulse": _edge_impulse}
"""Name of a format to what writes it."""
