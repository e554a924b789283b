"""ONNX files of networks that see square crops of one size and give one row of values per crop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from emotion_ros.training.export import onnx_file

CHANNELS = {"grey": 1, "bgr": 3}


def write_crop_network(
    network: nn.Module, output_name: str, description: Mapping[str, Any], metadata: Mapping[str, Any], output: Path
) -> dict[str, Any]:
    """Write a network as ONNX with its metadata and a dynamic batch.

    The input ``pixels`` is n × channels × size × size, float32, values of 0…255.

    Args:
        network: takes ``pixels`` and returns n × values.
        output_name: name of the output.
        description: ``kind``, ``color`` (of :data:`CHANNELS`), ``size`` in pixels, ``crop_scale``, and others.
        metadata: data and licence.
        output: path of the ONNX file.

    Returns:
        The metadata of the file: description and metadata.

    Raises:
        ModelError: the file's output differs from the network's.
        OutputError: the file cannot be written.
    """
    full_metadata = {**description, **metadata}
    shape = 2, CHANNELS[description["color"]], description["size"], description["size"]
    example = torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 255
    axes = {"pixels": {0: "batch"}, output_name: {0: "batch"}}
    onnx_file.write(network.eval(), example, "pixels", output_name, axes, json.dumps(full_metadata), output)
    return full_metadata
