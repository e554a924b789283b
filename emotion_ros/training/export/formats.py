"""Output formats of ``emotion-ros export``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emotion_ros.errors import ConfigError
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.training.classifier.classifier_training import load, view
from emotion_ros.training.data.datasets import Samples, read_splits
from emotion_ros.training.export import micro, tflite
from emotion_ros.training.export.classifier_export import export, prepare
from emotion_ros.training.export.edge_impulse import write_package


def export_as(
    format_name: str, checkpoint: Path, output: Path, fields: Mapping[str, Any], data: Mapping[str, Path]
) -> str:
    """Write a checkpoint in one of :data:`FORMATS`.

    Args:
        format_name: the format.
        checkpoint: file written by training.
        output: a file; for Edge Impulse a folder.
        fields: of the metadata, see :func:`emotion_ros.training.export.classifier_export.export`.
        data: the training data by name, which set the temperature and the ranges of int8 values; may be empty for ONNX.

    Returns:
        A message for the user.

    Raises:
        ConfigError: an int8 format without data.
        DatasetError: the data cannot be used.
        ModelError: the checkpoint cannot be used, or the file's output differs from the network's.
        OutputError: the output cannot be written.
    """
    if format_name != "onnx" and not data:
        raise ConfigError(f"export: {format_name} needs pictures to set the range of int8 values: --calibrate DATA")
    return FORMATS[format_name](checkpoint, output, fields, data)


def _onnx(checkpoint: Path, output: Path, fields: Mapping[str, Any], data: Mapping[str, Path]) -> str:
    metadata = export(checkpoint, output, fields, data)
    return f"{output}: {', '.join(metadata.labels)}; temperature {metadata.temperature}"


def _tflite(checkpoint: Path, output: Path, fields: Mapping[str, Any], data: Mapping[str, Path]) -> str:
    _write_tflite(checkpoint, output, fields, data)
    return f"{output}: {_summary(micro.requirements(output))}"


def _c(checkpoint: Path, output: Path, fields: Mapping[str, Any], data: Mapping[str, Path]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / f"{output.stem}.tflite"
        _write_tflite(checkpoint, model, fields, data)
        return f"{output} and {output.with_suffix('.h').name}: {_summary(micro.write_c(model, output))}"


def _edge_impulse(checkpoint: Path, output: Path, fields: Mapping[str, Any], data: Mapping[str, Path]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.tflite"
        metadata, train = _write_tflite(checkpoint, model, fields, data)
        trained_view = view(load(checkpoint).config)
        splits = {
            "train": train,
            **{split: read_splits([*data.values()], split, trained_view) for split in ("val", "test")},
        }
        write_package(model, metadata, splits, output)
        return f"{output}: {_summary(micro.requirements(model))}; {output}/README.md has the commands for the upload"


def _write_tflite(
    checkpoint: Path, output: Path, fields: Mapping[str, Any], data: Mapping[str, Path]
) -> tuple[ModelMetadata, Samples]:
    network, metadata = prepare(checkpoint, fields, data)
    samples = read_splits([*data.values()], "train", view(load(checkpoint).config))
    return tflite.write_tflite(network, metadata, samples, output), samples


def _summary(needed: micro.Requirements) -> str:
    return (
        f"{needed.flash / 1024:.0f} KiB of flash, {needed.arena / 1024:.0f} KiB of arena in TensorFlow Lite Micro, "
        f"operators {', '.join(needed.operators)}"
    )


FORMATS: dict[str, Callable[..., str]] = {"onnx": _onnx, "tflite": _tflite, "c": _c, "edge-impulse": _edge_impulse}
"""Format to the function that writes it."""
