"""From a checkpoint to one file that explains itself: ONNX, TFLite, C source, or a package for Edge Impulse."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from emotion_ros.classification.contract import METADATA_KEY, Contract
from emotion_ros.errors import ModelError, OutputError
from emotion_ros.training.datasets import Samples, read_split
from emotion_ros.training.train import Classifier, load, view

OPSET = 17
"""ONNX operator set: the newest that the ONNX Runtime and TensorRT of JetPack 5 read."""

TOLERANCE = 1e-4
"""Largest difference between the outputs of PyTorch and of the exported file, as a share of the largest output."""


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
) -> Contract:
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
) -> tuple[Exported, Contract]:
    """The network to export and its contract; arguments and errors are those of :func:`export`."""
    model = load(checkpoint).eval()
    config = model.config
    outputs = ("votes", "folder") if config.vote_head else ("folder",)
    contract = Contract(
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


def write_onnx(network: Exported, contract: Contract, output: Path) -> None:
    """Write beside the target first: an old file survives a full disk, and a file that computes something else.

    Raises:
        ModelError: the file does not compute what the network does.
        OutputError: it cannot be written.
    """
    side, partial = contract.size, output.with_suffix(".partial")
    example = torch.zeros(2, contract.channels, side, side)
    names = [f"output_{index}" for index in range(len(contract.outputs))]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():  # the tracer's, of checks on shapes that are constant here
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (example,),
                str(partial),
                input_names=["input_0"],
                output_names=names,
                dynamic_axes={name: {0: "batch"} for name in ("input_0", *names)},
                opset_version=OPSET,
                dynamo=False,
            )
        file = onnx.load(str(partial))
        onnx.helper.set_model_props(file, {METADATA_KEY: contract.to_json()})
        onnx.save(file, str(partial))
        _compare(network, partial, output, contract)
        os.replace(partial, output)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError where the disk is full
        raise OutputError(f"{output}: cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _compare(network: Exported, file: Path, output: Path, contract: Contract) -> None:
    pixels = torch.randn(3, contract.channels, contract.size, contract.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = network(pixels)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    given = ort.InferenceSession(str(file)).run(None, {"input_0": pixels.numpy()})
    for expected, got in zip(wanted, given, strict=True):
        difference = float(np.abs(expected.numpy() - got).max() / max(float(expected.abs().max()), 1.0))
        if not difference <= TOLERANCE:
            raise ModelError(f"{output}: expected the outputs of PyTorch, they differ by {difference:.1e}; not written")
