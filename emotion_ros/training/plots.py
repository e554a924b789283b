"""Progress of a training: progress bar, table of metrics, curves and a sheet of training pictures."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import matplotlib as mpl
import numpy as np
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from tqdm import tqdm

from emotion_ros.io.atomic_file import replacing

PICTURES_PER_ROW = 8


class Progress(Callback):
    """A bar for each epoch, in a terminal only."""

    def __init__(self) -> None:
        self._bar = tqdm(disable=True)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin a bar."""
        self._bar = tqdm(
            total=trainer.num_training_batches,
            desc=f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}",
            disable=None if trainer.is_global_zero else True,  # None: unless the output is a terminal
            leave=False,
        )

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Advance the bar by a step."""
        self._bar.update()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remove the bar."""
        self._bar.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Remove the bar."""
        self._bar.close()


class History(Callback):
    """Prints the metrics of each epoch, writes them to ``metrics.csv``, and draws curves such as ``Accuracy.png``.

    A resumed run continues the table after the epoch of its checkpoint.
    """

    def __init__(self, folder: Path, metrics: Sequence[str]) -> None:
        self._folder, self._metrics = folder, metrics
        self._rows: list[dict[str, float]] = []
        self._start = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Read the rows of finished epochs."""
        path = self._folder / "metrics.csv"
        if trainer.current_epoch and path.is_file():
            with path.open(newline="") as file:
                rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
            self._rows = [{**row, "epoch": int(row["epoch"])} for row in rows if row["epoch"] < trainer.current_epoch]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of the epoch."""
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print a line; write table and curves."""
        if not trainer.is_global_zero:
            return
        names = [f"{split}_{metric}" for metric in self._metrics for split in ("train", "val")]
        values = {name: float(trainer.callback_metrics[name]) for name in names if name in trainer.callback_metrics}
        seconds = round(time.monotonic() - self._start, 2)
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        self._rows.append({"epoch": trainer.current_epoch, **values, "lr": lr, "seconds": seconds})
        with replacing(self._folder / "metrics.csv") as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._rows[0].keys())
            writer.writeheader()
            writer.writerows(self._rows)
        left = (trainer.max_epochs or 0) - trainer.current_epoch - 1
        metrics = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
        remaining = f"; about {left * seconds / 60:.1f} min left" if left else ""
        print(f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: {metrics}{remaining}", flush=True)
        for metric in self._metrics:
            save_curves(self._rows, metric, self._folder / f"{metric.capitalize()}.png")


def save_curves(rows: list[dict[str, float]], metric: str, path: Path) -> None:
    """Draw a metric such as ``accuracy`` over the epochs, for each of train and val that the rows have."""
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for split in (split for split in ("train", "val") if f"{split}_{metric}" in rows[0]):
        epochs, values = [row["epoch"] + 1 for row in rows], [row[f"{split}_{metric}"] for row in rows]
        axes.plot(epochs, values, marker=".", label=split)
    axes.set(xlabel="epoch", ylabel=metric, title=metric.capitalize())
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def save_batch(pixels: Tensor, path: Path) -> None:
    """Write training pictures (n × channels × size × size, RGB or grey, 0…255) as one sheet, eight in a row."""
    images: Any = pixels.byte().numpy().transpose(0, 2, 3, 1)
    images = np.pad(images, ((0, -len(images) % PICTURES_PER_ROW), (1, 1), (1, 1), (0, 0)))
    rows = [
        np.hstack(list(images[start : start + PICTURES_PER_ROW])) for start in range(0, len(images), PICTURES_PER_ROW)
    ]
    sheet = np.vstack(rows)
    cv2.imwrite(str(path), sheet if sheet.shape[2] == 1 else cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
