"""Exports a checkpoint of ``train-eyes`` as the ONNX file that the pipeline runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion_ros.perception.eye_crop import CROP_SCALE, CROP_SIZE_PX
from emotion_ros.perception.eyes import NETWORK_KIND
from emotion_ros.training.checkpoints import has_setting
from emotion_ros.training.export.crop_network import write_crop_network
from emotion_ros.training.eyes.eye_labels import VALUES
from emotion_ros.training.eyes.eye_training import load_eyes


def export_eyes(checkpoint: Path, output: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Write an eye network as ONNX with its metadata.

    The input ``pixels`` is n × 1 × 32 × 32, float32, grey of 0…255, with the nose on the left. The output ``eyes`` is
    n × 4, see :data:`~emotion_ros.training.eyes.eye_labels.VALUES`.

    Args:
        checkpoint: file written by ``train-eyes``.
        output: path of the ONNX file.
        metadata: data and licence.

    Returns:
        The metadata of the file.

    Raises:
        ModelError: the checkpoint cannot be read, or the file's outputs differ from the network's.
        OutputError: the file cannot be written.
    """
    crop = {"kind": NETWORK_KIND, "color": "grey", "size": CROP_SIZE_PX, "crop_scale": CROP_SCALE, "values": VALUES}
    return write_crop_network(load_eyes(checkpoint).network, "eyes", crop, metadata, output)


def is_eyes(checkpoint: Path) -> bool:
    """Return True if a file is a checkpoint of ``train-eyes``, False for any other or unreadable file."""
    return has_setting(checkpoint, "even")
