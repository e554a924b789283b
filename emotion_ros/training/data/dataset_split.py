"""Splits a folder of pictures into train, val and test without similar pictures in two of them.

Pictures of one burst, and pictures that look nearly the same, are put into the same split. A test with pictures similar
to those that a model was trained on measures what it has memorised.
"""

from __future__ import annotations

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

from emotion_ros.errors import ConfigError, DatasetError, ImageError, OutputError
from emotion_ros.io.dataset_writer import CAPTURES_CSV
from emotion_ros.io.pictures import read_picture
from emotion_ros.training.csv_table import read_table
from emotion_ros.training.data.readers import check_spelling, label_of, picture_folders

SPLITS = ("train", "val", "test")

LABELS_FILE = "labels.txt"
"""Name of the file with the classes, one per line, in the split's folder."""

MAX_DIFFERING_BITS = 6
"""Bits of 64 in which the perceptual hashes of nearly the same pictures may differ."""

HASHES_PER_BLOCK = 1024
"""Hashes that are compared with all others at once: bounds memory."""


@dataclass(frozen=True)
class SplitResult:
    """Result of a split.

    ``counts``: pictures per split and class. ``groups``: number of groups of pictures that stay together, those of one
    picture included. ``together``: pictures in groups of two or more. ``doubtful``: pairs (``class/file``) of nearly
    the same pictures in different classes.
    """

    counts: Mapping[str, Counter[str]]
    groups: int
    together: int
    doubtful: tuple[tuple[str, str], ...]


def parse_shares(text: str, pictures: int) -> tuple[float, ...]:
    """Parse ``80/10/10`` (percent) or ``40/20/30`` (pictures) into numbers of pictures for train, val and test.

    Args:
        text: three positive numbers. A sum of 100 means percent; other numbers are at least 1.
        pictures: number of pictures there are.

    Raises:
        ConfigError: the text is neither, or asks for more pictures than there are.
    """
    try:
        values = tuple(float(part) for part in text.split("/"))
    except ValueError:
        values = ()
    if len(values) != 3 or not all(0 < value < float("inf") for value in values):
        raise ConfigError(f"ratios: expected three numbers above 0 for train/val/test such as 80/10/10, got {text!r}")
    if sum(values) == 100:
        return tuple(value * pictures / 100 for value in values)
    if sum(values) > pictures or min(values) < 1:
        raise ConfigError(
            f"ratios: expected percent with a sum of 100, such as 80/10/10, or numbers of pictures of 1 or more with a "
            f"sum of at most {pictures}, got {text!r}"
        )
    return values


def split(source: Path, out: Path, ratios: str, seed: int, naive: bool = False) -> SplitResult:
    """Copy the pictures of ``source`` to ``out/train``, ``val`` and ``test``, and write ``labels.txt``.

    Args:
        source: one folder of pictures per class; a ``captures.csv`` of ``emotion-ros capture`` names the bursts.
        out: must not contain a split yet.
        ratios: see :func:`parse_shares`.
        seed: the same seed gives the same split.
        naive: ignore bursts and similar pictures, to measure how much they flatter a model.

    Raises:
        ConfigError: the ratios cannot be met.
        DatasetError: a class is empty or spelled in two ways, a picture or the ``captures.csv`` cannot be read, or a
            split lacks a class.
        OutputError: ``out`` cannot be written, or contains a split.
    """
    files = _files(source)
    shares = parse_shares(ratios, len(files))
    hashes = _hashes(source, files)
    bursts = {} if naive else _bursts(source)
    similar = [] if naive else list(_similar_pairs(hashes))
    groups = _groups(files, bursts, similar)
    split_of = _assign(files, groups, shares, seed)
    counts = {name: Counter(label_of(file) for file, side in split_of.items() if side == name) for name in SPLITS}
    _check_counts(source, {label_of(file) for file in files}, counts)
    _copy(source, out, split_of)
    doubtful = tuple((files[a], files[b]) for a, b in similar if label_of(files[a]) != label_of(files[b]))
    together = sum(len(group) for group in groups if len(group) > 1)
    return SplitResult(counts, len(groups), together, doubtful)


def _files(source: Path) -> list[str]:
    """Return ``class/file`` of each picture."""
    classes = picture_folders(source)
    check_spelling(source, classes)
    return [f"{label}/{path.name}" for label, paths in classes.items() for path in paths]


