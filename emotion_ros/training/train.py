"""Train a classifier: read this file from top to bottom.

Lightning runs the loop: it brings checkpoints that resume, averaged weights, loggers, a progress bar and several
processes, each kept by people who do nothing else; ``transformers`` would bring a second, heavier configuration of the
same and no averaging of weights.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler, SequentialSampler

from emotion_ros.classification.preprocess import normalise
from emotion_ros.config import TrainConfig
from emotion_ros.errors import ConfigError, DatasetError, ModelError, OutputError
from emotion_ros.training.architectures import ARCHITECTURES
from emotion_ros.training.augment import augment
from emotion_ros.training.datasets import Samples, check_classes, read_split
from emotion_ros.training.plots import History, Progress, save_batch
from emotion_ros.training.pretrained import start_from
from emotion_ros.training.readers import has
from emotion_ros.training.regions import View
from emotion_ros.training.teacher import taught

EMA_EVERY = 5
"""Steps between updates of the averaged weights: copying 11 million numbers at each step costs time, not accuracy."""

UNFOLDED_ON = 512
"""Pictures that show a network its own statistics where it starts from an ONNX file."""


@dataclass(frozen=True)
class Result:
    """What came of a training.

    ``val_accuracy`` of the best checkpoint, 0…1, None where no epoch was finished. ``epochs`` that were finished.
    ``interrupted`` by Ctrl-C. ``train`` and ``val``: number of pictures.
    """

    val_accuracy: float | None
    epochs: int
    interrupted: bool
    train: int
    val: int


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
        outputs = self(augment(pixels.float(), self.config)).float()
        logits = outputs[:, -len(self.labels) :]
        each = F.cross_entropy(logits, targets, reduction="none")
        if self.config.vote_head:  # a picture without votes has a row of zeros, which costs nothing
            each = each + F.cross_entropy(outputs[:, : len(self.labels)], votes, reduction="none")
        loss: Tensor = (each * self.weights[classes]).mean()  # type: ignore[index]
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
        """A one-cycle schedule: warm-up, then half a cosine (Smith and Topin, "Super-Convergence", 2017).

        Biases and norms do not decay.
        """
        config = self.config
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": config.wd}, {"params": plain, "weight_decay": 0.0}]
        optimizer: torch.optim.Optimizer
        if config.optimizer == "adamw":
            optimizer = torch.optim.AdamW(groups, config.lr)
        else:
            optimizer = torch.optim.SGD(groups, config.lr, momentum=config.momentum, nesterov=config.momentum > 0)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.lr, steps, pct_start=0.2, cycle_momentum=False, final_div_factor=1000
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


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
        data: a folder that :func:`emotion_ros.training.datasets.read_split` reads.
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
    last = _checkpoint_to_resume(model_dir) if resume else None
    if last is not None:
        config = load(last).config
    L.seed_everything(config.seed, verbose=False)
    samples, held_out = _read(data, config)
    model = _model(samples, config, last)
    first = augment(torch.from_numpy(samples.pixels[:64]).float(), config)
    rank_zero_only(save_batch)(first, _writable(model_dir) / "batch.png")
    if config.compile:
        model.network.compile(dynamic=False)
    trainer = _trainer(model_dir, config)
    try:
        trainer.fit(model, *_loaders(samples, held_out, config), ckpt_path=last)
    except SystemExit:  # how Lightning ends after Ctrl-C
        if not trainer.interrupted:
            raise
    except OSError as error:
        raise OutputError(f"{model_dir}: cannot be written: {error}; what was there is kept") from error
    best = trainer.checkpoint_callback
    assert isinstance(best, ModelCheckpoint)
    score = None if best.best_model_score is None else float(best.best_model_score)
    return Result(score, trainer.current_epoch, trainer.interrupted, len(samples), len(held_out))


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
        print(f"{data}: left out {int((~fresh).sum())} pictures of train that are copies of some in val or test")
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
    some = torch.from_numpy(samples.pixels[:: max(len(samples) // UNFOLDED_ON, 1)][:UNFOLDED_ON]).float()
    print(start_from(model.network, config.pretrained, config.arch, normalise(some, mean, std)))
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
    targets, votes = taught(samples, config)
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


def _writable(model_dir: Path) -> Path:
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=model_dir).close()
    except OSError as error:
        raise OutputError(f"{model_dir}: expected a folder that can be written to: {error}") from error
    return model_dir


def _checkpoint_to_resume(model_dir: Path) -> Path:
    last = model_dir / "last.ckpt"
    if not last.is_file():
        raise OutputError(f"{last}: expected the checkpoint of an earlier run to resume; leave --resume away to start")
    return last


class _AtomicFiles(TorchCheckpointIO):
    """Checkpoints are written beside their place first: on a full disk the old one survives."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            OSError: there is no room; nothing has changed.
        """
        target = Path(path)
        partial = target.with_suffix(".partial")
        try:
            torch.save(checkpoint, partial)
            os.replace(partial, target)
        except RuntimeError as error:  # what torch says where the disk is full
            raise OSError(str(error).splitlines()[0]) from error
        finally:
            partial.unlink(missing_ok=True)


def _trainer(model_dir: Path, config: TrainConfig) -> L.Trainer:
    """Under ``torchrun`` all its processes train together; alone, one GPU or the CPU does."""
    kept: dict[str, Any] = {"save_on_train_epoch_end": True, "enable_version_counter": False}
    best = ModelCheckpoint(model_dir, filename="best", monitor="val_accuracy", mode="max", **kept)
    last = ModelCheckpoint(model_dir, filename="last", **kept)
    averaging = WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(config.ema**EMA_EVERY))  # type: ignore[no-untyped-call]
    averaging.should_update = (  # type: ignore[method-assign]
        lambda step_idx=None, epoch_idx=None: step_idx is not None and step_idx % EMA_EVERY == 0
    )
    callbacks: list[Callback] = [best, last, averaging, Progress(), History(model_dir)]
    if config.patience:
        callbacks.append(EarlyStopping("val_accuracy", mode="max", patience=config.patience))
    world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return L.Trainer(
        accelerator="auto" if torch.cuda.is_available() else "cpu",
        devices=local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        use_distributed_sampler=False,
        max_epochs=config.epochs,
        precision=_precision(config.precision),  # type: ignore[arg-type]
        callbacks=callbacks,
        plugins=[_AtomicFiles()],
        logger=_loggers(model_dir, config),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )


def _precision(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported()
    else:
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if fast else "32-true"


def _loggers(model_dir: Path, config: TrainConfig) -> list[Logger]:
    loggers: list[Logger] = [TensorBoardLogger(model_dir, name="", version="tensorboard")]
    if config.wandb:
        try:
            loggers.append(WandbLogger(project="emotion_ros", save_dir=model_dir, config=dataclasses.asdict(config)))
        except ModuleNotFoundError as error:
            raise ConfigError("wandb: Weights & Biases is not installed: pip install wandb") from error
    return loggers
