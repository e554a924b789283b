"""Export of a checkpoint as ONNX, with its metadata and temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.training.classifier.classifier_training import CROP_MARGIN, CROP_SHIFT, Classifier, load, view
from emotion_ros.training.data.datasets import Samples, check_classes, read_split
from emotion_ros.training.export import onnx_file

TEMPERATURES = np.arange(0.5, 3.0, 0.01)
"""Temperatures of which the best is taken."""

BATCH_SIZE = 512
"""Pictures that are classified at once for the temperature."""


def export(
    checkpoint: Path,
    output: Path,
    fields: Mapping[str, Any] | None = None,
    calibrate_on: Mapping[str, Path] | None = None,
) -> ModelMetadata:
    """Write a checkpoint as ONNX with a dynamic batch dimension and its metadata.

    Args:
        checkpoint: file written by training.
        output: the ONNX file.
        fields: fields of the metadata that training does not know (margin, shift, prior, data, licence).
        calibrate_on: data sets by name; their val splits set the temperature (Guo et al., "On Calibration of Modern
            Neural Networks", 2017) and the accuracy in the metadata. On each, the mean confidence shall be near the
            accuracy (Clarté et al., "Expectation consistency for calibration of neural networks", 2023).

    Returns:
        The metadata as written.

    Raises:
        DatasetError: the data cannot be used, or have classes that the model does not have.
        ModelError: the checkpoint cannot be read, or the file's output differs from the network's.
        OutputError: the file cannot be written.
    """
    network, metadata = prepare(checkpoint, fields, calibrate_on)
    write_onnx(network, metadata, output)
    return metadata


def prepare(
    checkpoint: Path, fields: Mapping[str, Any] | None = None, calibrate_on: Mapping[str, Path] | None = None
) -> tuple[nn.Module, ModelMetadata]:
    """Return the network to export and its metadata; arguments and errors are those of :func:`export`."""
    model = load(checkpoint).eval()
    config = model.config
    metadata = ModelMetadata(
        model.labels, config.region, config.size, config.color, model.mean, model.std, CROP_MARGIN, CROP_SHIFT
    )
    metadata = replace(metadata, **(fields or {}))
    if calibrate_on:
        sets = {name: read_split(data, "val", view(config)) for name, data in calibrate_on.items()}
        for name, samples in sets.items():
            check_classes(f"{name}, val", samples.labels, model.labels)
        temperature, accuracy = _calibrate(model, sets, metadata.class_weights)
        metadata = replace(metadata, temperature=temperature, accuracy=accuracy)
    return model.network.eval(), metadata


def _calibrate(
    model: Classifier, sets: Mapping[str, Samples], class_weights: Sequence[float]
) -> tuple[float, dict[str, float]]:
    """Return the temperature and the accuracy by name.

    The temperature is that with which the mean confidence differs least from the accuracy, on the data set where it
    differs most. The truth is the majority vote for a model that learned mostly from votes, else the class.
    """
    weights = torch.tensor(class_weights).log()
    parts: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    chosen = []
    for name, samples in sets.items():
        logits, classes, majority = _logits(model, samples)
        prefix = "" if len(sets) == 1 else f"{name} "
        parts[f"{prefix}val"] = logits, classes
        if (majority >= 0).any():
            parts[f"{prefix}val_votes"] = logits[majority >= 0], majority[majority >= 0]
        by_votes = model.config.vote_weight > 0.5 and f"{prefix}val_votes" in parts
        chosen.append(parts[f"{prefix}val_votes" if by_votes else f"{prefix}val"])
    errors = [
        max(_calibration_gap(logits / value + weights, truth) for logits, truth in chosen)
        for value in TEMPERATURES.tolist()
    ]
    temperature = round(float(TEMPERATURES[int(np.argmin(errors))]), 2)
    return temperature, {
        name: round(_accuracy(logits / temperature + weights, truth), 4) for name, (logits, truth) in parts.items()
    }


def _calibration_gap(logits: torch.Tensor, truth: torch.Tensor) -> float:
    return abs(logits.softmax(1).amax(1).mean().item() - _accuracy(logits, truth))


def _accuracy(logits: torch.Tensor, truth: torch.Tensor) -> float:
    return (logits.argmax(1) == truth).float().mean().item()


def _logits(model: Classifier, samples: Samples) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return logits (n × labels), classes (n) and majority votes (n, −1: none) of pictures."""
    samples = samples.relabelled(model.labels)
    with torch.no_grad():
        parts = [model(part) for part in torch.split(torch.from_numpy(samples.pixels), BATCH_SIZE)]
    return torch.cat(parts).float(), torch.from_numpy(samples.classes), torch.from_numpy(samples.votes.majority)


def write_onnx(network: nn.Module, metadata: ModelMetadata, output: Path) -> None:
    """Write a network and its metadata; see :func:`emotion_ros.training.export.onnx_file.write`."""
    shape = (3, metadata.channels, metadata.size, metadata.size)
    example = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    axes = {name: {0: "batch"} for name in ("input_0", "output_0")}
    onnx_file.write(network, example, "input_0", "output_0", axes, metadata.to_json(), output)
