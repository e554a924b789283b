"""Train a classifier: read this file from top to bottom.

Lightning runs the loop: it brings checkpoints that resume, averaged weights, loggers, a progress bar and several
processes, each kept by people who do nothing else; ``transformers`` would bring a second, heavier configuration of the
same and no averaging of weights.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar, WeightAveraging
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from emotion_ros.classification.preprocess import normalise
from emotion_ros.config import TrainConfig
from emotion_ros.errors import DatasetError, ModelError, OutputError
from emotion_ros.training.architectures import ARCHITECTURES
from emotion_ros.training.augment import augment
from emotion_ros.training.datasets import Samples, read_split

EMA_EVERY = 5
"""Steps between updates of the averaged weights: copying 11 million numbers at each step costs time, not accuracy."""


class Classifier(L.LightningModule):
    """A network, what it was trained on and how; a checkpoint of it holds all that ``export`` needs."""

    def __init__(
        self, config: dict[str, Any], labels: Sequence[str], mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = TrainConfig(**config)
        self.labels, self.mean, self.std = tuple(labels), tuple(mean), tuple(std)
        channels = 1 if self.config.color == "grey" else 3
        self.network = ARCHITECTURES[self.config.arch](len(labels), channels)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits for pixels of 0…255, n × channels × size × size."""
        values: Tensor = normalise(pixels.float(), self.mean, self.std)
        logits: Tensor = self.network(values.contiguous(memory_format=torch.channels_last))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        """Cross-entropy against soft targets on a randomly changed batch."""
        pixels, targets = batch[:2]
        loss = F.cross_entropy(self(augment(pixels.float(), self.config)).float(), targets)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> None:
        """Loss and accuracy on pictures as they are."""
        pixels, targets, classes = batch
        logits = self(pixels).float()
        self.log("val_loss", F.cross_entropy(logits, targets), prog_bar=True)
        self.log("val_accuracy", (logits.argmax(1) == classes).float().mean(), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """SGD with a one-cycle schedule (Smith and Topin, "Super-Convergence", 2017); biases and norms do not decay."""
        config = self.config
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": config.wd}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.SGD(groups, config.lr, momentum=config.momentum, nesterov=config.momentum > 0)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.lr, steps, pct_start=0.2, cycle_momentum=False, final_div_factor=1000
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Batches(Dataset[Any]):
    """Samples as tensors, fetched a batch of indices at a time."""

    def __init__(self, samples: Samples) -> None:
        self.pixels = torch.from_numpy(samples.pixels)
        self.targets = torch.from_numpy(samples.targets)
        self.classes = torch.from_numpy(samples.classes)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, indices: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        return self.pixels[indices], self.targets[indices], self.classes[indices]


def loader(samples: Samples, batch_size: int, train: bool) -> DataLoader[Any]:
    """Batches of pixels (uint8), targets and classes; shuffled and without a last short one for training."""
    batches = _Batches(samples)
    order = RandomSampler(batches) if train else SequentialSampler(batches)
    short = train and len(batches) >= batch_size
    return DataLoader(batches, sampler=BatchSampler(order, batch_size, drop_last=short), batch_size=None)


def train(data: Path, model_dir: Path, config: TrainConfig, resume: bool = False) -> dict[str, float]:
    """Train on ``data``'s train split, choose by its val split, and keep the best and the last checkpoint.

    Args:
        data: a folder that :func:`emotion_ros.training.datasets.read_split` reads.
        model_dir: gets ``best.ckpt``, ``last.ckpt`` and ``metrics.csv``.
        config: how.
        resume: go on from ``last.ckpt`` in ``model_dir``.

    Returns:
        ``val_accuracy`` of the best checkpoint, and the number of ``train`` and ``val`` pictures.

    Raises:
        DatasetError: the data cannot be used.
        OutputError: ``model_dir`` cannot be written, or holds nothing to resume.
    """
    L.seed_everything(config.seed, verbose=False)
    samples, held_out = _read(data, config)
    mean, std = _statistics(samples)
    model = Classifier(dataclasses.asdict(config), samples.labels, mean, std).to(memory_format=torch.channels_last)
    if config.pretrained:
        _start_from(model, Path(config.pretrained))
    if config.compile:
        model.network.compile(dynamic=False)
    last = _checkpoint_to_resume(model_dir) if resume else None
    trainer = _trainer(_writable(model_dir), config)
    trainer.fit(
        model, loader(samples, config.batch_size, train=True), loader(held_out, 512, train=False), ckpt_path=last
    )
    best = trainer.checkpoint_callback
    assert isinstance(best, ModelCheckpoint)
    assert best.best_model_score is not None
    return {"val_accuracy": float(best.best_model_score), "train": len(samples), "val": len(held_out)}


def _read(data: Path, config: TrainConfig) -> tuple[Samples, Samples]:
    samples = read_split(data, "train", config.size, config.color, config.vote_weight)
    held_out = read_split(data, "val", config.size, config.color)
    if samples.labels != held_out.labels:
        odd = sorted(set(samples.labels) ^ set(held_out.labels))
        raise DatasetError(f"{data}: expected the same classes in train and val, only one has {', '.join(odd)}")
    return samples.only(~samples.repeated), held_out


def _start_from(model: Classifier, checkpoint: Path) -> None:
    """Take the weights of an earlier run of the same architecture and labels."""
    try:
        weights = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        model.load_state_dict(weights)
    except (OSError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        expected = f"a checkpoint of {model.config.arch} with {len(model.labels)} classes"
        raise ModelError(f"{checkpoint}: expected {expected}: {str(error).splitlines()[0]}") from error


def _statistics(samples: Samples) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel, of pixels as 0…1."""
    channels = samples.pixels.transpose(1, 0, 2, 3).reshape(samples.pixels.shape[1], -1)
    mean = [round(float(each.mean() / 255), 4) for each in channels]
    std = [max(round(float(each.std() / 255), 4), 1e-3) for each in channels]
    return mean, std


def _writable(model_dir: Path) -> Path:
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        (model_dir / ".probe").touch()
        (model_dir / ".probe").unlink()
    except OSError as error:
        raise OutputError(f"{model_dir}: expected a folder that can be written to: {error}") from error
    return model_dir


def _checkpoint_to_resume(model_dir: Path) -> Path:
    last = model_dir / "last.ckpt"
    if not last.is_file():
        raise OutputError(f"{last}: expected the checkpoint of an earlier run to resume; leave --resume away to start")
    return last


def _trainer(model_dir: Path, config: TrainConfig) -> L.Trainer:
    keep = ModelCheckpoint(
        model_dir,
        filename="best",
        monitor="val_accuracy",
        mode="max",
        save_last=True,
        enable_version_counter=False,
    )
    averaging = WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(config.ema**EMA_EVERY))  # type: ignore[no-untyped-call]
    averaging.should_update = (  # type: ignore[method-assign]
        lambda step_idx=None, epoch_idx=None: step_idx is not None and step_idx % EMA_EVERY == 0
    )
    return L.Trainer(
        max_epochs=config.epochs,
        precision=config.precision,  # type: ignore[arg-type]
        callbacks=[keep, averaging, TQDMProgressBar(refresh_rate=20)],
        logger=CSVLogger(model_dir, name="", version=""),
        enable_model_summary=False,
        log_every_n_steps=20,
    )
