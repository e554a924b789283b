"""Trains the eye network on photos that ``emotion-ros label-meshes`` labelled."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from emotion_ros.config import EyeTrainConfig, PipelineConfig
from emotion_ros.perception.eyes import NETWORK_KIND
from emotion_ros.perception.loaded_models import create_face_points
from emotion_ros.training.checkpoints import load_checkpoint, start_from_file
from emotion_ros.training.eyes.eye_labels import VALUES
from emotion_ros.training.eyes.eye_network import EyeNetwork
from emotion_ros.training.eyes.eye_patches import (
    EyePair,
    EyePatch,
    plain_crop,
    read_eyes,
    select_trained,
    training_crop,
)
from emotion_ros.training.faces.face_patches import read_all_labels
from emotion_ros.training.numbered_batches import crop_loaders
from emotion_ros.training.plots import save_batch
from emotion_ros.training.training_loop import Result, fit, make_trainer, one_cycle, run_to_resume, writable
from emotion_ros.types import Image

BETA = 0.03
"""Error, in eye widths, up to which the loss is quadratic."""

WEIGHT = 100.0
"""Weight of the loss, whose values are small: a lid moves by 0.3 eye widths."""

BIN = 0.03
"""Eye widths per class of upper lids, from which ``even`` crops are drawn with the same probability."""

SMALLEST_BIN = 20
"""Eyes from which on a class of upper lids has the full probability."""

VAL_BATCH_SIZE = 256

SHOWN_CROPS = 64
"""Crops in batch.png."""

Crop: TypeAlias = "tuple[Image, NDArray[np.float32]]"
"""Pixels of an eye, 32 × 32, and :data:`~emotion_ros.training.eyes.eye_labels.VALUES`."""


class Eyes(L.LightningModule):
    """An eye network and its training. A checkpoint of it contains all that the export needs.

    Args:
        config: settings.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = EyeTrainConfig(**config)
        self.network = EyeNetwork()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the values of :class:`EyeNetwork` for pixels of any number type."""
        return self.network(pixels.float())  # type: ignore[no-any-return]

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        pixels, targets = batch
        loss: Tensor = WEIGHT * F.smooth_l1_loss(self(pixels), targets, beta=BETA)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Collect the values of a batch."""
        pixels, targets = batch
        self._seen.append(torch.stack([self(pixels), targets]).float().cpu())

    def on_validation_epoch_start(self) -> None:
        """Forget the values of the epoch before."""
        self._seen: list[Tensor] = []

    def on_validation_epoch_end(self) -> None:
        """Log the correlation of the upper lids with the labels, and the mean error of all values."""
        values, targets = torch.cat(self._seen, 1)
        lid = VALUES.index("upper_lid")
        correlation = torch.corrcoef(torch.stack([values[:, lid], targets[:, lid]]))[0, 1]
        metrics = {"val_lids": correlation, "val_error": (values - targets).abs().mean()}
        self.log_dict(metrics, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Return optimizer and schedule, see :func:`one_cycle`."""
        return one_cycle(self, self.config)


class _TrainingCrops(Dataset[Crop]):
    """Crops by number, made when they are asked for: the same number is always the same crop."""

    def __init__(self, eyes: Sequence[EyePatch], config: EyeTrainConfig) -> None:
        self._eyes, self._seed = eyes, config.seed
        self._cumulative = np.cumsum(probabilities([eye.values[0] for eye in eyes], config.even))

    def __getitem__(self, number: int) -> Crop:
        rng = np.random.default_rng((self._seed, number))
        index = int(np.searchsorted(self._cumulative, rng.random() * self._cumulative[-1]))
        eye = self._eyes[min(index, len(self._eyes) - 1)]
        return training_crop(eye, rng), eye.values


def probabilities(upper_lids: Sequence[float], even: float) -> NDArray[np.float64]:
    """Return the probability of each eye to be drawn.

    Args:
        upper_lids: their heights.
        even: share of the draws in which all heights are alike, see :data:`BIN`; in the others all eyes are.
    """
    classes = np.floor(np.array(upper_lids) / BIN).astype(int)
    _, numbers, counts = np.unique(classes, return_inverse=True, return_counts=True)
    shares = 1 / np.maximum(counts[numbers], SMALLEST_BIN)
    return even * shares / shares.sum() + (1 - even) / len(classes)  # type: ignore[no-any-return]


def train_eyes(data: Sequence[Path], model_dir: Path, config: EyeTrainConfig, resume: bool = False) -> Result:
    """Train on the photos of folders that are not held out.

    Args:
        data: folders with ``photos.zip`` and the file of ``emotion-ros label-meshes``.
        model_dir: gets ``best.ckpt``, ``last.ckpt``, ``metrics.csv``, curves, and ``batch.png`` (crops).
        config: settings; with ``resume`` those of the run, or defaults.
        resume: continue from ``last.ckpt``.

    Returns:
        The score is the correlation of the upper lids with the labels on held-out photos.

    Raises:
        ConfigError: a setting is not that of the run that is resumed.
        DatasetError: the photos or their faces cannot be used.
        ModelError: the checkpoint, or the face landmark network, cannot be used.
        OutputError: ``model_dir`` cannot be written, has nothing to resume, or has a run and ``resume`` is not set.
    """
    last, model, config = run_to_resume(load_eyes, model_dir, config, resume)
    L.seed_everything(config.seed, verbose=False)
    cv2.setNumThreads(1)  # OpenCV's threads do not exist in the forked processes that make crops
    pairs = _read_pairs(data)
    training = _TrainingCrops([eye for pair in pairs if not pair.held_out for eye in pair.eyes], config)
    held_out = [(plain_crop(eye), eye.values) for pair in pairs if pair.held_out for eye in pair.eyes]
    writable(model_dir)
    shown = _collate([training[number] for number in range(SHOWN_CROPS)])[0]
    save_batch(shown.expand(-1, 3, -1, -1), model_dir / "batch.png")
    trainer = make_trainer(model_dir, config, "lids", ("loss", "error"))
    if model is None:
        model = Eyes(dataclasses.asdict(config))
        if config.pretrained:
            start_from_file(model, Path(config.pretrained), NETWORK_KIND, "an eye network", "train-eyes", shown)
    return fit(trainer, model, crop_loaders(training, held_out, _collate, VAL_BATCH_SIZE, config), model_dir, last)


def load_eyes(checkpoint: Path) -> Eyes:
    """Load the model of a checkpoint.

    Raises:
        ModelError: the file is missing or no checkpoint of ``train-eyes``.
    """
    return load_checkpoint(Eyes, checkpoint, "train-eyes")


def _read_pairs(data: Sequence[Path]) -> list[EyePair]:
    labels, network = read_all_labels(data), create_face_points(PipelineConfig(provider="cpu"))
    return select_trained(
        [pair for folder, faces in zip(data, labels, strict=True) for pair in read_eyes(folder, faces, network)]
    )


def _collate(crops: Sequence[Crop]) -> tuple[Tensor, Tensor]:
    """Return pixels, n × 1 × 32 × 32, uint8, grey, and targets, n × 4, float32."""
    pixels = np.stack([image for image, _ in crops])[:, None]
    return torch.from_numpy(pixels), torch.from_numpy(np.stack([target for _, target in crops]))
