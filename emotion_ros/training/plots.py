"""Training as a table and as pictures."""

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
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from torch import Tensor


class Progress(TQDMProgressBar):
    """A bar per epoch with loss and accuracies, and the minutes that are left of the whole training."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=20)
        self._begin, self._first = 0.0, 0

    def on_train_start(self, *arguments: Any) -> None:
        """Start the clock."""
        super().on_train_start(*arguments)
        self._begin, self._first = time.monotonic(), self.trainer.global_step

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """What stands behind the bar."""
        items: dict[str, Any] = super().get_metrics(trainer, pl_module)
        items.pop("v_num", None)
        done = trainer.global_step - self._first
        if done:
            each = (time.monotonic() - self._begin) / done
            items["left"] = f"{each * (float(trainer.estimated_stepping_batches) - trainer.global_step) / 60:.1f} min"
        return items


class History(Callback):
    """After each epoch a row in ``metrics.csv``, and a picture per kind of figure, as ``Accuracy.png``, of all rows.

    A resumed run goes on in the same file, behind the epoch of its checkpoint.
    """

    def __init__(self, folder: Path, kinds: Sequence[str]) -> None:
        self._folder, self._kinds = folder, kinds
        self._rows: list[dict[str, float]] = []
        self._begin = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take over the rows of the epochs that are done."""
        path = self._folder / "metrics.csv"
        if trainer.current_epoch and path.is_file():
            with path.open(newline="") as file:
                rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
            self._rows = [{**row, "epoch": int(row["epoch"])} for row in rows if row["epoch"] < trainer.current_epoch]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._begin = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write table and pictures anew."""
        if not trainer.is_global_zero:
            return
        names = [f"{split}_{kind}" for kind in self._kinds for split in ("train", "val")]
        figures = {name: float(trainer.callback_metrics[name]) for name in names if name in trainer.callback_metrics}
        about = {"lr": trainer.optimizers[0].param_groups[0]["lr"], "seconds": round(time.monotonic() - self._begin, 2)}
        self._rows.append({"epoch": trainer.current_epoch, **figures, **about})
        with (self._folder / "metrics.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, self._rows[0].keys())
            writer.writeheader()
            writer.writerows(self._rows)
        for kind in self._kinds:
            save_curves(self._rows, kind, self._folder / f"{kind.capitalize()}.png")


def save_curves(rows: list[dict[str, float]], kind: str, path: Path) -> None:
    """A figure such as ``accuracy`` over epochs, in train and val, as far as it was measured, as a picture."""
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for split in (split for split in ("train", "val") if f"{split}_{kind}" in rows[0]):
        axes.plot([row["epoch"] + 1 for row in rows], [row[f"{split}_{kind}"] for row in rows], marker=".", label=split)
    axes.set(xlabel="epoch", ylabel=kind, title=kind.capitalize())
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def save_batch(pixels: Tensor, path: Path) -> None:
    """Up to 64 training pictures (n × channels × size × size, 0…255) as the network sees them, eight in a row."""
    images: Any = pixels.byte().numpy().transpose(0, 2, 3, 1)
    images = np.pad(images, ((0, -len(images) % 8), (1, 1), (1, 1), (0, 0)))
    rows = [np.hstack(list(images[start : start + 8])) for start in range(0, len(images), 8)]
    sheet = np.vstack(rows)
    cv2.imwrite(str(path), sheet if sheet.shape[2] == 1 else cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
