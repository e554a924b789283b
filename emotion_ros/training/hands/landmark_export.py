"""Exports a checkpoint of ``train-hands`` as the ONNX file that the hand detector runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion_ros.perception.detection.hand_crop import CROP_SCALE, CROP_SIZE_PX
from emotion_ros.perception.detection.hand_networks import LANDMARK_KIND
from emotion_ros.training.checkpoints import has_setting
from emotion_ros.training.export.crop_network import write_crop_network
from emotion_ros.training.hands.landmark_training import load_landmarks


def export_landmarks(checkpoint: Path, output: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Write a hand landmark network as ONNX with its metadata.

    The input ``pixels`` is n × 3 × 128 × 128, float32, BGR of 0…255. The output ``hands`` is n × 44: x and y of 21
    landmarks in pixels of the crop, the logits of presence and of a right hand.

    Args:
        checkpoint: file written by ``train-hands``.
        output: path of the ONNX file.
        metadata: data and licence.

    Returns:
        The metadata of the file.

    Raises:
        ModelError: the checkpoint cannot be read, or the file's outputs differ from the network's.
        OutputError: the file cannot be written.
    """
    network = load_landmarks(checkpoint).network
    crop = {"kind": LANDMARK_KIND, "color": "bgr", "size": CROP_SIZE_PX, "crop_scale": CROP_SCALE}
    return write_crop_network(network, "hands", crop, metadata, output)


def is_landmarks(checkpoint: Path) -> bool:
    """Return True if a file is a checkpoint of ``train-hands``, False for any other or unreadable file."""
    return has_setting(checkpoint, "crops")
