"""Trains the face landmark network on photos that ``emotion-ros label-meshes`` labelled."""

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

from emotion_ros.config import FaceTrainConfig
from emotion_ros.perception.face_crop import CROP_SIZE_PX
from emotion_ros.perception.face_points import NETWORK_KIND
from emotion_ros.training.checkpoints import load_checkpoint, start_from_file
from emotion_ros.training.faces.face_crops import ROTATION, plain_crop, training_crop
from emotion_ros.training.faces.face_network import FaceNetwork
from emotion_ros.training.faces.face_patches import FacePatch, head_model, read_all_labels, read_patches
from emotion_ros.training.numbered_batches import crop_loaders
from emotion_ros.training.plots import save_batch
from emotion_ros.training.training_loop import Result, fit, make_trainer, one_cycle, run_to_resume, writable
from emotion_ros.types import FACE_POINTS, Image

POINT_BETA, ROTATION_BETA = 0.01, 0.05
"""Errors up to which the losses are quadratic: of a coordinate, as a share of the crop's side; of an entry of the
rotation matrix."""

POINT_WEIGHT, ROTATION_WEIGHT = 20.0, 2.0
"""Weights of the losses, each a mean over its values."""

CLOSE_DEG = 5.0
"""Angle between predicted and labelled pose up to which a pose counts as right, after an epoch."""

VAL_BATCH_SIZE = 256

SHOWN_CROPS = 64
"""Crops in batch.png."""

Crop: TypeAlias = "tuple[Image, NDArray[np.float32]]"
"""Pixels and target, see :func:`~emotion_ros.training.faces.face_crops.training_crop`."""


