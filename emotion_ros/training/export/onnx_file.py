"""ONNX files with metadata, checked against the PyTorch network that they were exported from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from emotion_ros.errors import ModelError, OutputError
from emotion_ros.inference.ort_session import METADATA_KEY
from emotion_ros.io.atomic_file import replacing

OPSET = 17
"""ONNX operator set: the newest that the ONNX Runtime and TensorRT of JetPack 5 read."""

TOLERANCE = 1e-4
"""Largest difference between the outputs of PyTorch and of the exported file, as a share of the largest output."""


def write(
    network: nn.Module,
    example: Tensor,
    input_name: str,
    output_name: str,
    axes: Mapping[str, Mapping[int, str]],
    metadata: str,
    output: Path,
) -> None:
    """Write a network as ONNX; an old file is replaced only by a complete one with the right output.

    Args:
        network: takes one tensor and returns one.
        example: an input on which the file's output is compared with the network's.
        input_name, output_name: names in the file.
        axes: name of input or output to its dynamic axes and their names.
        metadata: JSON text.
        output: the file.

    Raises:
        ModelError: the file's output differs from the network's.
        OutputError: the file cannot be written.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(output) as partial:
            with warnings.catch_warnings():  # of the tracer, about checks of shapes that are constant here
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    network,
                    (example,),
                    str(partial),
                    input_names=[input_name],
                    output_names=[output_name],
                    dynamic_axes={name: dict(names) for name, names in axes.items()},
                    opset_version=OPSET,
                    dynamo=False,
                )
            file = onnx.load(str(partial))
            onnx.helper.set_model_props(file, {METADATA_KEY: metadata})
            onnx.save(file, str(partial))
            _compare(network, example, input_name, partial, output)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError when the disk is full
        raise OutputError(f"{output}: cannot be written: {error}") from error


def _compare(network: nn.Module, example: Tensor, input_name: str, file: Path, output: Path) -> None:
    with torch.no_grad():
        expected = network(example)
    actual = ort.InferenceSession(str(file)).run(None, {input_name: example.numpy()})[0]
    difference = float(np.abs(expected.numpy() - actual).max() / max(float(expected.abs().max()), 1.0))
    if not difference <= TOLERANCE:  # also true for NaN
        raise ModelError(f"{output}: expected the output of PyTorch, they differ by {difference:.1e}; not written")
