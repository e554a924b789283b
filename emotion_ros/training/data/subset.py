"""Draws a small data set out of a large one, with chosen classes and names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import chain, count
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.errors import ConfigError, DatasetError, OutputError
from emotion_ros.io.dataset_writer import create_first_free
from emotion_ros.training.data.readers import label_of, pictures
from emotion_ros.types import Image


def parse_classes(text: str) -> dict[str, str]:
    """Parse ``new=old,new=old`` into the data's class to its new name; a name alone keeps its class's name.

    ``happiness=happy,sad`` gives ``{"happy": "happiness", "sad": "sad"}``.

    Raises:
        ConfigError: a name is empty or a path, or a class of the data is named twice.
    """
    pairs = [part.split("=") for part in text.split(",")]
    classes = {pair[-1].strip(): pair[0].strip() for pair in pairs}
    paths = any("/" in name for name in classes.values())
    if (
        any(len(pair) > 2 for pair in pairs)
        or "" in {*classes, *classes.values()}
        or len(classes) < len(pairs)
        or paths
    ):
        raise ConfigError(f"classes: expected names such as happiness=happy,sadness=sad, got {text!r}")
    return classes


def draw(data: Path, split: str, classes: Mapping[str, str], total: int, out: Path, seed: int) -> Counter[str]:
    """Write random pictures of a split to ``out`` as PNG, a folder per class, as many of each class of the data.

    Args:
        data: see :func:`emotion_ros.training.data.readers.pictures`.
        split: ``train``, ``val`` or ``test``.
        classes: the data's class to its new name; two classes may become one.
        total: number of pictures of all classes together.
        out: must not exist yet, or be empty.
        seed: the same seed draws the same pictures.

    Returns:
        Number of pictures per new class.

    Raises:
        ConfigError: the total is less than a picture per class.
        DatasetError: the data cannot be used, or have too few pictures of a class.
        OutputError: ``out`` cannot be written, or is not empty.
    """
    if total < len(classes):
        raise ConfigError(f"count: expected a picture or more of each of {len(classes)} classes, got {total}")
    if out.is_dir() and any(out.iterdir()):
        raise OutputError(f"{out}: expected an empty folder, it holds something; name another")
    candidates = [(name, image) for name, image in pictures(data, split) if label_of(name) in classes]
    counts: Counter[str] = Counter()
    for index, (label, new_label) in enumerate(sorted(classes.items())):
        wanted = total // len(classes) + (index < total % len(classes))
        of_label = [(name, image) for name, image in candidates if label_of(name) == label]
        if len(of_label) < wanted:
            raise DatasetError(f"{data}, {split}: expected {wanted} pictures of {label}, found {len(of_label)}")
        chosen = np.random.default_rng([seed, index]).choice(len(of_label), wanted, replace=False)
        for position in sorted(chosen.tolist()):
            name, image = of_label[position]
            _write(out / new_label, Path(name).stem, image)
        counts[new_label] += wanted
    return counts


def _write(folder: Path, stem: str, image: Image) -> None:
    """Write ``stem.png``, or ``stem-2.png`` and so on if that exists: names repeat when two classes become one."""
    names = chain([f"{stem}.png"], (f"{stem}-{number}.png" for number in count(2)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = create_first_free(folder / name for name in names)
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    except OSError as error:
        raise OutputError(f"{folder}: a picture cannot be written: {error.strerror}") from error
