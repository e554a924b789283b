"""Networks as ONNX files that compute what PyTorch computed and say what they are."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from emotion_ros.errors import ModelError, OutputError
from emotion_ros.inference.ort_session import METADATA_KEY

OPSET = 17
"""ONNX operator set: the newest that the ONNX Runtime and TensorRT of JetPack 5 read."""

TOLERANCE = 1e-4
"""Largest difference between the outputs of PyTorch and of the exported file, as a share of the largest output."""


def write(
    network: nn.Module,
    example: Tensor,
    source: str,
    names: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
    about: str,
    output: Path,
) -> None:
    """Write beside the target first: an old file survives a full disk, and a file that computes something else.

    Args:
        network: takes one tensor, gives one or a tuple of them.
        example: an input; the file must give on it what the network gives.
        source: name of the input.
        names: of the outputs.
        axes: name of input or output to its dynamic axes and their names.
        about: JSON for the metadata.
        output: the file.

    Raises:
        ModelError: the file does not compute what the network does.
        OutputError: it cannot be written.
    """
    partial = output.with_suffix(".partial")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():  # the tracer's, of checks on shapes that are constant here
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (example,),
                str(partial),
                input_names=[source],
                output_names=list(names),
                dynamic_axes={name: dict(each) for name, each in axes.items()},
                opset_version=OPSET,
                dynamo=False,
            )
        file = onnx.load(str(partial))
        onnx.helper.set_model_props(file, {METADATA_KEY: about})
        onnx.save(file, str(partial))
        _compare(network, example, source, partial, output)
        os.replace(partial, output)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError where the disk is full
        raise OutputError(f"{output}: cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _compare(network: nn.Module, example: Tensor, source: str, file: Path, output: Path) -> None:
    with torch.no_grad():
        wanted = network(example)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    given = ort.InferenceSession(str(file)).run(None, {source: example.numpy()})
    for expected, got in zip(wanted, given, strict=True):
        difference = float(np.abs(expected.numpy() - got).max() / max(float(expected.abs().max()), 1.0))
        if not difference <= TOLERANCE:
            raise ModelError(f"{output}: expected the outputs of PyTorch, they differ by {difference:.1e}; not written")
