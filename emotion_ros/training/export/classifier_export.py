"""From a checkpoint to one file that explains itself: ONNX, TFLite, C source, or a package for Edge Impulse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.training.classifier.classifier_training import Classifier, load, view
from emotion_ros.training.data.datasets import Samples, read_split
from emotion_ros.training.export import onnx_file


class Exported(nn.Module):
    """The network with one output per teacher.

    A second output is scaled so that the temperature of the first serves both.
    """

    def __init__(self, model: Classifier, temperatures: tuple[float, ...]) -> None:
        super().__init__()
        self.network, self.labels = model.network, len(model.labels)
        self.scales = [temperatures[0] / each for each in temperatures]

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits, n × labels; a tuple of them where there are two outputs."""
        logits: Tensor = self.network(pixels)
        if len(self.scales) == 1:
            return logits
        parts = (logits[:, start : start + self.labels] for start in range(0, logits.shape[1], self.labels))
        return tuple(part * scale for part, scale in zip(parts, self.scales, strict=True))


def export(
    checkpoint: Path, output: Path, about: Mapping[str, Any] | None = None, calibrate_on: Path | None = None
) -> ModelMetadata:
    """Write a checkpoint as ONNX with a dynamic batch dimension and its contract inside.

    Args:
        checkpoint: file written by training.
        output: the ONNX file.
        about: fields of the contract that training does not know (margin, shift, data, licence).
        calibrate_on: data set whose val split sets the temperature (Guo et al., "On Calibration of Modern Neural
            Networks", 2017) and gives the accuracy in the contract.

    Returns:
        The contract as written.

    Raises:
        ModelError: the checkpoint cannot be read, or the file does not compute what the checkpoint does.
        OutputError: the file cannot be written.
    """
    network, contract = prepare(checkpoint, about, calibrate_on)
    write_onnx(network, contract, output)
    return contract


def prepare(
    checkpoint: Path, about: Mapping[str, Any] | None = None, calibrate_on: Path | None = None
) -> tuple[Exported, ModelMetadata]:
    """The network to export and its contract; arguments and errors are those of :func:`export`."""
    model = load(checkpoint).eval()
    config = model.config
    outputs = ("votes", "folder") if config.vote_head else ("folder",)
    contract = ModelMetadata(
        model.labels,
        config.region,
        config.size,
        config.color,
        model.mean,
        model.std,
        config.crop_margin,
        config.crop_shift,
    )
    contract = replace(contract, outputs=outputs, **(about or {}))
    temperatures: tuple[float, ...] = (1.0,) * len(outputs)
    if calibrate_on is not None:
        temperatures, accuracy = _calibrate(model, outputs, read_split(calibrate_on, "val", view(config)))
        contract = replace(contract, temperature=temperatures[0], accuracy=accuracy)
    return Exported(model, temperatures).eval(), contract


def _calibrate(
    model: Classifier, outputs: tuple[str, ...], samples: Samples
) -> tuple[tuple[float, ...], dict[str, float]]:
    """Per output the temperature in 0.5…3 with the least negative log-likelihood, and the accuracy."""
    with torch.no_grad():
        logits = torch.cat([model(part) for part in torch.split(torch.from_numpy(samples.pixels), 512)]).float()
    grid = np.arange(0.5, 3.0, 0.01)
    temperatures, accuracy = [], {}
    for name, part in zip(outputs, logits.chunk(len(outputs), 1), strict=True):
        truth = torch.from_numpy(samples.votes.majority if name == "votes" else samples.classes)
        part, truth = part[truth >= 0], truth[truth >= 0]
        losses = [nn.functional.cross_entropy(part / t, truth).item() for t in grid.tolist()]
        temperatures.append(round(float(grid[int(np.argmin(losses))]), 2))
        right = (part.argmax(1) == truth).float().mean()
        accuracy["val" if name == "folder" else f"val_{name}"] = round(float(right), 4)
    return tuple(temperatures), accuracy


def write_onnx(network: Exported, contract: ModelMetadata, output: Path) -> None:
    """Write a network and its contract; see :func:`emotion_ros.training.export.onnx_file.write`."""
    example = torch.randn(
        3, contract.channels, contract.size, contract.size, generator=torch.Generator().manual_seed(0)
    )
    names = [f"output_{index}" for index in range(len(contract.outputs))]
    axes = {name: {0: "batch"} for name in ("input_0", *names)}
    onnx_file.write(network, example, "input_0", names, axes, contract.to_json(), output)
