"""Export of a checkpoint as ONNX, with its metadata and temperature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.training.classifier.classifier_training import CROP_MARGIN, CROP_SHIFT, Classifier, load, view
from emotion_ros.training.data.datasets import Samples, read_split
from emotion_ros.training.export import onnx_file

TEMPERATURES = np.arange(0.5, 3.0, 0.01)
"""Temperatures of which the best is taken."""

BATCH_SIZE = 512
"""Pictures that are classified at once for the temperature."""


def export(
    checkpoint: Path, output: Path, fields: Mapping[str, Any] | None = None, calibrate_on: Path | None = None
) -> ModelMetadata:
    """Write a checkpoint as ONNX with a dynamic batch dimension and its metadata.

    Args:
        checkpoint: file written by training.
        output: the ONNX file.
        fields: fields of the metadata that training does not know (margin, shift, data, licence).
        calibrate_on: data whose val split sets the temperature (Guo et al., "On Calibration of Modern Neural
            Networks", 2017) and the accuracy in the metadata.

    Returns:
        The metadata as written.

    Raises:
        ModelError: the checkpoint cannot be read, or the file's output differs from the network's.
        OutputError: the file cannot be written.
    """
    network, metadata = prepare(checkpoint, fields, calibrate_on)
    write_onnx(network, metadata, output)
    return metadata


def prepare(
    checkpoint: Path, fields: Mapping[str, Any] | None = None, calibrate_on: Path | None = None
) -> tuple[nn.Module, ModelMetadata]:
    """Return the network to export and its metadata; arguments and errors are those of :func:`export`."""
    model = load(checkpoint).eval()
    config = model.config
    metadata = ModelMetadata(
        model.labels, config.region, config.size, config.color, model.mean, model.std, CROP_MARGIN, CROP_SHIFT
    )
    metadata = replace(metadata, **(fields or {}))
    if calibrate_on is not None:
        temperature, accuracy = _calibrate(model, read_split(calibrate_on, "val", view(config)))
        metadata = replace(metadata, temperature=temperature, accuracy=accuracy)
    return model.network.eval(), metadata


def _calibrate(model: Classifier, samples: Samples) -> tuple[float, dict[str, float]]:
    """Return the temperature of the least negative log-likelihood, and the accuracy by name.

    The likelihood is that of the majority vote for a model that learned mostly from votes, else that of the class.
    """
    with torch.no_grad():
        logits = torch.cat([model(part) for part in torch.split(torch.from_numpy(samples.pixels), BATCH_SIZE)]).float()
    truths = {"val": samples.classes, "val_votes": samples.votes.majority}
    parts = {name: _with_truth(logits, torch.from_numpy(truth)) for name, truth in truths.items()}
    parts = {name: part for name, part in parts.items() if len(part[1])}
    accuracy = {
        name: round(float((part.argmax(1) == truth).float().mean()), 4) for name, (part, truth) in parts.items()
    }
    by_votes = model.config.vote_weight > 0.5 and "val_votes" in parts
    chosen, truth = parts["val_votes" if by_votes else "val"]
    losses = [nn.functional.cross_entropy(chosen / value, truth).item() for value in TEMPERATURES.tolist()]
    return round(float(TEMPERATURES[int(np.argmin(losses))]), 2), accuracy


def _with_truth(logits: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Drop the pictures without a truth, whose index is −1."""
    return logits[truth >= 0], truth[truth >= 0]


def write_onnx(network: nn.Module, metadata: ModelMetadata, output: Path) -> None:
    """Write a network and its metadata; see :func:`emotion_ros.training.export.onnx_file.write`."""
    shape = (3, metadata.channels, metadata.size, metadata.size)
    example = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    axes = {name: {0: "batch"} for name in ("input_0", "output_0")}
    onnx_file.write(network, example, "input_0", "output_0", axes, metadata.to_json(), output)
