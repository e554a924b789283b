"""Train a classifier: read this file from top to bottom.

Lightning runs the loop: it brings checkpoints that resume, averaged weights, loggers, a progress bar and several
processes, each kept by people who do nothing else; ``transformers`` would bring a second, heavier configuration of the
same and no averaging of weights.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler, SequentialSampler

from emotion_ros.config import TrainConfig
from emotion_ros.errors import DatasetError, ModelError
from emotion_ros.perception.emotion.preprocess import normalise
from emotion_ros.training.classifier.architectures import ARCHITECTURES
from emotion_ros.training.classifier.augmentation import augment, mix
from emotion_ros.training.classifier.distillation import soft_targets
from emotion_ros.training.classifier.pretrained import start_from
from emotion_ros.training.data.datasets import Samples, check_classes, read_split
from emotion_ros.training.data.readers import has
from emotion_ros.training.data.region_crop import View
from emotion_ros.training.plots import save_batch
from emotion_ros.training.training_loop import Result, checkpoint_to_resume, fit, make_trainer, one_cycle, writable

UNFOLDED_ON = 512
"""Pictures that show a network its own statistics where it starts from an ONNX file."""


class Classifier(L.LightningModule):
    """A network, what it was trained on and how; a checkpoint of it holds all that ``export`` needs."""

    def __init__(
        self,
        config: dict[str, Any],
        labels: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        weights: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = TrainConfig(**config)
        self.labels, self.mean, self.std = tuple(labels), tuple(mean), tuple(std)
        channels = 1 if self.config.color == "grey" else 3
        outputs = len(labels) * (2 if self.config.vote_head else 1)
        self.network = ARCHITECTURES[self.config.arch](outputs, channels, self.config.size)
        self.register_buffer("weights", torch.tensor(weights or [1.0] * len(labels)), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits, n × labels, for pixels of 0…255, n × channels × size × size; with a vote head n × 2 · labels, its
        own first."""
        values: Tensor = normalise(pixels.float(), self.mean, self.std)
        logits: Tensor = self.network(values.contiguous(memory_format=torch.channels_last))
        return logits

    def on_train_batch_start(self, *_: Any) -> None:
        """Each step has random numbers of its own, so that a resumed run draws what an uninterrupted one would."""
        torch.manual_seed(hash((self.config.seed, self.global_step, self.global_rank)) % 2**63)

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        """Cross-entropy against soft targets on a randomly changed batch."""
        pixels, targets, votes, classes = batch
        weighed = self.weights[classes]  # type: ignore[index]
        pixels, (targets, votes, weighed) = mix(
            augment(pixels.float(), self.config), (targets, votes, weighed), self.config.mixup
        )
        outputs = self(pixels).float()
        logits = outputs[:, -len(self.labels) :]
        each = F.cross_entropy(logits, targets, reduction="none")
        if self.config.vote_head:  # a picture without votes has a row of zeros, which costs nothing
            each = each + F.cross_entropy(outputs[:, : len(self.labels)], votes, reduction="none")
        loss: Tensor = (each * weighed).mean()
        right = (logits.argmax(1) == classes).float().mean()
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train_accuracy", right, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, ...], _: int) -> None:
        """Loss and accuracy on pictures as they are."""
        pixels, targets, votes, classes = batch
        outputs = self(pixels).float()
        logits = outputs[:, -len(self.labels) :]
        right = (logits.argmax(1) == classes).float().mean()
        self.log("val_loss", F.cross_entropy(logits, targets), prog_bar=True, sync_dist=True)
        self.log("val_accuracy", right, prog_bar=True, sync_dist=True)
        if self.config.vote_head:
            agreed = (outputs[:, : len(self.labels)].argmax(1) == votes.argmax(1))[votes.amax(1) > 0.5].float().mean()
            self.log("val_vote_accuracy", agreed, prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """See :func:`one_cycle`."""
        return one_cycle(self, self.config)


class _Batches(Dataset[Any]):
    """Pixels, targets, votes and classes as tensors, fetched a batch of indices at a time."""

    def __init__(self, *parts: NDArray[Any]) -> None:
        self.parts = tuple(torch.from_numpy(part) for part in parts)

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, indices: list[int]) -> tuple[Tensor, ...]:
        return tuple(part[indices] for part in self.parts)


