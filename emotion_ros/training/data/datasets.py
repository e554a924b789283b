"""Labelled pictures, read whole into memory at the size that a network sees."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError
from emotion_ros.perception.emotion.preprocess import resize
from emotion_ros.training.data.readers import HELD_OUT, check_spelling, has, pictures, summarize
from emotion_ros.training.data.region_crop import RegionCrop, View
from emotion_ros.training.data.votes import Votes, read_votes


@dataclass(frozen=True)
class Samples:
    """One split.

    ``pixels``: n × channels × size × size, uint8. ``classes``: n, index into ``labels``, by the folder. ``votes``: what
    annotators said. ``names``: the file of each, ``class/file`` with forward slashes.
    """

    labels: tuple[str, ...]
    pixels: NDArray[np.uint8]
    classes: NDArray[np.int64]
    votes: Votes
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def only(self, keep: NDArray[np.bool_]) -> Samples:
        """The samples where ``keep`` is true."""
        names = tuple(name for name, kept in zip(self.names, keep, strict=True) if kept)
        return Samples(self.labels, self.pixels[keep], self.classes[keep], self.votes.only(keep), names)

    def targets(self, vote_weight: float) -> NDArray[np.float32]:
        """What a network is to answer, n × labels, each row sums to 1: the class, and for a share of ``vote_weight``
        the votes."""
        return self.votes.mixed_into(np.eye(len(self.labels), dtype=np.float32)[self.classes], vote_weight)


def read_split(data: Path, split: str, view: View) -> Samples:
    """All pictures of a split as a network sees them.

    Pictures in which the view's region is not found are left out and named; where that is most of them, it is an
    error. Where there is no val split, a part of train stands in for it.

    Args:
        data: see :func:`emotion_ros.training.data.readers.pictures`. A ``labels.csv``, or FER+'s ``fer2013new.csv``,
            beside
            the pictures may add votes (see :mod:`emotion_ros.training.data.votes`).
        split: ``train``, ``val`` or ``test``.
        view: what of a picture the network sees.

    Raises:
        DatasetError: the folder, the split or a class is missing, or pictures cannot be read.
    """
    names, pixels = _look(data, split, view)
    if not names:
        raise DatasetError(f"{data}, {split}: expected one folder of pictures per class, found no picture")
    labels = tuple(sorted({_label(name) for name in names}))
    check_spelling(data / split, labels)
    if len(labels) < 2:
        raise DatasetError(f"{data}, {split}: expected at least two classes, found only {labels[0]!r}")
    classes = np.array([labels.index(_label(name)) for name in names])
    votes = read_votes(data, split, names, labels) or Votes.none(len(names), len(labels))
    samples = Samples(labels, np.stack(pixels).transpose(0, 3, 1, 2).copy(), classes, votes, tuple(names))
    if split == "train" and not has(data, "val"):
        return samples.only(np.arange(len(samples)) % HELD_OUT != 0)
    return samples


def check_classes(where: str, found: Sequence[str], known: Sequence[str], all_of: bool = False) -> None:
    """See that pictures have no classes but the known ones, and where ``all_of`` is asked for, each of them.

    Raises:
        DatasetError: they have not.
    """
    odd, missing = sorted(set(found) - set(known)), sorted(set(known) - set(found))
    if odd:
        raise DatasetError(f"{where}: expected only the classes {', '.join(known)}, found {', '.join(odd)} too")
    if missing and all_of:
        raise DatasetError(f"{where}: expected pictures of each class, none of {', '.join(missing)}")


def _look(data: Path, split: str, view: View) -> tuple[list[str], list[NDArray[np.uint8]]]:
    names: list[str] = []
    pixels: list[NDArray[np.uint8]] = []
    left_out: list[str] = []
    with RegionCrop(view) as crop:
        for name, image in pictures(data, split):
            seen = crop(image)
            if seen is None:
                left_out.append(name)
                continue
            names.append(name)
            pixels.append(resize(seen, view.size, view.color))
    if left_out and len(left_out) >= len(names):
        raise DatasetError(
            f"{data}, {split}: expected pictures of people, found no {view.region.replace('_', ' and ')} in "
            f"{len(left_out)} of {len(left_out) + len(names)}: {summarize(left_out)}; pictures that show the region "
            "alone "
            "are taken as they are with --crop no"
        )
    if left_out:
        message = f"{data}, {split}: left out, nobody found in {len(left_out)} pictures: {summarize(left_out)}"
        print(message, file=sys.stderr)
    return names, pixels


def _label(name: str) -> str:
    return name.split("/")[0]
