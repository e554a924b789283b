"""Train a face detector on scenes composed of photos, with another detector's answers as labels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from emotion_ros.config import FaceTrainConfig
from emotion_ros.errors import DatasetError, ModelError
from emotion_ros.perception.detection.cells import centres, find
from emotion_ros.perception.detection.emotion_faces import about_detector
from emotion_ros.training.classifier.onnx_weights import from_onnx
from emotion_ros.training.detector.detection_loss import decode, loss
from emotion_ros.training.detector.detector_evaluation import average_precision, matches
from emotion_ros.training.detector.network import FaceNetwork
from emotion_ros.training.detector.photos import Backgrounds, Photo, read_backgrounds, read_photos
from emotion_ros.training.detector.scenes import scene
from emotion_ros.training.plots import save_batch
from emotion_ros.training.training_loop import Result, checkpoint_to_resume, fit, make_trainer, one_cycle, writable
from emotion_ros.types import Image

SIDES = (224, 320, 320, 448)
"""Pixels of the scenes, a batch each in turn: what the network sees at one size it shall know at another."""

VAL_SCENES, VAL_SIDE, VAL_SEED = 384, 320, 2**31
"""Scenes of photos that are left out of training, the same after every epoch."""

FrameState = tuple[Image, NDArray[np.float32]]


class FaceDetection(L.LightningModule):
    """A face network and how it is trained; a checkpoint of it holds all that export needs."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = FaceTrainConfig(**config)
        self.network = FaceNetwork(self.config.width)
        self._found: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def forward(self, pixels: Tensor) -> Tensor:
        """See :class:`FaceNetwork`."""
        values: Tensor = self.network(pixels.float().contiguous(memory_format=torch.channels_last))
        return values

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Losses of scores, boxes and landmarks on a batch of scenes."""
        pixels, faces = batch
        points, strides = (torch.from_numpy(each).to(pixels.device) for each in centres(*pixels.shape[2:]))
        cells = decode(self(pixels).float(), points, strides)
        parts = loss(cells, faces, points, strides)
        total = torch.stack([*parts.values()]).sum()
        self.log_dict({f"train_{name}": value for name, value in parts.items()}, on_step=False, on_epoch=True)
        self.log("train_loss", total, on_step=False, on_epoch=True, prog_bar=True)
        return total

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Keep what was found."""
        pixels, faces = batch
        height, width = pixels.shape[2:]
        for values, truth in zip(self(pixels).float().cpu().numpy(), faces.cpu().numpy(), strict=True):
            self._found.append((find(values, height, width, 0.05), truth[truth[:, 14] >= 0]))

    def on_validation_epoch_end(self) -> None:
        """Average precision at an overlap of 0.5."""
        tried = [
            matches(found, truth[truth[:, 14] == 1], 0.5, truth[truth[:, 14] == 0]) for found, truth in self._found
        ]
        self._found = []
        self.log("val_precision", average_precision(tried), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """See :func:`one_cycle`."""
        return one_cycle(self, self.config)


class _Scenes(Dataset[FrameState]):
    """Scenes by number and size: the same number is always the same scene."""

    def __init__(self, photos: Sequence[Photo], backgrounds: Backgrounds, seed: int) -> None:
        self._photos, self._backgrounds, self._seed = photos, backgrounds, seed

    def __getitem__(self, which: tuple[int, int]) -> FrameState:
        number, side = which
        return scene(self._photos, self._backgrounds, side, np.random.default_rng((self._seed, number)))


class _Kept(Dataset[FrameState]):
    """Scenes that are composed once."""

    def __init__(self, scenes: Sequence[FrameState]) -> None:
        self._scenes = scenes

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, number: int) -> FrameState:
        return self._scenes[number]


