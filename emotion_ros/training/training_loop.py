"""The training loop that all trainings share: Lightning's trainer, its callbacks and its checkpoints."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from emotion_ros.config import LoopConfig
from emotion_ros.errors import ConfigError, DatasetError, OutputError
from emotion_ros.io.atomic_file import replacing
from emotion_ros.io.heap import keep_all_freed_memory
from emotion_ros.training.plots import History, Progress

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # its import sets it to INFO: hints and advertisements


class HasConfig(Protocol):
    """A model that knows the settings of its training."""

    config: Any


C = TypeVar("C", bound=LoopConfig)
M = TypeVar("M", bound=HasConfig)

MOMENTUM = 0.9
"""Of SGD with Nesterov's method: the value of Sutskever et al., "On the importance of initialization and momentum",
2013; no run of this package used another."""

WARM_UP_SHARE, FINAL_LR_DIVISOR = 0.2, 1000
"""Share of the steps in which the learning rate rises, and initial over final learning rate."""


@dataclass(frozen=True)
class Result:
    """Result of a training.

    Attributes:
        score: monitored metric of the best checkpoint; None if no epoch was finished.
        epochs: number of finished epochs.
        interrupted: Ctrl-C ended the training.
    """

    score: float | None
    epochs: int
    interrupted: bool


def writable(model_dir: Path) -> Path:
    """Create a folder if it is missing, and return it.

    Raises:
        OutputError: no file can be created in it.
    """
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=model_dir).close()
    except OSError as error:
        raise OutputError(f"{model_dir}: expected a writable folder: {error}") from error
    return model_dir


def run_to_resume(
    load: Callable[[Path], M], model_dir: Path, config: C, resume: bool
) -> tuple[Path | None, M | None, C]:
    """Return the last checkpoint of the run to resume, its model and its settings.

    Args:
        load: reads the model of a checkpoint, whose ``config`` are the settings of the run.
        model_dir: folder of the run.
        config: settings of the command; defaults count as not given.
        resume: continue the run in ``model_dir``; otherwise the result is None, None and ``config``.

    Raises:
        ConfigError: a setting is given that the run does not have: it would have no effect.
        ModelError: the checkpoint cannot be used.
        OutputError: there is no run to resume, or there is one that a new run would overwrite.
    """
    last = _checkpoint_to_resume(model_dir, resume)
    if last is None:
        return None, None, config
    model = load(last)
    return last, model, _settings_to_resume(config, model.config)


def _checkpoint_to_resume(model_dir: Path, resume: bool) -> Path | None:
    last = model_dir / "last.ckpt"
    if resume and not last.is_file():
        raise OutputError(f"{last}: expected the checkpoint of an earlier run; omit --resume to start a new one")
    if not resume and (last.exists() or (model_dir / "best.ckpt").exists()):
        raise OutputError(
            f"{model_dir}: expected a folder without an earlier run, found one, which would be overwritten; add "
            f"--resume to continue it, or name another --model-dir"
        )
    return last if resume else None


def _settings_to_resume(given: C, of_run: C) -> C:
    default = type(given)()
    for field in dataclasses.fields(given):
        value, before = getattr(given, field.name), getattr(of_run, field.name)
        if value not in (before, getattr(default, field.name)):
            raise ConfigError(
                f"--resume: expected the settings of the run that began, {field.name} {before!r}, got {value!r}; leave "
                f"it out, or start a new run in another --model-dir"
            )
    return of_run


class _AtomicFiles(TorchCheckpointIO):
    """Checkpoints that replace the old file only when they are complete."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            OSError: the disk is full; the old file is unchanged.
        """
        try:
            with replacing(Path(path)) as partial:
                torch.save(checkpoint, partial)
        except RuntimeError as error:  # torch raises it when the disk is full
            raise OSError(str(error).splitlines()[0]) from error


class _FiniteLoss(Callback):
    """Ends a training whose loss is no number: its weights are none either, and stay so."""

    def __init__(self, lr: float) -> None:
        self._lr = lr

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Check the loss of an epoch, before its checkpoint is written.

        Raises:
            ConfigError: it is not finite.
        """
        loss, epoch = float(trainer.callback_metrics["train_loss"]), trainer.current_epoch + 1
        if not math.isfinite(loss):
            raise ConfigError(
                f"lr: expected a rate at which the loss stays finite, it is {loss} in epoch {epoch} with "
                f"{self._lr:g}; start a new run with a smaller --lr in another --model-dir"
            )


