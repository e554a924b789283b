"""From a checkpoint to one ONNX file that explains itself."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from emotion_ros.classification.contract import METADATA_KEY, Contract
from emotion_ros.errors import OutputError
from emotion_ros.training.datasets import read_split
from emotion_ros.training.train import Classifier, load

OPSET = 17
"""ONNX operator set: the newest that the ONNX Runtime and TensorRT of JetPack 5 read."""


def export(
    checkpoint: Path, output: Path, about: Mapping[str, Any] | None = None, calibrate_on: Path | None = None
) -> Contract:
    """Write a checkpoint as ONNX with a dynamic batch dimension and its contract inside.

    Args:
        checkpoint: file written by training.
        output: the ONNX file.
        about: fields of the contract that training does not know (region, margin, shift, data, licence).
        calibrate_on: data set whose val split sets the temperature (Guo et al., "On Calibration of Modern Neural
            Networks", 2017) and gives the accuracy in the contract.

    Returns:
        The contract as written.

    Raises:
        ModelError: the checkpoint cannot be read.
        OutputError: the file cannot be written.
    """
    model = load(checkpoint).eval()
    config = model.config
    filled = Contract(model.labels, "face", config.size, config.color, model.mean, model.std)
    filled = replace(filled, **(about or {}))
    if calibrate_on is not None:
        temperature, accuracy = _calibrate(model, calibrate_on)
        filled = replace(filled, temperature=temperature, accuracy={"val": accuracy})
    _write(model, filled, output)
    return filled


def _calibrate(model: Classifier, data: Path) -> tuple[float, float]:
    """On the val split: the temperature in 0.5…3 with the least negative log-likelihood, and the accuracy."""
    samples = read_split(data, "val", model.config.size, model.config.color)
    with torch.no_grad():
        logits = torch.cat([model(part) for part in torch.split(torch.from_numpy(samples.pixels), 512)]).float()
    classes = torch.from_numpy(samples.classes)
    grid = np.arange(0.5, 3.0, 0.01)
    losses = [torch.nn.functional.cross_entropy(logits / t, classes).item() for t in grid.tolist()]
    accuracy = float((logits.argmax(1) == classes).float().mean())
    return round(float(grid[int(np.argmin(losses))]), 2), round(accuracy, 4)


def _write(model: Classifier, contract: Contract, output: Path) -> None:
    """Write beside the target first: an old file survives a full disk."""
    side, partial = model.config.size, output.with_suffix(".partial")
    example = torch.zeros(2, contract.channels, side, side)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():  # the tracer's, of checks on shapes that are constant here
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model.network.eval(),
                (example,),
                str(partial),
                input_names=["pixels"],
                output_names=["logits"],
                dynamic_axes={"pixels": {0: "batch"}, "logits": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,
            )
        file = onnx.load(str(partial))
        onnx.helper.set_model_props(file, {METADATA_KEY: contract.to_json()})
        onnx.save(file, str(partial))
        os.replace(partial, output)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
