"""Other names for a model's classes, without a new model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import yaml
from numpy.typing import NDArray

from emotion_ros.errors import ConfigError


class LabelMap:
    """Merges and renames classes.

    ``labels`` are the names that come out: those of the map in the order of their first class, and the classes that the
    map does not mention, under their own names.

    Args:
        text: YAML, ``{new name: [class, class], …}``; empty: every class keeps its name.
        classes: the model's, in its order.

    Raises:
        ConfigError: the text is no such map, names a class that the model does not have, or names one twice.
    """

    def __init__(self, text: str, classes: Sequence[str]) -> None:
        names = {one: name for name, merged in _entries(text, classes) for one in merged}
        self.labels = tuple(dict.fromkeys(names.get(one, one) for one in classes))
        self._sums = np.zeros((len(classes), len(self.labels)), np.float32)
        for index, one in enumerate(classes):
            self._sums[index, self.labels.index(names.get(one, one))] = 1.0

    def __call__(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of :attr:`labels` from those of the classes."""
        return probabilities @ self._sums


def _entries(text: str, classes: Sequence[str]) -> list[tuple[str, list[str]]]:
    content = read_mapping("label_map", text)
    entries = [
        (str(name), [str(one) for one in (merged if isinstance(merged, list) else [merged])])
        for name, merged in content.items()
    ]
    mentioned = [one for _, merged in entries for one in merged]
    for one in mentioned:
        if one not in classes:
            raise ConfigError(f"label_map: expected classes of the model ({', '.join(classes)}), got {one!r}")
        if mentioned.count(one) > 1:
            raise ConfigError(f"label_map: {one} belongs to two names; each class has one")
    for name, merged in entries:
        if not name or (name in classes and name not in mentioned):
            raise ConfigError(f"label_map: {name!r} is also a class of its own; list it too: {name}: {[name, *merged]}")
    return entries


def read_mapping(option: str, text: str) -> dict[object, object]:
    """What a text option says as a mapping in YAML; empty for an empty text.

    Raises:
        ConfigError: it is none.
    """
    try:
        content = yaml.safe_load(text) if text.strip() else {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{option}: expected a mapping in YAML, as in {{happiness: [happy]}}: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{option}: expected a mapping in YAML, as in {{happiness: [happy]}}, got {text!r}")
    return content
