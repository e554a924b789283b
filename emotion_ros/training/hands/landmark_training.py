"""Trains the hand landmark network on photos that ``emotion-ros label-hands`` labelled."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
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

from emotion_ros.config import HandTrainConfig
from emotion_ros.errors import DatasetError
from emotion_ros.perception.detection.hand_crop import CROP_SIZE_PX
from emotion_ros.perception.detection.hand_networks import LANDMARK_KIND, PRESENCE, RIGHT
from emotion_ros.training.checkpoints import load_checkpoint, start_from_file
from emotion_ros.training.hands.hand_crops import BONES, plain_crop, pose_shares, training_crop
from emotion_ros.training.hands.hand_photos import HandPatch, read_empty, read_patches
from emotion_ros.training.hands.landmark_network import HEATMAP_STRIDE, LANDMARKS, LandmarkNetwork
from emotion_ros.training.numbered_batches import crop_loaders
from emotion_ros.training.plots import save_batch
from emotion_ros.training.training_loop import Result, fit, make_trainer, one_cycle, run_to_resume, writable
from emotion_ros.types import Image

POINT_BETA = 0.01
"""Landmark error, as a share of the crop's side, up to which the loss is quadratic."""

POINT_WEIGHT, BONE_WEIGHT, HEATMAP_WEIGHT, PRESENCE_WEIGHT, SIDE_WEIGHT = 10.0, 10.0, 2.0, 0.5, 1.0
"""Weights of the losses; the errors of landmarks and bones are shares of the crop's side."""

HEATMAP_SIGMA = 1.0
"""Standard deviation of the heatmaps that are trained for, in their cells."""

FOUND_PALMS = 0.1
"""Landmark error in palm lengths up to which a landmark counts as found, after an epoch."""

VAL_BATCH_SIZE = 64
VAL_SEED = 2**31

SHOWN_CROPS = 64
"""Crops in batch.png."""

Crop: TypeAlias = "tuple[Image, NDArray[np.float32]]"
"""Pixels and target, see :func:`~emotion_ros.training.hands.hand_crops.training_crop`."""


@dataclass(frozen=True)
class HandData:
    """Patches with and without hands."""

    hands: Sequence[HandPatch]
    empty: Sequence[HandPatch]

    def part(self, held_out: bool) -> HandData:
        """Return the patches of the photos that are held out, or of the others."""
        return HandData(*([patch for patch in part if patch.held_out is held_out] for part in (self.hands, self.empty)))