def _hashes(source: Path, files: Sequence[str]) -> NDArray[np.bool_]:
    """Return the perceptual hash of each picture, n × 64, in the order of ``files``."""
    rows: list[NDArray[np.bool_]] = []
    unreadable: list[str] = []
    for file in files:
        try:
            image = read_picture(source / file, flags=cv2.IMREAD_GRAYSCALE)
        except ImageError:
            unreadable.append(file)
        else:
            rows.append(imagehash.phash(PillowImage.fromarray(image)).hash.ravel())
    if unreadable:
        raise DatasetError(f"{source}: expected pictures, cannot read {', '.join(unreadable)}; replace or remove them")
    return np.array(rows)


def _bursts(source: Path) -> dict[str, str]:
    """Return the burst of each captured picture by ``class/file``; nothing without a ``captures.csv``."""
    path = source / CAPTURES_CSV
    if not path.is_file():
        return {}
    rows = read_table(path, ("label", "file", "burst"))
    return {f"{row['label']}/{row['file']}": row["burst"] for row in rows if row["burst"]}


def _similar_pairs(hashes: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield the indices of each two pictures that look nearly the same, the lower first."""
    signs = np.where(hashes, 1, -1).astype(np.float32)
    for start in range(0, len(signs), HASHES_PER_BLOCK):
        # The product of two rows of ±1 is the number of equal bits minus that of differing ones.
        differing = (signs.shape[1] - signs[start : start + HASHES_PER_BLOCK] @ signs.T) / 2
        for row, column in np.argwhere(differing <= MAX_DIFFERING_BITS):
            if start + row < column:
                yield int(start + row), int(column)


def _groups(files: Sequence[str], bursts: Mapping[str, str], similar: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the indices of pictures that stay together: a union-find over bursts and similar pairs."""
    parent = list(range(len(files)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first_of_burst: dict[str, int] = {}
    for index, file in enumerate(files):
        if file in bursts:
            parent[root(index)] = root(first_of_burst.setdefault(bursts[file], index))
    for a, b in similar:
        parent[root(a)] = root(b)
    groups = defaultdict(list)
    for index in range(len(files)):
        groups[root(index)].append(index)
    return list(groups.values())


def _assign(
    files: Sequence[str], groups: Sequence[Sequence[int]], shares: Sequence[float], seed: int
) -> dict[str, str]:
    """Return the split of each file: the largest groups first, each to the split that lacks most of its classes."""
    labels = Counter(label_of(file) for file in files)
    lacking = {
        (side, label): share * count / len(files)
        for side, share in zip(SPLITS, shares, strict=True)
        for label, count in labels.items()
    }
    some_left_out = round(sum(shares)) < len(files)
    order = np.random.default_rng(seed).permutation(len(groups))
    split_of: dict[str, str] = {}
    for index in sorted(order.tolist(), key=lambda index: -len(groups[index])):
        members = Counter(label_of(files[member]) for member in groups[index])
        best = max(SPLITS, key=lambda side: _gain(lacking, side, members))
        if some_left_out and _gain(lacking, best, members) <= 0:
            continue
        for label, count in members.items():
            lacking[best, label] -= count
        split_of.update((files[member], best) for member in groups[index])
    return split_of


def _gain(lacking: Mapping[tuple[str, str], float], side: str, members: Counter[str]) -> float:
    """Return by how many pictures a split comes closer to its share with these; negative if it moves away."""
    return sum(abs(lacking[side, label]) - abs(lacking[side, label] - count) for label, count in members.items())


def _check_counts(source: Path, labels: set[str], counts: Mapping[str, Counter[str]]) -> None:
    for name in SPLITS:
        missing = sorted(labels - set(counts[name]))
        if missing:
            raise DatasetError(
                f"{source}: {name} would have no picture of {', '.join(missing)}; take more pictures, in more bursts, "
                f"or give it a larger part with --ratios"
            )


def _copy(source: Path, out: Path, split_of: Mapping[str, str]) -> None:
    existing = [name for name in (*SPLITS, LABELS_FILE) if (out / name).exists()]
    if existing:
        names = ", ".join(existing)
        raise OutputError(f"{out}: expected no split yet, found {names}; remove them or name another folder")
    try:
        for side in sorted({*split_of.values()}):
            (out / side).mkdir(parents=True)  # of two splits at once, one gets the folder
    except OSError as error:
        raise OutputError(f"{out}: expected a folder where a split can be made: {error.strerror}") from error
    try:
        for file, side in sorted(split_of.items()):
            (out / side / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / file, out / side / file)
        (out / LABELS_FILE).write_text("".join(f"{label}\n" for label in sorted({label_of(file) for file in split_of})))
    except OSError as error:
        for name in SPLITS:
            shutil.rmtree(out / name, ignore_errors=True)
        (out / LABELS_FILE).unlink(missing_ok=True)
        raise OutputError(f"{out}: cannot be written: {error.strerror}; nothing was kept") from error
