"""Trains a detector of faces or hands on crops of photos and on scenes composed of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from emotion_ros.config import DetectorTrainConfig
from emotion_ros.perception.detection.cells import STRIDES, cell_centres, decode_cells
from emotion_ros.perception.detection.network_input import read_metadata_of_kind
from emotion_ros.training.checkpoints import load_checkpoint, start_from_file
from emotion_ros.training.detector.detection_loss import decode, imitation_loss, loss
from emotion_ros.training.detector.matching import Match, average_precision, match_faces
from emotion_ros.training.detector.network import DetectionNetwork
from emotion_ros.training.detector.object_kinds import OBJECT_KINDS
from emotion_ros.training.detector.photos import Photo
from emotion_ros.training.detector.training_images import (
    SIDES_PX,
    ImageNumbers,
    Sample,
    TrainingImages,
    collate,
    read_training_photos,
)
from emotion_ros.training.plots import save_batch
from emotion_ros.training.training_loop import Result, fit, make_trainer, one_cycle, run_to_resume, writable
from emotion_ros.types import Image

VAL_PHOTOS = 400
"""Largest number of held-out photos on which the network is validated after an epoch."""

VAL_BATCH_SIZE = 8
VAL_MIN_CONFIDENCE, VAL_MIN_OVERLAP = 0.05, 0.4
"""Confidence from which detections count, and intersection over union from which an object is found, after an epoch."""

SHOWN_IMAGES = 64
"""Training images in batch.png."""


class Detection(L.LightningModule):
    """A detection network and its training. A checkpoint of it contains all that the export needs."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = DetectorTrainConfig(**config)
        points = len(OBJECT_KINDS[self.config.kind].points)
        self.network = DetectionNetwork(self.config.width, points)
        self._matches: list[Match] = []

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the outputs of :class:`DetectionNetwork` for pixels of any number type."""
        values: Tensor = self.network(pixels.float().contiguous(memory_format=torch.channels_last))
        return values

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        """Return the sum of the losses of a batch, see :func:`collate`."""
        pixels, labels, teacher_values = batch
        grid = [torch.from_numpy(values).to(pixels.device) for values in cell_centres(*pixels.shape[2:])]
        cells = decode(self(pixels).float(), *grid)
        losses = loss(cells, labels, *grid)
        if teacher_values.shape[1]:
            losses["teacher"] = self.config.teacher_weight * imitation_loss(
                cells, decode(teacher_values, *grid), labels
            )
        total = torch.stack([*losses.values()]).sum()
        self.log_dict({f"train_{name}": value for name, value in losses.items()}, on_step=False, on_epoch=True)
        self.log("train_loss", total, on_step=False, on_epoch=True)
        return total

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> None:
        """Match the detections in a batch of photos with their objects."""
        pixels, batch_labels, _teacher_values = batch
        height, width = pixels.shape[2:]
        for values, labels in zip(self(pixels).float().cpu().numpy(), batch_labels.cpu().numpy(), strict=True):
            detections = decode_cells(values, height, width, VAL_MIN_CONFIDENCE)
            self._matches.append(match_faces(detections, labels, VAL_MIN_OVERLAP))

    def on_validation_epoch_end(self) -> None:
        """Log the average precision."""
        self.log("val_precision", average_precision(self._matches), sync_dist=True)
        self._matches = []

    def configure_optimizers(self) -> Any:
        """Return optimizer and schedule, see :func:`one_cycle`."""
        return one_cycle(self, self.config)


def train_detector(
    folders: Sequence[Path], model_dir: Path, config: DetectorTrainConfig, resume: bool = False
) -> Result:
    """Train on the photos of folders that are not held out.

    Args:
        folders: see :func:`read_photos`.
        model_dir: gets ``best.ckpt``, ``last.ckpt``, ``metrics.csv``, curves, and ``batch.png`` (training images).
        config: settings; with ``resume`` those of the run, or defaults.
        resume: continue from ``last.ckpt``.

    Returns:
        The score is the average precision on held-out photos.

    Raises:
        ConfigError: a setting is not that of the run that is resumed.
        DatasetError: the photos or backgrounds cannot be used.
        ModelError: the checkpoint or the teacher cannot be used.
        OutputError: ``model_dir`` cannot be written, has nothing to resume, or has a run and ``resume`` is not set.
    """
    last, model, config = run_to_resume(load_detector, model_dir, config, resume)
    L.seed_everything(config.seed, verbose=False)
    cv2.setNumThreads(1)  # OpenCV's threads do not exist in the forked processes that make training images
    training, held_out = read_training_photos(folders, config)
    first_pixels = collate([training[number, SIDES_PX[0]] for number in range(SHOWN_IMAGES)])[0]
    writable(model_dir)
    save_batch(first_pixels.flip(1), model_dir / "batch.png")
    loaders = _loaders(training, held_out, config)
    trainer = make_trainer(model_dir, config, "precision", ("loss", "score", "box", "points"))
    if model is None:
        model = Detection(dataclasses.asdict(config))
        if config.pretrained:
            start_detector(model, Path(config.pretrained), first_pixels)
    return fit(trainer, model.to(memory_format=torch.channels_last), loaders, model_dir, last)


def _loaders(
    training: TrainingImages, held_out: Sequence[Photo], config: DetectorTrainConfig
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    numbers = ImageNumbers(config.images, config.batch_size)
    workers = {"num_workers": config.workers, "persistent_workers": config.workers > 0}
    return (
        DataLoader(training, batch_sampler=numbers, collate_fn=collate, **workers),  # type: ignore[arg-type]
        DataLoader(_validation_samples(held_out), VAL_BATCH_SIZE, collate_fn=collate),  # type: ignore[arg-type]
    )


def _validation_samples(held_out: Sequence[Photo]) -> list[Sample]:
    """Return photos with several objects, or with one if there are none, padded with black to one size."""
    several = [photo for photo in held_out if len(photo.truth) > 1]
    chosen = several or [photo for photo in held_out if len(photo.truth)]
    chosen = chosen[:: -(-len(chosen) // VAL_PHOTOS)]
    height, width = np.max([photo.image.shape[:2] for photo in chosen], 0).tolist()
    return [(pad_to_cells(photo.image, height, width), photo.truth, photo.truth[:0]) for photo in chosen]


def pad_to_cells(image: Image, height: int = 0, width: int = 0) -> Image:
    """Return an image, padded with black on the right and below, so that whole cells of the largest stride cover it.

    Args:
        image: BGR, uint8, h × w × 3.
        height: least height of the result, before it becomes a multiple of that stride.
        width: likewise.
    """
    sides = np.maximum(image.shape[:2], (height, width))
    padded = np.zeros((*(-(-sides // STRIDES[-1]) * STRIDES[-1]), 3), np.uint8)
    padded[: image.shape[0], : image.shape[1]] = image
    return padded


def load_detector(checkpoint: Path) -> Detection:
    """Load the model of a checkpoint.

    Raises:
        ModelError: the file is missing or no checkpoint of ``train-detector``.
    """
    return load_checkpoint(Detection, checkpoint, "train-detector")


def start_detector(model: Detection, path: Path, pixels: Tensor) -> None:
    """Load the weights of an exported file or of a checkpoint into a model, in place.

    The exported file may be of a detector of other objects; the last layers, which then differ, keep their weights.

    Args:
        model: gets the weights.
        path: an ONNX file of ``emotion-ros export``, or a checkpoint.
        pixels: BGR, 0…255, n × 3 × height × width, both multiples of 32; the weights of an ONNX file are assigned to
            layers by running the network on them.

    Raises:
        ModelError: the file is missing, or is no detector of this width.
    """
    config, exported = model.config, path.suffix == ".onnx"
    found = read_metadata_of_kind(path, *OBJECT_KINDS) if exported else {}
    kind = found.get("kind", config.kind)
    source = model if kind == config.kind else Detection({**dataclasses.asdict(config), "kind": kind})
    wanted = f"a detector of {kind}, --width {config.width}"
    source.network.undivided = exported  # the weights of an exported file contain the division by 255
    start_from_file(source, path, kind, wanted, "train-detector", pixels)
    source.network.restore_division()
    if source is not model:
        own = model.network.state_dict()
        shared = {name: value for name, value in source.network.state_dict().items() if value.shape == own[name].shape}
        model.network.load_state_dict({**own, **shared})