class HandLandmarks(L.LightningModule):
    """A landmark network and its training. A checkpoint of it contains all that the export needs."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = HandTrainConfig(**config)
        self.network = LandmarkNetwork(self.config.width)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and heatmaps, see :meth:`LandmarkNetwork.with_heatmaps`, for pixels of any number type."""
        return self.network.with_heatmaps(pixels.float().contiguous(memory_format=torch.channels_last))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the sum of the losses of a batch."""
        pixels, targets = batch
        values, heatmaps = self(pixels)
        losses = landmark_losses(values, heatmaps, targets)
        total = torch.stack([*losses.values()]).sum()
        self.log_dict({f"train_{name}": value for name, value in losses.items()}, on_step=False, on_epoch=True)
        self.log("train_loss", total, on_step=False, on_epoch=True)
        return total

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Log the share of found landmarks, of right presences and of right sides."""
        pixels, targets = batch
        values = self(pixels)[0]
        present = targets[:, PRESENCE] > 0
        presence = ((values[:, PRESENCE] > 0) == present).float().mean()
        self.log("val_presence", presence, batch_size=len(targets), sync_dist=True)
        if not present.any():
            return
        errors = landmark_errors(values[present], targets[present])
        side = (values[present, RIGHT] > 0) == (targets[present, RIGHT] > 0)
        shares = {"val_landmarks": (errors < FOUND_PALMS).float().mean(), "val_side": side.float().mean()}
        self.log_dict(shares, batch_size=int(present.sum()), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Return optimizer and schedule, see :func:`one_cycle`."""
        return one_cycle(self, self.config)


def landmark_losses(values: Tensor, heatmaps: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Compute the losses ``points``, ``bones``, ``heatmaps``, ``presence`` and ``side``, a scalar each.

    A bone is the vector between two neighbouring landmarks of a finger: gestures depend on its direction, which may be
    wrong although both landmarks are nearly right.

    Args:
        values: n × 44, see :data:`emotion_ros.training.hands.landmark_network.VALUES`.
        heatmaps: n × 21 × h × w, logits.
        targets: n × 44.
    """
    truth = targets[:, :PRESENCE].reshape(-1, LANDMARKS, 2) / CROP_SIZE_PX
    points = values[:, :PRESENCE].reshape(-1, LANDMARKS, 2) / CROP_SIZE_PX
    present = targets[:, PRESENCE]
    inside = ((truth > 0) & (truth < 1)).all(-1) & (present > 0)[:, None]
    count = inside.sum().clamp(min=1)
    errors = F.smooth_l1_loss(points, truth, beta=POINT_BETA, reduction="none").sum(-1)
    first, second = torch.tensor(BONES, device=values.device).T
    bones, true_bones = points[:, second] - points[:, first], truth[:, second] - truth[:, first]
    bone_errors = F.smooth_l1_loss(bones, true_bones, beta=POINT_BETA, reduction="none").sum(-1)
    whole = inside[:, first] & inside[:, second]
    right = F.binary_cross_entropy_with_logits(values[:, RIGHT], targets[:, RIGHT], reduction="none")
    return {
        "points": POINT_WEIGHT * (errors * inside).sum() / count,
        "bones": BONE_WEIGHT * (bone_errors * whole).sum() / whole.sum().clamp(min=1),
        "heatmaps": HEATMAP_WEIGHT * (_divergence(heatmaps, truth) * inside).sum() / count,
        "presence": PRESENCE_WEIGHT * F.binary_cross_entropy_with_logits(values[:, PRESENCE], present),
        "side": SIDE_WEIGHT * (right * present).sum() / present.sum().clamp(min=1),
    }


def _divergence(heatmaps: Tensor, truth: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of each heatmap's softmax from a Gaussian around the landmark, n × 21.

    ``truth``: n × 21 × 2, shares of the crop's side.
    """
    side = heatmaps.shape[-1]
    cells = LandmarkNetwork.positions_of(side).to(heatmaps.device)
    sigma = HEATMAP_SIGMA * HEATMAP_STRIDE / CROP_SIZE_PX
    logs = [-((cells - truth[..., axis, None]) ** 2) / (2 * sigma**2) for axis in (0, 1)]
    target = (logs[1][..., :, None] + logs[0][..., None, :]).flatten(2).log_softmax(-1)
    divergence: Tensor = (target.exp() * (target - heatmaps.flatten(2).log_softmax(-1))).sum(-1)
    return divergence


def landmark_errors(values: Tensor, targets: Tensor) -> Tensor:
    """Return the distance of each landmark from its target in palm lengths, n × 21."""
    truth, points = (rows[:, :PRESENCE].reshape(-1, LANDMARKS, 2) for rows in (targets, values))
    palm = torch.maximum((truth[:, 9] - truth[:, 0]).norm(dim=-1), (truth[:, 17] - truth[:, 5]).norm(dim=-1))
    errors: Tensor = (points - truth).norm(dim=-1) / palm.clamp(min=1)[:, None]
    return errors


class _TrainingCrops(Dataset[Crop]):
    """Crops by number, made when they are asked for: the same number is always the same crop."""

    def __init__(self, data: HandData, seed: int) -> None:
        self._data, self._seed = data, seed
        self._shares = pose_shares(data.hands)

    def __getitem__(self, number: int) -> Crop:
        rng = np.random.default_rng((self._seed, number))
        return training_crop(self._data.hands, self._shares, self._data.empty, rng)


def _held_out_crops(data: HandData) -> list[Crop]:
    """Return one crop of each patch."""
    rng = np.random.default_rng(VAL_SEED)
    return [plain_crop(patch, rng) for patch in (*data.hands, *data.empty)]


def train_hands(data: Sequence[Path], model_dir: Path, config: HandTrainConfig, resume: bool = False) -> Result:
    """Train on the photos of folders that are not held out.

    Args:
        data: folders, see :func:`read_patches`.
        model_dir: gets ``best.ckpt``, ``last.ckpt``, ``metrics.csv``, curves, and ``batch.png`` (crops).
        config: settings; with ``resume`` those of the run, or defaults.
        resume: continue from ``last.ckpt``.

    Returns:
        The score is the share of landmarks within a tenth of the palm's length of the teacher's on held-out photos.

    Raises:
        ConfigError: a setting is not that of the run that is resumed.
        DatasetError: the photos or their hands cannot be used.
        ModelError: the checkpoint cannot be used.
        OutputError: ``model_dir`` cannot be written, has nothing to resume, or has a run and ``resume`` is not set.
    """
    last, model, config = run_to_resume(load_landmarks, model_dir, config, resume)
    L.seed_everything(config.seed, verbose=False)
    cv2.setNumThreads(1)  # OpenCV's threads do not exist in the forked processes that make crops
    patches = read_hand_data(data, config)
    training = _TrainingCrops(patches.part(held_out=False), config.seed)
    writable(model_dir)
    shown = torch.from_numpy(np.stack([training[number][0] for number in range(SHOWN_CROPS)]).transpose(0, 3, 1, 2))
    save_batch(shown.flip(1), model_dir / "batch.png")
    held_out = _held_out_crops(patches.part(held_out=True))
    loaders = crop_loaders(training, held_out, _collate, VAL_BATCH_SIZE, config)
    trainer = make_trainer(model_dir, config, "landmarks", ("loss", "points", "bones", "heatmaps", "presence", "side"))
    if model is None:
        model = HandLandmarks(dataclasses.asdict(config))
        if config.pretrained:
            wanted = f"hand landmarks, width {config.width}"
            start_from_file(model, Path(config.pretrained), LANDMARK_KIND, wanted, "train-hands", shown)
    return fit(trainer, model.to(memory_format=torch.channels_last), loaders, model_dir, last)


def read_hand_data(data: Sequence[Path], config: HandTrainConfig) -> HandData:
    """Read the patches of all folders and of the backgrounds.

    Raises:
        DatasetError: there are too few of them, or they cannot be read.
    """
    without = tuple(part for part in config.without.split(",") if part)
    patches = [patch for folder in data for patch in read_patches(folder, without)]
    if config.backgrounds:
        patches += read_empty(Path(config.backgrounds) / "photos.zip")
    result = HandData([p for p in patches if len(p.points)], [p for p in patches if not len(p.points)])
    if not all(len(result.part(held_out).hands) for held_out in (False, True)):
        folders = ", ".join(map(str, data))
        raise DatasetError(f"{folders}: expected some hundred labelled hands, got {len(result.hands)}")
    return result


def load_landmarks(checkpoint: Path) -> HandLandmarks:
    """Load the model of a checkpoint.

    Raises:
        ModelError: the file is missing or no checkpoint of ``train-hands``.
    """
    return load_checkpoint(HandLandmarks, checkpoint, "train-hands")


def _collate(crops: Sequence[Crop]) -> tuple[Tensor, Tensor]:
    """Return pixels, n × 3 × 128 × 128, uint8, BGR, and targets, n × 44, float32."""
    pixels = np.stack([image for image, _ in crops]).transpose(0, 3, 1, 2)
    return torch.from_numpy(pixels), torch.from_numpy(np.stack([target for _, target in crops]))
