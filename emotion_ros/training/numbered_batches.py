"""Batches of the numbers of training images that are made when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler

from emotion_ros.config import EyeTrainConfig, FaceTrainConfig, HandTrainConfig


class NumberedBatches(Sampler[Any]):
    """Batches of numbers that continue from epoch to epoch; each process of a training gets its share.

    Args:
        per_epoch: numbers per epoch of all processes.
        batch_size: numbers per batch of one process.
    """

    def __init__(self, per_epoch: int, batch_size: int) -> None:
        self._world, self._rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        self._batch_size, self._epoch = batch_size, 0
        self._batches = max(per_epoch // (batch_size * self._world), 1)

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in range(self._epoch * self._batches, (self._epoch + 1) * self._batches):
            first = (batch * self._world + self._rank) * self._batch_size
            yield [self.key(batch, number) for number in range(first, first + self._batch_size)]

    def key(self, batch: int, number: int) -> Any:
        """Return what the data set is asked for: the number, unless a subclass adds something of the batch."""
        return number

    @property
    def sampler(self) -> NumberedBatches:
        """Return this object: Lightning calls ``set_epoch`` on the sampler of a batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch. Called by Lightning before each epoch."""
        self._epoch = epoch


def crop_loaders(
    training: Dataset[Any],
    held_out: Sequence[Any],
    collate: Callable[[Sequence[Any]], Any],
    held_out_batch: int,
    config: EyeTrainConfig | FaceTrainConfig | HandTrainConfig,
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return the loaders of a training on crops that are made when they are asked for, and of its held-out crops.

    Args:
        training: crops by number.
        held_out: crops.
        collate: makes a batch of crops.
        held_out_batch: held-out crops per batch.
        config: crops per epoch and per batch, and the number of processes that make them.
    """
    return (
        DataLoader(
            training,
            batch_sampler=NumberedBatches(config.crops, config.batch_size),
            collate_fn=collate,
            num_workers=config.workers,
            persistent_workers=config.workers > 0,
        ),
        DataLoader(held_out, held_out_batch, collate_fn=collate),  # type: ignore[arg-type]
    )
