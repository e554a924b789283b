"""Divide one's own pictures into train, val and test, so that the test is honest.

Pictures of one burst, and pictures that look nearly the same, tell a model nothing new: if some of them were trained
on, testing with the others measures memory. They are put on one side together.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from emotion_ros.errors import ConfigError, DatasetError, OutputError
from emotion_ros.io.dataset_writer import CAPTURES_CSV
from emotion_ros.training.data.readers import check_spelling, picture_folders

SPLITS = ("train", "val", "test")

NEAR = 6
"""Pictures whose perceptual hashes (64 bits) differ in at most this many bits count as nearly the same."""


@dataclass(frozen=True)
class SplitResult:
    """What was done.

    ``counts``: pictures per split and class. ``groups``: sets of pictures that had to stay together (those of one
    picture included). ``together``: pictures in groups of more than one. ``doubtful``: pairs of nearly the same
    pictures that stand in different classes.
    """

    counts: Mapping[str, Counter[str]]
    groups: int
    together: int
    doubtful: tuple[tuple[str, str], ...]


def parse_shares(text: str, pictures: int) -> tuple[float, ...]:
    """``80/10/10`` (percent) or ``40/20/30`` (pictures in all) as pictures for train, val and test.

    Raises:
        ConfigError: it is neither, or asks for more pictures than there are.
    """
    try:
        values = tuple(float(part) for part in text.split("/"))
    except ValueError:
        values = ()
    if len(values) != 3 or min(values) <= 0:
        raise ConfigError(f"ratios: expected three numbers for train/val/test such as 80/10/10, got {text!r}")
    if sum(values) == 100:
        return tuple(value * pictures / 100 for value in values)
    if sum(values) > pictures:
        raise ConfigError(f"ratios: expected a sum of 100 (percent) or at most {pictures} (pictures), got {text!r}")
    return values


def split(source: Path, out: Path, ratios: str, seed: int, naive: bool = False) -> SplitResult:
    """Copy the pictures of ``source``, a folder per class, to ``out/train``, ``val`` and ``test``; write labels.txt.

    Args:
        source: one folder of pictures per class; a ``captures.csv`` of ``emotion-ros capture`` names the bursts.
        out: must not hold a split yet.
        ratios: see :func:`parse_shares`.
        seed: the same seed gives the same split.
        naive: as if no two pictures were alike, as most tools split; the test then measures memory too.

    Raises:
        ConfigError: the ratios cannot be met.
        DatasetError: a class is empty or spelled in two ways, or a picture cannot be read.
        OutputError: ``out`` cannot be written, or holds a split.
    """
    files = _files(source)
    shares = parse_shares(ratios, len(files))
    hashes = _hashes(source, files)
    bursts = {} if naive else _bursts(source)
    near = [] if naive else list(_near(hashes))
    groups = _groups(files, bursts, near)
    sides = _assign(files, groups, shares, seed)
    counts = {name: Counter(_label(file) for file, side in sides.items() if side == name) for name in SPLITS}
    for name in SPLITS:
        missing = sorted({_label(file) for file in files} - set(counts[name]))
        if missing:
            raise DatasetError(
                f"{source}: {name} would have no picture of {', '.join(missing)}; take more pictures, in more bursts"
            )
    _copy(source, out, sides)
    doubtful = tuple((files[a], files[b]) for a, b in near if _label(files[a]) != _label(files[b]))
    together = sum(len(group) for group in groups if len(group) > 1)
    return SplitResult(counts, len(groups), together, doubtful)


def _label(file: str) -> str:
    return file.split("/")[0]


def _files(source: Path) -> list[str]:
    """``class/file`` of each picture."""
    classes = picture_folders(source)
    check_spelling(source, classes)
    return [f"{label}/{path.name}" for label, paths in classes.items() for path in paths]


def _hashes(source: Path, files: Sequence[str]) -> NDArray[np.bool_]:
    """Perceptual hash of each picture, n × 64."""
    rows: list[NDArray[np.bool_]] = []
    broken: list[str] = []
    for file in files:
        image = cv2.imread(str(source / file), cv2.IMREAD_GRAYSCALE)
        if image is None:
            broken.append(file)
        else:
            rows.append(imagehash.phash(PillowImage.fromarray(image)).hash.ravel())
    if broken:
        raise DatasetError(f"{source}: expected pictures, cannot read {', '.join(broken)}; replace or remove them")
    return np.array(rows)


def _bursts(source: Path) -> dict[str, str]:
    """Burst of each picture that was captured with ours."""
    path = source / CAPTURES_CSV
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {f"{row['label']}/{row['file']}": row["burst"] for row in csv.DictReader(file)}


def _near(hashes: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Pairs of pictures that look nearly the same."""
    bits = np.where(hashes, 1, -1).astype(np.float32)
    for start in range(0, len(bits), 1024):
        differing = (bits.shape[1] - bits[start : start + 1024] @ bits.T) / 2
        for row, column in np.argwhere(differing <= NEAR):
            if start + row < column:
                yield int(start + row), int(column)


def _groups(files: Sequence[str], bursts: Mapping[str, str], near: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Indices of pictures that stay together, connected by a burst or by looking alike."""
    parent = list(range(len(files)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[str, int] = {}
    for index, file in enumerate(files):
        if file in bursts:
            parent[root(index)] = root(first.setdefault(bursts[file], index))
    for a, b in near:
        parent[root(a)] = root(b)
    groups = defaultdict(list)
    for index in range(len(files)):
        groups[root(index)].append(index)
    return list(groups.values())


def _assign(
    files: Sequence[str], groups: Sequence[Sequence[int]], shares: Sequence[float], seed: int
) -> dict[str, str]:
    """Each file's side: the largest groups first, each to where its classes lack most."""
    labels = Counter(_label(file) for file in files)
    lacking = {
        (side, label): share * count / len(files)
        for side, share in zip(SPLITS, shares, strict=True)
        for label, count in labels.items()
    }
    left_over = round(sum(shares)) < len(files)
    order = np.random.default_rng(seed).permutation(len(groups))
    sides: dict[str, str] = {}
    for index in sorted(order.tolist(), key=lambda index: -len(groups[index])):
        members = Counter(_label(files[member]) for member in groups[index])
        best = max(SPLITS, key=lambda side: _gain(lacking, side, members))
        if left_over and _gain(lacking, best, members) <= 0:
            continue
        for label, count in members.items():
            lacking[best, label] -= count
        sides.update((files[member], best) for member in groups[index])
    return sides


def _gain(lacking: Mapping[tuple[str, str], float], side: str, members: Counter[str]) -> float:
    """How much less a side lacks once it has these pictures; too many count against it."""
    return sum(abs(lacking[side, label]) - abs(lacking[side, label] - count) for label, count in members.items())


def _copy(source: Path, out: Path, sides: Mapping[str, str]) -> None:
    there = [name for name in SPLITS if (out / name).exists()]
    if there:
        raise OutputError(f"{out}: expected no split yet, found {', '.join(there)}; remove them or name another folder")
    try:
        for file, side in sorted(sides.items()):
            (out / side / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / file, out / side / file)
        (out / "labels.txt").write_text("".join(f"{label}\n" for label in sorted({_label(file) for file in sides})))
    except OSError as error:
        for name in SPLITS:
            shutil.rmtree(out / name, ignore_errors=True)
        raise OutputError(f"{out}: cannot be written: {error.strerror}; nothing was kept") from error