class _EpochBatches(BatchSampler):
    """Batches whose order depends on seed and epoch alone; each process gets its share."""

    def __init__(self, batches: _Batches, config: TrainConfig) -> None:
        world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        order: DistributedSampler[Any] = DistributedSampler(batches, world, rank, shuffle=True, seed=config.seed)
        super().__init__(order, config.batch_size, drop_last=len(order) >= config.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        assert isinstance(self.sampler, DistributedSampler)
        self.sampler.set_epoch(epoch)


def train(data: Path, model_dir: Path, config: TrainConfig, resume: bool = False) -> Result:
    """Train on ``data``'s train split, choose by its val split, and keep the best and the last checkpoint.

    Args:
        data: a folder that :func:`emotion_ros.training.data.datasets.read_split` reads.
        model_dir: gets ``best.ckpt``, ``last.ckpt``, ``metrics.csv``, ``Accuracy.png``, ``Loss.png``, ``batch.png``
            (what the network sees) and TensorBoard's files.
        config: how.
        resume: go on from ``last.ckpt`` in ``model_dir`` with the settings it was started with.

    Raises:
        ConfigError: Weights & Biases is asked for and not installed.
        DatasetError: the data cannot be used, or are others than those of the run that is resumed.
        ModelError: the weights to start from, or the checkpoint, cannot be used.
        OutputError: ``model_dir`` cannot be written, or holds nothing to resume.
    """
    last = checkpoint_to_resume(model_dir) if resume else None
    if last is not None:
        config = load(last).config
    L.seed_everything(config.seed, verbose=False)
    samples, held_out = _read(data, config)
    model = _model(samples, config, last)
    first = augment(torch.from_numpy(samples.pixels[:64]).float(), config)
    rank_zero_only(save_batch)(first, writable(model_dir) / "batch.png")
    if config.compile:
        model.network.compile(dynamic=False)
    trainer = make_trainer(model_dir, config)
    return fit(trainer, model, _loaders(samples, held_out, config), model_dir, last)


def view(config: TrainConfig) -> View:
    """What a network that is trained so sees of a picture."""
    return View(config.size, config.color, config.region, config.crop_margin, config.crop_shift, config.crop)


def _read(data: Path, config: TrainConfig) -> tuple[Samples, Samples]:
    samples, held_out = read_split(data, "train", view(config)), read_split(data, "val", view(config))
    check_classes(f"{data}, val", held_out.labels, samples.labels, all_of=True)
    return _without_copies(data, config, samples, held_out), held_out


def _without_copies(data: Path, config: TrainConfig, samples: Samples, held_out: Samples) -> Samples:
    """The training pictures that are no copies of one in val or test: that would test what was learned by heart."""
    others = [held_out, *([read_split(data, "test", view(config))] if has(data, "test") else [])]
    known = {pixels.tobytes() for each in others for pixels in each.pixels}
    fresh = np.array([pixels.tobytes() not in known for pixels in samples.pixels])
    if not fresh.all():
        count = f"{int((~fresh).sum())} of {len(fresh)} pictures"
        print(f"{data}: left out {count} of train that are copies of some in val or test")
    return samples.only(fresh)


def _model(samples: Samples, config: TrainConfig, last: Path | None) -> Classifier:
    """A fresh model, filled with the weights to start from; a resumed one is filled later, from its checkpoint."""
    if last is not None:
        model: Classifier = load(last)
        if model.labels != samples.labels:
            raise DatasetError(
                f"{last}: was trained on {', '.join(model.labels)}, the data hold {', '.join(samples.labels)}"
            )
        return model.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]
    mean, std = _statistics(samples)
    counts = torch.bincount(torch.from_numpy(samples.classes), minlength=len(samples.labels)).float()
    weights = (len(samples) / (len(counts) * counts.clamp(min=1))) ** config.balance
    model = Classifier(dataclasses.asdict(config), samples.labels, mean, std, weights.tolist())
    summarize = torch.from_numpy(samples.pixels[:: max(len(samples) // UNFOLDED_ON, 1)][:UNFOLDED_ON]).float()
    print(start_from(model.network, config.pretrained, config.arch, normalise(summarize, mean, std)))
    return model.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]


def load(checkpoint: Path) -> Classifier:
    """The model of a checkpoint.

    Raises:
        ModelError: the file is missing or no checkpoint of ours.
    """
    try:
        model: Classifier = Classifier.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler met
        raise ModelError(f"{checkpoint}: expected a checkpoint of emotion-ros train: {error}") from error
    return model


def _loaders(samples: Samples, held_out: Samples, config: TrainConfig) -> tuple[DataLoader[Any], DataLoader[Any]]:
    targets, votes = soft_targets(samples, config)
    seen = _Batches(samples.pixels, targets, votes, samples.classes)
    unseen = _Batches(held_out.pixels, held_out.targets(0.0), held_out.votes.shares, held_out.classes)
    ahead: dict[str, Any] = {"batch_size": None, "num_workers": config.workers}
    return (
        DataLoader(seen, sampler=_EpochBatches(seen, config), **ahead),
        DataLoader(unseen, sampler=BatchSampler(SequentialSampler(unseen), 512, drop_last=False), **ahead),
    )


def _statistics(samples: Samples) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel, of pixels as 0…1."""
    channels = samples.pixels.transpose(1, 0, 2, 3).reshape(samples.pixels.shape[1], -1)
    mean = [round(float(each.mean() / 255), 4) for each in channels]
    std = [max(round(float(each.std() / 255), 4), 1e-3) for each in channels]
    return mean, std
