"""Labelled pictures in memory, at the size that a network sees."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError
from emotion_ros.perception.emotion.preprocess import resize
from emotion_ros.training.data.readers import check_spelling, label_of, pictures, stored_split, summarize
from emotion_ros.training.data.region_crop import RegionCrop, View
from emotion_ros.training.data.votes import Votes, read_votes


@dataclass(frozen=True)
class Samples:
    """The pictures of one split. Row i of each array, and name i, belong to the same picture.

    ``labels``: the classes, sorted. ``pixels``: n × channels × size × size, uint8, channels as in the view's colour.
    ``classes``: n, int64, index into ``labels``, from the picture's folder. ``votes``: of the annotators. ``names``:
    ``class/file`` with forward slashes.
    """

    labels: tuple[str, ...]
    pixels: NDArray[np.uint8]
    classes: NDArray[np.int64]
    votes: Votes
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def only(self, keep: NDArray[np.bool_]) -> Samples:
        """Return the samples at which ``keep`` (n, bool) is true."""
        names = tuple(name for name, kept in zip(self.names, keep, strict=True) if kept)
        return Samples(self.labels, self.pixels[keep], self.classes[keep], self.votes.only(keep), names)

    def relabelled(self, labels: Sequence[str]) -> Samples:
        """Return the samples with other labels, among which are those of these samples."""
        places = np.array([labels.index(label) for label in self.labels])
        return replace(
            self, labels=tuple(labels), classes=places[self.classes], votes=self.votes.moved(places, len(labels))
        )

    def targets(self, vote_weight: float) -> NDArray[np.float32]:
        """Return target probabilities, n × labels: the one-hot class, mixed with the votes by ``vote_weight``, 0…1."""
        return self.votes.mixed_into(np.eye(len(self.labels), dtype=np.float32)[self.classes], vote_weight)


def read_split(data: Path, split: str, view: View) -> Samples:
    """Read all pictures of a split as a network sees them.

    Pictures in which the view's region is not found are left out and listed on standard error.

    Args:
        data: see :func:`emotion_ros.training.data.readers.pictures`. A ``labels.csv``, or FER+'s ``fer2013new.csv``,
            in the same folder may add votes (see :mod:`emotion_ros.training.data.votes`).
        split: ``train``, ``val`` or ``test``.
        view: the part of each picture that the network sees.

    Raises:
        DatasetError: the folder, the split or a class is missing, pictures cannot be read, or the region is not found
            in half of the pictures or in any picture of a class.
    """
    names, pixels = _crop_all(data, split, view)
    labels = tuple(sorted({label_of(name) for name in names}))
    check_spelling(data / split, labels)
    if len(labels) < 2:
        raise DatasetError(f"{data}, {split}: expected at least two classes, found only {labels[0]!r}")
    classes = np.array([labels.index(label_of(name)) for name in names])
    votes = read_votes(data, stored_split(data, split), names, labels) or Votes.none(len(names), len(labels))
    return Samples(labels, np.stack(pixels).transpose(0, 3, 1, 2).copy(), classes, votes, tuple(names))


def read_splits(data: Sequence[Path], split: str, view: View) -> Samples:
    """Read a split of several data sets, see :func:`read_split`, as one."""
    samples, _ = join([read_split(each, split, view) for each in data])
    return samples


def join(parts: Sequence[Samples]) -> tuple[Samples, NDArray[np.int64]]:
    """Return the samples of several data sets as one, and the index of the data set of each picture (n, int64).

    Args:
        parts: of the same view. A class that only some of them have is a class of all.
    """
    labels = tuple(sorted({label for part in parts for label in part.labels}))
    moved = [part.relabelled(labels) for part in parts]
    samples = Samples(
        labels,
        np.concatenate([part.pixels for part in moved]),
        np.concatenate([part.classes for part in moved]),
        Votes(
            np.concatenate([part.votes.shares for part in moved]),
            np.concatenate([part.votes.majority for part in moved]),
        ),
        tuple(name for part in moved for name in part.names),
    )
    return samples, np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def check_classes(where: str, found: Sequence[str], known: Sequence[str], all_of: bool = False) -> None:
    """Check that pictures have no other classes than the known ones and, with ``all_of``, each of these.

    Args:
        where: what is checked, for the error.
        found: classes of the pictures.
        known: classes that are allowed.
        all_of: each known class must have pictures.

    Raises:
        DatasetError: a class is unknown or missing.
    """
    unknown, missing = sorted(set(found) - set(known)), sorted(set(known) - set(found))
    if unknown:
        raise DatasetError(f"{where}: expected only the classes {', '.join(known)}, found {', '.join(unknown)} too")
    if missing and all_of:
        raise DatasetError(f"{where}: expected pictures of each class, none of {', '.join(missing)}")


def _crop_all(data: Path, split: str, view: View) -> tuple[list[str], list[NDArray[np.uint8]]]:
    """Return the names and pixels (size × size × channels) of the pictures in which the region is found."""
    names: list[str] = []
    pixels: list[NDArray[np.uint8]] = []
    left_out: list[str] = []
    with RegionCrop(view) as crop:
        for name, image in pictures(data, split):
            region = crop(image)
            if region is None:
                left_out.append(name)
            else:
                names.append(name)
                pixels.append(resize(region, view.size, view.color))
    if not names and not left_out:
        raise DatasetError(f"{data}, {split}: expected one folder of pictures per class, found no picture")
    if left_out:
        _check_left_out(f"{data}, {split}", view.region.replace("_", " and "), names, left_out)
    return names, pixels


def _check_left_out(where: str, region: str, names: Sequence[str], left_out: Sequence[str]) -> None:
    """Print which pictures are left out; raise an error if they are half of all or a whole class."""
    advice = "pictures that show the region alone are taken as they are with --crop no"
    if len(left_out) >= len(names):
        raise DatasetError(
            f"{where}: expected pictures of people, found no {region} in "
            f"{len(left_out)} of {len(left_out) + len(names)}: {summarize(left_out)}; {advice}"
        )
    lost = sorted({label_of(name) for name in left_out} - {label_of(name) for name in names})
    if lost:
        raise DatasetError(
            f"{where}: expected pictures of people, found no {region} in any picture of {', '.join(lost)}; {advice}"
        )
    print(f"{where}: left out, no {region} found in {len(left_out)} pictures: {summarize(left_out)}", file=sys.stderr)