class FaceLandmarks(L.LightningModule):
    """A face landmark network and its training. A checkpoint of it contains all that the export needs.

    Args:
        config: settings.
        shape: the mean face, 70 × 3, against which the poses of the training data were measured.
    """

    def __init__(self, config: dict[str, Any], shape: list[list[float]]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config, self.shape = FaceTrainConfig(**config), shape
        self.network = FaceNetwork()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the values of :class:`FaceNetwork` for pixels of any number type."""
        return self.network(pixels.float())  # type: ignore[no-any-return]

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the sum of the losses of a batch."""
        pixels, targets = batch
        losses = landmark_losses(self(pixels), targets)
        total = torch.stack([*losses.values()]).sum()
        self.log_dict({f"train_{name}": value for name, value in losses.items()}, on_step=False, on_epoch=True)
        self.log("train_loss", total, on_step=False, on_epoch=True)
        return total

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Log the share of right poses, and the mean distance of the landmarks as a share of the crop's side."""
        pixels, targets = batch
        values = self(pixels)
        right = (pose_errors(values, targets) < np.radians(CLOSE_DEG)).float().mean()
        metrics = {"val_pose": right, "val_points": point_errors(values, targets).mean()}
        self.log_dict(metrics, batch_size=len(targets), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Return optimizer and schedule, see :func:`one_cycle`."""
        return one_cycle(self, self.config)


def landmark_losses(values: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Compute the losses ``points`` and ``rotation``, a scalar each, of n × 146 values."""
    points, true_points = (each[:, :ROTATION] / CROP_SIZE_PX for each in (values, targets))
    rotation, true_rotation = (rotation_matrix(each[:, ROTATION:]) for each in (values, targets))
    return {
        "points": POINT_WEIGHT * F.smooth_l1_loss(points, true_points, beta=POINT_BETA),
        "rotation": ROTATION_WEIGHT * F.smooth_l1_loss(rotation, true_rotation, beta=ROTATION_BETA),
    }


def rotation_matrix(columns: Tensor) -> Tensor:
    """Return rotation matrices, n × 3 × 3, from their first two columns, n × 6, which need not be orthonormal."""
    first = F.normalize(columns[:, :3], dim=1)
    second = F.normalize(columns[:, 3:] - (columns[:, 3:] * first).sum(1, keepdim=True) * first, dim=1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], 2)


def pose_errors(values: Tensor, targets: Tensor) -> Tensor:
    """Return the angle between each predicted and labelled pose, radians."""
    predicted, true = (rotation_matrix(each[:, ROTATION:]) for each in (values, targets))
    cosines: Tensor = ((predicted * true).sum((1, 2)) - 1) / 2
    return cosines.clamp(-1, 1).acos()


def point_errors(values: Tensor, targets: Tensor) -> Tensor:
    """Return the distance of each landmark from its label as a share of the crop's side, n × 70."""
    difference = (values - targets)[:, :ROTATION].reshape(-1, FACE_POINTS, 2)
    errors: Tensor = difference.norm(dim=-1) / CROP_SIZE_PX
    return errors


class _TrainingCrops(Dataset[Crop]):
    """Crops by number, made when they are asked for: the same number is always the same crop."""

    def __init__(self, patches: Sequence[FacePatch], seed: int) -> None:
        self._patches, self._seed = patches, seed

    def __getitem__(self, number: int) -> Crop:
        return training_crop(self._patches, np.random.default_rng((self._seed, number)))


def train_face_landmarks(
    data: Sequence[Path], model_dir: Path, config: FaceTrainConfig, resume: bool = False
) -> Result:
    """Train on the photos of folders that are not held out.

    Args:
        data: folders with ``photos.zip`` and the file of ``emotion-ros label-meshes``.
        model_dir: gets ``best.ckpt``, ``last.ckpt``, ``metrics.csv``, curves, and ``batch.png`` (crops).
        config: settings; with ``resume`` those of the run, or defaults.
        resume: continue from ``last.ckpt``.

    Returns:
        The score is the share of poses within 5° of the teacher's on held-out photos.

    Raises:
        ConfigError: a setting is not that of the run that is resumed.
        DatasetError: the photos or their faces cannot be used.
        ModelError: the checkpoint cannot be used.
        OutputError: ``model_dir`` cannot be written, has nothing to resume, or has a run and ``resume`` is not set.
    """
    last, model, config = run_to_resume(load_face_landmarks, model_dir, config, resume)
    L.seed_everything(config.seed, verbose=False)
    cv2.setNumThreads(1)  # OpenCV's threads do not exist in the forked processes that make crops
    labels = read_all_labels(data)
    head = head_model(labels)
    patches = [
        patch
        for folder, faces in zip(data, labels, strict=True)
        for patch in read_patches(folder, faces, head, config.turned)
    ]
    training = _TrainingCrops([patch for patch in patches if not patch.held_out], config.seed)
    held_out = [plain_crop(patch) for patch in patches if patch.held_out]
    writable(model_dir)
    shown = _collate([training[number] for number in range(SHOWN_CROPS)])[0]
    save_batch(shown.expand(-1, 3, -1, -1), model_dir / "batch.png")
    trainer = make_trainer(model_dir, config, "pose", ("loss", "points", "rotation"))
    if model is None:
        model = FaceLandmarks(dataclasses.asdict(config), np.round(head.points, 4).tolist())
        if config.pretrained:
            start_from_file(
                model, Path(config.pretrained), NETWORK_KIND, "face landmarks", "train-face-landmarks", shown
            )
    return fit(trainer, model, crop_loaders(training, held_out, _collate, VAL_BATCH_SIZE, config), model_dir, last)


def load_face_landmarks(checkpoint: Path) -> FaceLandmarks:
    """Load the model of a checkpoint.

    Raises:
        ModelError: the file is missing or no checkpoint of ``train-face-landmarks``.
    """
    return load_checkpoint(FaceLandmarks, checkpoint, "train-face-landmarks")


def _collate(crops: Sequence[Crop]) -> tuple[Tensor, Tensor]:
    """Return pixels, n × 1 × 64 × 64, uint8, grey, and targets, n × 146, float32."""
    pixels = np.stack([image for image, _ in crops])[:, None]
    return torch.from_numpy(pixels), torch.from_numpy(np.stack([target for _, target in crops]))
