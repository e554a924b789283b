"""Trains a face detector on scenes composed of photos; the photos' labels are those of another detector."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from emotion_ros.config import FaceTrainConfig
from emotion_ros.errors import DatasetError, ModelError
from emotion_ros.perception.detection.cells import cell_centres, decode_cells
from emotion_ros.perception.detection.emotion_faces import read_detector_metadata
from emotion_ros.training.classifier.onnx_weights import from_onnx
from emotion_ros.training.detector.detection_loss import decode, loss
from emotion_ros.training.detector.matching import Match, average_precision, match_faces
from emotion_ros.training.detector.network import FaceNetwork
from emotion_ros.training.detector.photos import STATE_COLUMN, Backgrounds, Photo, read_backgrounds, read_photos
from emotion_ros.training.detector.scenes import compose_scene
from emotion_ros.training.plots import save_batch
from emotion_ros.training.training_loop import Result, checkpoint_to_resume, fit, make_trainer, one_cycle, writable
from emotion_ros.types import Image

SIDES_PX = (224, 320, 320, 448)
"""Sides of the training scenes, one per batch in turn, so that the network works at any image size."""

VAL_SCENES, VAL_SIDE_PX, VAL_SEED = 384, 320, 2**31
"""Number, side and seed of the scenes of held-out photos. They are the same after every epoch."""

VAL_BATCH_SIZE = 32
VAL_MIN_CONFIDENCE, VAL_MIN_OVERLAP = 0.05, 0.5
"""Confidence from which detections count, and intersection over union from which a face is found, after an epoch."""

SHOWN_SCENES = 64
"""Scenes in batch.png."""

PADDING_STATE = -1
"""State of the rows that pad the faces of a batch to the same number."""

LabelledScene: TypeAlias = "tuple[Image, NDArray[np.float32]]"
"""Result of :func:`~emotion_ros.training.detector.scenes.compose_scene`."""


class FaceDetection(L.LightningModule):
    """A face network and its training. A checkpoint of it contains all that the export needs."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = FaceTrainConfig(**config)
        self.network = FaceNetwork(self.config.width)
        self._matches: list[Match] = []

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the outputs of :class:`FaceNetwork` for pixels of any number type."""
        values: Tensor = self.network(pixels.float().contiguous(memory_format=torch.channels_last))
        return values

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the sum of the losses of a batch of scenes, see :func:`_collate`."""
        pixels, faces = batch
        points, strides = (torch.from_numpy(values).to(pixels.device) for values in cell_centres(*pixels.shape[2:]))
        cells = decode(self(pixels).float(), points, strides)
        losses = loss(cells, faces, points, strides)
        total = torch.stack([*losses.values()]).sum()
        self.log_dict({f"train_{name}": value for name, value in losses.items()}, on_step=False, on_epoch=True)
        self.log("train_loss", total, on_step=False, on_epoch=True, prog_bar=True)
        return total

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Match the detections in a batch of scenes with their faces."""
        pixels, batch_faces = batch
        height, width = pixels.shape[2:]
        for values, faces in zip(self(pixels).float().cpu().numpy(), batch_faces.cpu().numpy(), strict=True):
            detections = decode_cells(values, height, width, VAL_MIN_CONFIDENCE)
            self._matches.append(match_faces(detections, faces, VAL_MIN_OVERLAP))

    def on_validation_epoch_end(self) -> None:
        """Log the average precision."""
        self.log("val_precision", average_precision(self._matches), prog_bar=True, sync_dist=True)
        self._matches = []

    def configure_optimizers(self) -> Any:
        """Return optimizer and schedule, see :func:`one_cycle`."""
        return one_cycle(self, self.config)


class _Scenes(Dataset[LabelledScene]):
    """Scenes by number and side, composed when they are asked for: the same number is always the same scene."""

    def __init__(self, photos: Sequence[Photo], backgrounds: Backgrounds, seed: int) -> None:
        self._photos, self._backgrounds, self._seed = photos, backgrounds, seed

    def __getitem__(self, key: tuple[int, int]) -> LabelledScene:
        number, side = key
        return compose_scene(self._photos, self._backgrounds, side, np.random.default_rng((self._seed, number)))


class _ComposedScenes(Dataset[LabelledScene]):
    """Scenes in memory."""

    def __init__(self, scenes: Sequence[LabelledScene]) -> None:
        self._scenes = scenes

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, number: int) -> LabelledScene:
        return self._scenes[number]


class _SceneNumbers(Sampler[Any]):
    """Batches of scene numbers that continue from epoch to epoch; each process of a training gets its share."""

    def __init__(self, config: FaceTrainConfig) -> None:
        self._world, self._rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        self._batch_size, self._epoch = config.batch_size, 0
        self._batches = max(config.scenes // (config.batch_size * self._world), 1)

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in range(self._epoch * self._batches, (self._epoch + 1) * self._batches):
            first = (batch * self._world + self._rank) * self._batch_size
            side = SIDES_PX[batch % len(SIDES_PX)]
            yield [(number, side) for number in range(first, first + self._batch_size)]

    @property
    def sampler(self) -> _SceneNumbers:
        """Return this object: Lightning calls ``set_epoch`` on the sampler of a batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch. Called by Lightning before each epoch."""
        self._epoch = epoch


def train_detector(data: Path, model_dir: Path, config: FaceTrainConfig, resume: bool = False) -> Result:
    """Train on the photos of a folder that are not held out.

    Args:
        data: see :func:`read_photos`.
        model_dir: gets ``best.ckpt``, ``last.ckpt``, ``metrics.csv``, curves, and ``batch.png`` (scenes).
        config: settings; those of the checkpoint with ``resume``.
        resume: continue from ``last.ckpt``.

    Returns:
        The score is the average precision in scenes of held-out photos.

    Raises:
        DatasetError: the photos or backgrounds cannot be used.
        ModelError: the checkpoint cannot be used.
        OutputError: ``model_dir`` cannot be written, or has nothing to resume.
    """
    last = checkpoint_to_resume(model_dir) if resume else None
    model = load_detector(last) if last else None
    config = model.config if model else config
    L.seed_everything(config.seed, verbose=False)
    cv2.setNumThreads(1)  # OpenCV's threads do not exist in the forked processes that compose scenes
    training, held_out = _scenes(data, config)
    first_pixels = _collate([training[number, SIDES_PX[0]] for number in range(SHOWN_SCENES)])[0]
    writable(model_dir)
    save_batch(first_pixels.flip(1), model_dir / "batch.png")
    loaders = _loaders(training, held_out, config)
    trainer = make_trainer(model_dir, config, "precision", ("loss", "score", "box", "points"))
    if model is None:
        model = FaceDetection(dataclasses.asdict(config))
        if config.pretrained:
            start_from_file(model, Path(config.pretrained), first_pixels)
    return fit(trainer, model.to(memory_format=torch.channels_last), loaders, model_dir, last)


def _scenes(data: Path, config: FaceTrainConfig) -> tuple[_Scenes, _Scenes]:
    """Return scenes of the photos for training, and of those that are held out."""
    photos, backgrounds = read_photos(data, config.every), read_backgrounds(config.backgrounds)
    training = [photo for photo in photos if not photo.held_out]
    held_out = [photo for photo in photos if photo.held_out]
    if not training or not held_out:
        raise DatasetError(f"{data}: expected some hundred photos, got {len(photos)}")
    return _Scenes(training, backgrounds, config.seed), _Scenes(held_out, backgrounds, VAL_SEED)


def _loaders(training: _Scenes, held_out: _Scenes, config: FaceTrainConfig) -> tuple[DataLoader[Any], DataLoader[Any]]:
    composed = _ComposedScenes([held_out[number, VAL_SIDE_PX] for number in range(VAL_SCENES)])
    return (
        DataLoader(
            training,
            batch_sampler=_SceneNumbers(config),
            collate_fn=_collate,
            num_workers=config.workers,
            persistent_workers=config.workers > 0,
        ),
        DataLoader(composed, VAL_BATCH_SIZE, collate_fn=_collate),
    )


def load_detector(checkpoint: Path) -> FaceDetection:
    """Load the model of a checkpoint.

    Raises:
        ModelError: the file is missing or no checkpoint of ``train-detector``.
    """
    try:
        model: FaceDetection = FaceDetection.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises exceptions of many types for a corrupt file
        raise ModelError(f"{checkpoint}: expected a checkpoint of emotion-ros train-detector: {error}") from error
    return model


def start_from_file(model: FaceDetection, path: Path, pixels: Tensor) -> None:
    """Load the weights of an exported file or of a checkpoint into a model, in place.

    Args:
        model: gets the weights.
        path: an ONNX file of ``emotion-ros export``, or a checkpoint.
        pixels: BGR, 0…255, n × 3 × height × width, both multiples of 32; the weights of an ONNX file are assigned to
            layers by running the network on them.

    Raises:
        ModelError: the file is missing, or is no detector of this width.
    """
    wanted = f"a detector of width {model.config.width}"
    if path.suffix == ".onnx":
        if not read_detector_metadata(path):
            raise ModelError(f"{path}: expected the ONNX file of {wanted} (emotion-ros train-detector, export)")
        model.network.undivided = True  # the weights of an exported file contain the division by 255
        from_onnx(model.network, path, wanted, pixels.float())
        model.network.restore_division()
        return
    try:
        model.load_state_dict(load_detector(path).state_dict())
    except RuntimeError as error:  # raised by torch if shapes differ
        raise ModelError(f"{path}: expected {wanted}: {str(error).splitlines()[-1].strip()}") from error


def _collate(scenes: Sequence[LabelledScene]) -> tuple[Tensor, Tensor]:
    """Return pixels, n × 3 × side × side, uint8, BGR, and faces, n × the largest number × 15, float32, padded."""
    max_faces = max([1, *(len(faces) for _, faces in scenes)])
    padded = np.full((len(scenes), max_faces, STATE_COLUMN + 1), PADDING_STATE, np.float32)
    for row, (_, faces) in zip(padded, scenes, strict=True):
        row[: len(faces)] = faces
    pixels = np.stack([image for image, _ in scenes]).transpose(0, 3, 1, 2)
    return torch.from_numpy(pixels), torch.from_numpy(padded)
