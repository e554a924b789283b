"""Batches of an epoch: all pictures, or equal shares of several data sets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import BatchSampler, Dataset, Sampler

from emotion_ros.config import TrainConfig


class Arrays(Dataset[Any]):
    """Pixels, targets, classes and data sets as tensors; an index is a list of rows."""

    def __init__(self, *parts: NDArray[Any]) -> None:
        self.parts = tuple(torch.from_numpy(part) for part in parts)

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, indices: list[int]) -> tuple[Tensor, ...]:
        return tuple(part[indices] for part in self.parts)


class EpochOrder(Sampler[int]):
    """Rows of an epoch, in an order that depends on seed and epoch only; each process of a run gets its share.

    Either all rows, or the config's number of them in equal shares from the data sets. A data set whose share is
    larger than the set is repeated.
    """

    def __init__(self, sources: NDArray[np.int64], config: TrainConfig) -> None:
        self.epoch, self._config = 0, config
        self._world, self._rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        sets = [np.flatnonzero(sources == number) for number in range(int(sources.max()) + 1)]
        share = -(-config.pictures // len(sets))
        self._sets = [(rows, share if config.pictures else len(rows)) for rows in sets]

    def __len__(self) -> int:
        return -(-sum(count for _, count in self._sets) // self._world)

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng((self._config.seed, self.epoch))
        rows = np.concatenate([_draw(random, rows, count) for rows, count in self._sets])
        order = np.resize(random.permutation(rows), len(self) * self._world)  # the first rows again, to share evenly
        return iter(order[self._rank :: self._world].tolist())


def _draw(random: np.random.Generator, rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return ``count`` rows, each as often as the others or once more."""
    rounds = [random.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(rounds)[:count]  # type: ignore[no-any-return]


class EpochBatches(BatchSampler):
    """Batches of an epoch."""

    def __init__(self, sources: NDArray[np.int64], config: TrainConfig) -> None:
        order = EpochOrder(sources, config)
        super().__init__(order, config.batch_size, drop_last=len(order) >= config.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning calls this before each one."""
        assert isinstance(self.sampler, EpochOrder)
        self.sampler.epoch = epoch
