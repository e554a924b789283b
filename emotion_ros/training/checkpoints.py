"""Checkpoints of trainings: which training wrote one, and its model."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import lightning as L
import torch

from emotion_ros.errors import ModelError

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
    try:
        model: M = kind.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises exceptions of many types for a corrupt file
        raise ModelError(f"{checkpoint}: expected a checkpoint of emotion-ros {command}: {error}") from error
    return model


def has_setting(checkpoint: Path, setting: str) -> bool:
    """Return True if the training that wrote a checkpoint has a setting, False also for any unreadable file."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        return setting in content["hyper_parameters"]["config"]
    except Exception:  # torch.load raises exceptions of many types for a corrupt file
        return False
