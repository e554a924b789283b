"""Draw a small data set out of a large one, with the classes and names that one wants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.errors import ConfigError, DatasetError, OutputError
from emotion_ros.training.data.readers import pictures


def parse_classes(text: str) -> dict[str, str]:
    """``happiness=happy,sadness=sad`` as the data's class to the new name; a name alone stays what it is.

    Raises:
        ConfigError: a name is empty or there twice.
    """
    pairs = [part.split("=") for part in text.split(",")]
    classes = {pair[-1].strip(): pair[0].strip() for pair in pairs}
    if any(len(pair) > 2 for pair in pairs) or "" in {*classes, *classes.values()} or len(classes) < len(pairs):
        raise ConfigError(f"classes: expected names such as happiness=happy,sadness=sad, got {text!r}")
    return classes


def draw(data: Path, split: str, classes: Mapping[str, str], count: int, out: Path, seed: int) -> Counter[str]:
    """Write ``count`` pictures of a split, as many of each class, to ``out``, a folder per class.

    Args:
        data: see :func:`emotion_ros.training.data.readers.pictures`.
        split: ``train``, ``val`` or ``test``.
        classes: the data's class to its new name.
        count: of all classes together.
        out: must not exist yet, or be empty.
        seed: the same seed draws the same pictures.

    Returns:
        Pictures per new class.

    Raises:
        DatasetError: the data cannot be used, or hold too few pictures of a class.
        OutputError: ``out`` cannot be written, or holds something.
    """
    if out.is_dir() and any(out.iterdir()):
        raise OutputError(f"{out}: expected an empty folder, it holds something; name another")
    found = [(name, image) for name, image in pictures(data, split) if name.split("/")[0] in classes]
    counts: Counter[str] = Counter()
    for index, (label, new) in enumerate(sorted(classes.items())):
        wanted = count // len(classes) + (index < count % len(classes))
        mine = [(name, image) for name, image in found if name.split("/")[0] == label]
        if len(mine) < wanted:
            raise DatasetError(f"{data}, {split}: expected {wanted} pictures of {label}, found {len(mine)}")
        chosen = np.random.default_rng([seed, index]).choice(len(mine), wanted, replace=False)
        for position in sorted(chosen.tolist()):
            name, image = mine[position]
            target = out / new / f"{Path(name).stem}.png"
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(cv2.imencode(".png", image)[1].tobytes())
            except OSError as error:
                raise OutputError(f"{target}: cannot be written: {error.strerror}") from error
            counts[new] += 1
    return counts