class _SameSteps(Callback):
    """Refuses to resume a run with another number of steps: the schedule of its learning rate would not fit."""

    def on_load_checkpoint(self, trainer: L.Trainer, _: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Compare the steps of a checkpoint with those of this run.

        Raises:
            DatasetError: they differ.
        """
        before, now = checkpoint["lr_schedulers"][0]["total_steps"], trainer.estimated_stepping_batches
        if before != now:
            raise DatasetError(
                f"--resume: expected the data, and the number of processes, of the run that began, which has {before} "
                f"steps; with these it has {now}; start a new run, with --pretrained best.ckpt if you like"
            )


def make_trainer(
    model_dir: Path, config: LoopConfig, monitored: str = "accuracy", others: Sequence[str] = ("loss",)
) -> L.Trainer:
    """Return a trainer that uses all processes of ``torchrun``, or else one GPU or the CPU.

    Args:
        model_dir: gets the checkpoints, the table and the curves.
        config: settings.
        monitored: metric whose ``val_`` value is largest in the best checkpoint.
        others: further metrics that are drawn as curves.

    Raises:
        ConfigError: Weights & Biases is requested and not installed.
    """
    options: dict[str, Any] = {"save_on_train_epoch_end": True, "enable_version_counter": False}
    best = ModelCheckpoint(model_dir, filename="best", monitor=f"val_{monitored}", mode="max", **options)
    last = ModelCheckpoint(model_dir, filename="last", **options)
    history = History(model_dir, (monitored, *others))
    averaging = WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(config.ema))  # type: ignore[no-untyped-call]
    callbacks: list[Callback] = [_SameSteps(), _FiniteLoss(config.lr), best, last, averaging, Progress(), history]
    if config.patience:
        callbacks.append(EarlyStopping(f"val_{monitored}", mode="max", patience=config.patience))
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
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )


def _precision(option: str) -> str:
    if option != "auto":
        return option
    fast_bf16 = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else _has_fast_bf16()
    return "bf16-mixed" if fast_bf16 else "32-true"


def _has_fast_bf16() -> bool:
    """Return whether this processor is faster in bf16: with AMX, or AMD's with AVX-512 bf16.

    A ResNet-18 is trained on an EPYC with AVX-512 bf16 in 0.54 of the time of float32; on a Xeon with AVX-512 bf16 but
    without AMX it took 1.5 times as long.
    """
    if torch.cpu._is_amx_tile_supported():
        return True
    try:
        is_amd = "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return is_amd and torch.cpu._is_avx512_bf16_supported()


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
    """Train to the last epoch, or until Ctrl-C.

    Args:
        trainer: made by :func:`make_trainer` for ``model_dir``.
        model: the model to train.
        loaders: of train and val.
        model_dir: folder of the outputs, for the error message.
        last: checkpoint to resume; None: start.

    Raises:
        ConfigError: the learning rate is so high that the loss is not finite.
        DatasetError: the run that is resumed has another number of steps.
        OutputError: ``model_dir`` cannot be written, or another training writes to it.
    """
    keep_all_freed_memory()
    try:
        with _locked(model_dir) if trainer.is_global_zero else contextlib.nullcontext():
            trainer.fit(model, *loaders, ckpt_path=last)
    except SystemExit:  # Lightning raises it after Ctrl-C
        if not trainer.interrupted:
            raise
    except OSError as error:
        raise OutputError(
            f"{model_dir}: cannot be written: {error}; the files of the last epoch are unchanged"
        ) from error
    best = trainer.checkpoint_callback
    assert isinstance(best, ModelCheckpoint)
    score = None if best.best_model_score is None else float(best.best_model_score)
    return Result(score, trainer.current_epoch, trainer.interrupted)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; without one where the file system has no locks, as some network drives."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise OutputError(
            f"{folder}: expected a folder that no training uses, found one that runs; name another --model-dir"
        ) from error
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(descriptor)


def one_cycle(model: L.LightningModule, config: LoopConfig) -> Any:
    """Return an optimizer with a one-cycle schedule (Smith and Topin, "Super-Convergence", 2017).

    The learning rate rises, then falls as half a cosine. Biases and normalisations have no weight decay.
    """
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.wd}, {"params": plain, "weight_decay": 0.0}]
    optimizer: torch.optim.Optimizer
    if config.optimizer == "adamw":
        optimizer = torch.optim.AdamW(groups, config.lr)
    else:
        optimizer = torch.optim.SGD(groups, config.lr, momentum=MOMENTUM, nesterov=True)
    steps = int(model.trainer.estimated_stepping_batches)
    rise = 0.4 if steps == 1 / WARM_UP_SHARE else WARM_UP_SHARE  # OneCycleLR divides by the steps of the rise less one
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.lr, steps, pct_start=rise, cycle_momentum=False, final_div_factor=FINAL_LR_DIVISOR
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
