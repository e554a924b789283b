"""What every training of this package shares: how Lightning is set up, and files that survive a full disk."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from emotion_ros.config import LoopConfig
from emotion_ros.errors import ConfigError, OutputError
from emotion_ros.training.plots import History, Progress

EMA_EVERY = 5
"""Steps between updates of the averaged weights: copying 11 million numbers at each step costs time, not accuracy."""


@dataclass(frozen=True)
class Result:
    """What came of a training: what the best checkpoint has of the figure that was wanted (None where no epoch was
    finished), how many epochs were finished, and whether Ctrl-C ended it."""

    score: float | None
    epochs: int
    interrupted: bool


def writable(model_dir: Path) -> Path:
    """The folder, made where it is not there.

    Raises:
        OutputError: it cannot be written to.
    """
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=model_dir).close()
    except OSError as error:
        raise OutputError(f"{model_dir}: expected a folder that can be written to: {error}") from error
    return model_dir


def checkpoint_to_resume(model_dir: Path) -> Path:
    """``last.ckpt`` of an earlier run.

    Raises:
        OutputError: it is not there.
    """
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


def make_trainer(
    model_dir: Path, config: LoopConfig, wanted: str = "accuracy", others: Sequence[str] = ("loss",)
) -> L.Trainer:
    """Under ``torchrun`` all its processes train together; alone, one GPU or the CPU does.

    The best checkpoint is the one whose ``val_`` figure of what is ``wanted`` is largest; that and the ``others`` are
    written as curves.
    """
    kept: dict[str, Any] = {"save_on_train_epoch_end": True, "enable_version_counter": False}
    best = ModelCheckpoint(model_dir, filename="best", monitor=f"val_{wanted}", mode="max", **kept)
    last = ModelCheckpoint(model_dir, filename="last", **kept)
    averaging = WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(config.ema**EMA_EVERY))  # type: ignore[no-untyped-call]
    averaging.should_update = (  # type: ignore[method-assign]
        lambda step_idx=None, epoch_idx=None: step_idx is not None and step_idx % EMA_EVERY == 0
    )
    callbacks: list[Callback] = [best, last, averaging, Progress(), History(model_dir, (wanted, *others))]
    if config.patience:
        callbacks.append(EarlyStopping(f"val_{wanted}", mode="max", patience=config.patience))
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
    # On a Xeon with AVX-512 bf16 but no AMX, bf16 took 1.5 times as long as float32.
    fast = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if fast else "32-true"


def _loggers(model_dir: Path, config: LoopConfig) -> list[Logger]:
    loggers: list[Logger] = [TensorBoardLogger(model_dir, name="", version="tensorboard")]
    if config.wandb:
        try:
            loggers.append(WandbLogger(project="emotion_ros", save_dir=model_dir, config=dataclasses.asdict(config)))
        except ModuleNotFoundError as error:
            raise ConfigError("wandb: Weights & Biases is not installed: pip install wandb") from error
    return loggers


def fit(
    trainer: L.Trainer,
    model: L.LightningModule,
    loaders: tuple[DataLoader[Any], DataLoader[Any]],
    model_dir: Path,
    last: Path | None,
) -> Result:
    """Train until the end, or until Ctrl-C.

    Args:
        trainer: made by :func:`make_trainer` for ``model_dir``.
        model: what is trained.
        loaders: of train and val.
        model_dir: for what is said where it is full.
        last: checkpoint to go on from.

    Raises:
        OutputError: ``model_dir`` cannot be written.
    """
    try:
        trainer.fit(model, *loaders, ckpt_path=last)
    except SystemExit:  # how Lightning ends after Ctrl-C
        if not trainer.interrupted:
            raise
    except OSError as error:
        raise OutputError(f"{model_dir}: cannot be written: {error}; what was there is kept") from error
    best = trainer.checkpoint_callback
    assert isinstance(best, ModelCheckpoint)
    score = None if best.best_model_score is None else float(best.best_model_score)
    return Result(score, trainer.current_epoch, trainer.interrupted)


def one_cycle(model: L.LightningModule, config: LoopConfig) -> Any:
    """An optimizer with a one-cycle schedule: warm-up, then half a cosine (Smith and Topin, "Super-Convergence", 2017).

    Biases and norms do not decay.
    """
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.wd}, {"params": plain, "weight_decay": 0.0}]
    optimizer: torch.optim.Optimizer
    if config.optimizer == "adamw":
        optimizer = torch.optim.AdamW(groups, config.lr)
    else:
        optimizer = torch.optim.SGD(groups, config.lr, momentum=config.momentum, nesterov=config.momentum > 0)
    steps = int(model.trainer.estimated_stepping_batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.lr, steps, pct_start=0.2, cycle_momentum=False, final_div_factor=1000
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
