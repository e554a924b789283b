"""Exports a checkpoint of ``train-face-landmarks`` as the ONNX file that the pipeline runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion_ros.perception.face_crop import CROP_SCALE, CROP_SIZE_PX
from emotion_ros.perception.face_points import NETWORK_KIND
from emotion_ros.training.checkpoints import has_setting
from emotion_ros.training.export.crop_network import write_crop_network
from emotion_ros.training.faces.face_training import load_face_landmarks


def export_face_landmarks(checkpoint: Path, output: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Write a face landmark network as ONNX with its metadata.

    The input ``pixels`` is n × 1 × 64 × 64, float32, grey of 0…255. The output ``faces`` is n × 146: x and y of 70
    landmarks in pixels of the crop, the first two columns of the head's rotation.

    Args:
        checkpoint: file written by ``train-face-landmarks``.
        output: path of the ONNX file.
        metadata: data and licence.

    Returns:
        The metadata of the file.

    Raises:
        ModelError: the checkpoint cannot be read, or the file's outputs differ from the network's.
        OutputError: the file cannot be written.
    """
    model = load_face_landmarks(checkpoint)
    crop = {"kind": NETWORK_KIND, "color": "grey", "size": CROP_SIZE_PX, "crop_scale": CROP_SCALE, "shape": model.shape}
    return write_crop_network(model.network, "faces", crop, metadata, output)


def is_face_landmarks(checkpoint: Path) -> bool:
    """Return True if a file is a checkpoint of ``train-face-landmarks``, False for any other or unreadable file."""
    return has_setting(checkpoint, "turned")
