"""Renames and merges a classifier's classes at run time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_ros.config.user_text import MAX_LABEL_CHARACTERS, is_label, kind_of, read_yaml
from emotion_ros.errors import ConfigError


class LabelMap:
    """Converts probabilities of classes to probabilities of labels.

    Attributes:
        labels: names of the map in the order of their first class; classes that the map does not contain keep their
            names.

    Args:
        text: YAML, ``{label: [class, class], …}``; empty: every class is a label.
        classes: the classifier's, in its order.

    Raises:
        ConfigError: the text is not such a map, or contains an unknown class, or one class twice.
    """

    def __init__(self, text: str, classes: Sequence[str]) -> None:
        label_of = {name: label for label, merged in _entries(text, classes) for name in merged}
        self.labels = tuple(dict.fromkeys(label_of.get(name, name) for name in classes))
        self._matrix = np.zeros((len(classes), len(self.labels)), np.float32)  # 1 where a class belongs to a label
        for index, name in enumerate(classes):
            self._matrix[index, self.labels.index(label_of.get(name, name))] = 1.0

    def __call__(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the sums per label, (n ×) labels, of probabilities per class, (n ×) classes."""
        return probabilities @ self._matrix


def _entries(text: str, classes: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return labels with their classes."""
    content = read_mapping("label_map", text)
    entries = [
        (str(label), [str(name) for name in (merged if isinstance(merged, list) else [merged])])
        for label, merged in content.items()
    ]
    _check_entries(entries, classes)
    return entries


def _check_entries(entries: Sequence[tuple[str, list[str]]], classes: Sequence[str]) -> None:
    mapped = [name for _, merged in entries for name in merged]
    for name in mapped:
        if name not in classes:
            raise ConfigError(f"label_map: expected classes of the model ({', '.join(classes)}), got {name!r}")
        if mapped.count(name) > 1:
            raise ConfigError(f"label_map: expected each class under one name, got {name!r} under two names")
    for label, merged in entries:
        if not is_label(label):
            raise ConfigError(f"label_map: expected labels of 1 to {MAX_LABEL_CHARACTERS} printable characters")
        if label in classes and label not in mapped:
            raise ConfigError(
                f"label_map: expected a new label, got {label!r}, which is also a class of its own; "
                f"add the class to the label: {label}: {[label, *merged]}"
            )


def read_prior(text: str) -> dict[str, float]:
    """Return the relative frequencies of labels in the text of the option ``prior``.

    Raises:
        ConfigError: the text is not a YAML mapping of labels to numbers.
    """
    try:
        return {str(label): float(str(value)) for label, value in read_mapping("prior", text).items()}
    except ValueError as error:
        raise ConfigError("prior: expected a number for each label, as in {neutral: 3}, got another value") from error


def read_mapping(option: str, text: str) -> dict[object, object]:
    """Return the YAML mapping in the text of an option; empty for an empty text.

    Raises:
        ConfigError: the text is not a YAML mapping, or exceeds a limit of :mod:`emotion_ros.config.user_text`.
    """
    content = read_yaml(text, option) if text.strip() else {}
    if not isinstance(content, dict):
        raise ConfigError(f"{option}: expected a mapping in YAML, as in {{happiness: [happy]}}, got {kind_of(content)}")
    return content