class _Numbers(Sampler[Any]):
    """Batches of numbers that go on from epoch to epoch; each process gets its share."""

    def __init__(self, config: FaceTrainConfig) -> None:
        world, self._rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        self._size, self._world, self._epoch = config.batch_size, world, 0
        self._batches = max(config.scenes // (config.batch_size * world), 1)

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in range(self._epoch * self._batches, (self._epoch + 1) * self._batches):
            first = (batch * self._world + self._rank) * self._size
            yield [(number, SIDES[batch % len(SIDES)]) for number in range(first, first + self._size)]

    @property
    def sampler(self) -> _Numbers:
        """Where Lightning looks for ``set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self._epoch = epoch


def train_detector(data: Path, model_dir: Path, config: FaceTrainConfig, resume: bool = False) -> Result:
    """Train on the photos of a folder that are not held out.

    Args:
        data: as :func:`read_photos` reads it.
        model_dir: gets ``best.ckpt``, ``last.ckpt``, ``metrics.csv``, curves, and ``batch.png`` (scenes).
        config: how.
        resume: go on from ``last.ckpt``.

    Returns:
        Its score is the average precision on scenes of held-out photos.

    Raises:
        DatasetError: the photos or backgrounds cannot be used.
        ModelError: the checkpoint cannot be used.
        OutputError: ``model_dir`` cannot be written, or holds nothing to resume.
    """
    last = checkpoint_to_resume(model_dir) if resume else None
    model = load_detector(last) if last else None
    config = model.config if model else config
    L.seed_everything(config.seed, verbose=False)
    cv2.setNumThreads(1)  # OpenCV's threads do not survive in the processes that compose scenes
    photos, backgrounds = read_photos(data, config.every), read_backgrounds(config.backgrounds)
    seen, unseen = [each for each in photos if not each.held_out], [each for each in photos if each.held_out]
    if not seen or not unseen:
        raise DatasetError(f"{data}: expected some hundred photos, got {len(photos)}")
    training, held_out = _Scenes(seen, backgrounds, config.seed), _Scenes(unseen, backgrounds, VAL_SEED)
    first = _collate([training[number, SIDES[0]] for number in range(64)])[0]
    writable(model_dir)
    save_batch(first.flip(1), model_dir / "batch.png")
    loaders: tuple[DataLoader[Any], DataLoader[Any]] = (
        DataLoader(
            training,
            batch_sampler=_Numbers(config),
            collate_fn=_collate,
            num_workers=config.workers,
            persistent_workers=config.workers > 0,
        ),
        DataLoader(_Kept([held_out[number, VAL_SIDE] for number in range(VAL_SCENES)]), 32, collate_fn=_collate),
    )
    trainer = make_trainer(model_dir, config, "precision", ("loss", "score", "box", "points"))
    if model is None:
        model = FaceDetection(dataclasses.asdict(config))
        if config.pretrained:
            _start_from(model, Path(config.pretrained), first)
    return fit(trainer, model.to(memory_format=torch.channels_last), loaders, model_dir, last)


def load_detector(checkpoint: Path) -> FaceDetection:
    """The model of a checkpoint.

    Raises:
        ModelError: the file is missing or no checkpoint of ``train-detector``.
    """
    try:
        model: FaceDetection = FaceDetection.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler met
        raise ModelError(f"{checkpoint}: expected a checkpoint of emotion-ros train-detector: {error}") from error
    return model


def _start_from(model: FaceDetection, path: Path, pixels: Tensor) -> None:
    """Fill a detector with the weights of a checkpoint or of an exported ONNX file.

    Args:
        model: the detector.
        path: the file.
        pixels: training scenes, n × 3 × height × width, BGR, 0…255.

    Raises:
        ModelError: the file cannot be used, or is a detector of another width.
    """
    wanted = f"a detector of width {model.config.width}"
    if path.suffix == ".onnx":
        if not about_detector(path):
            raise ModelError(f"{path}: expected the ONNX file of {wanted} (emotion-ros train-detector, export)")
        model.network.undivided = True  # the weights of an exported file contain the division by 255
        from_onnx(model.network, path, wanted, pixels.float())
        model.network.restore_division()
        return
    try:
        model.load_state_dict(load_detector(path).state_dict())
    except RuntimeError as error:  # what torch says where shapes differ
        raise ModelError(f"{path}: expected {wanted}: {str(error).splitlines()[-1].strip()}") from error


def _collate(scenes: Sequence[FrameState]) -> tuple[Tensor, Tensor]:
    most = max(max(len(faces) for _, faces in scenes), 1)
    padded = np.full((len(scenes), most, 15), -1, np.float32)
    for row, (_, faces) in zip(padded, scenes, strict=True):
        row[: len(faces)] = faces
    pixels = np.stack([image for image, _ in scenes]).transpose(0, 3, 1, 2)
    return torch.from_numpy(pixels), torch.from_numpy(padded)
