"""Checkpoints of trainings: which training wrote one, and its model."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TypeVar

import lightning as L
import torch
from torch import Tensor

from emotion_ros.errors import ModelError
from emotion_ros.perception.detection.network_input import read_metadata_of_kind
from emotion_ros.training.onnx_weights import from_onnx

M = TypeVar("M", bound=L.LightningModule)


def load_checkpoint(kind: type[M], checkpoint: Path, command: str) -> M:
    """Load the model of a checkpoint.

    Args:
        kind: class of the model.
        checkpoint: the file.
        command: of ``emotion-ros`` that writes such checkpoints, for the error.

    Raises:
        ModelError: the file is missing or no such checkpoint.
    """
    if not checkpoint.is_file():
        raise ModelError(f"{checkpoint}: expected a checkpoint of emotion-ros {command}, found no such file")
    try:
        model: M = kind.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its text advises to load the file unsafely
        raise ModelError(f"{checkpoint}: expected a checkpoint of emotion-ros {command}, got another file") from error
    except Exception as error:  # torch.load raises exceptions of many types for a corrupt file
        raise ModelError(f"{checkpoint}: expected a checkpoint of emotion-ros {command}: {error}") from error
    return model


def start_from_file(model: L.LightningModule, path: Path, kind: str, wanted: str, command: str, pixels: Tensor) -> None:
    """Load the weights of an exported file or of a checkpoint into a model, in place.

    Args:
        model: gets the weights; ``network`` is what the file was exported from.
        path: an ONNX file of ``emotion-ros export``, or a checkpoint.
        kind: of the exported file, in its metadata.
        wanted: what is expected, for the error.
        command: of ``emotion-ros`` that trains such models.
        pixels: images of the training; the weights of an ONNX file are assigned to layers by running the network on
            them.

    Raises:
        ModelError: the file is missing, or is not what is wanted.
    """
    if path.suffix == ".onnx":
        if not read_metadata_of_kind(path, kind):
            raise ModelError(f"{path}: expected the ONNX file of {wanted} (emotion-ros {command}, export)")
        from_onnx(model.network, path, wanted, pixels.float())  # type: ignore[arg-type]
        return
    try:
        model.load_state_dict(load_checkpoint(type(model), path, command).state_dict())
    except RuntimeError as error:  # raised by torch if shapes differ
        raise ModelError(f"{path}: expected {wanted}: {str(error).splitlines()[-1].strip()}") from error


def has_setting(checkpoint: Path, setting: str) -> bool:
    """Return True if the training that wrote a checkpoint has a setting, False also for any unreadable file."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        return setting in content["hyper_parameters"]["config"]
    except Exception:  # torch.load raises exceptions of many types for a corrupt file
        return False
