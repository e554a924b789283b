"""Training targets from other models (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015)."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_ros.config import TrainConfig
from emotion_ros.errors import ModelError
from emotion_ros.inference.catalog import find_model
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.training.data.datasets import Samples

BATCH_SIZE = 64
"""Pictures that a teacher classifies at once."""


def soft_targets(samples: Samples, config: TrainConfig, frequencies: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the training targets: classes, votes and the probabilities of the teachers in the config's shares.

    Args:
        samples: the pictures.
        config: settings.
        frequencies: n × labels, of the classes in the data set of each picture, as far as the output learns none. The
            teachers' probabilities, which assume equally frequent classes, are multiplied by them.

    Returns:
        n × labels, float32; each row sums to 1.

    Raises:
        ModelError: a teacher cannot be used, or has other labels.
    """
    targets = samples.targets(config.vote_weight)
    if not config.teacher or not config.teacher_weight:
        return targets
    share = np.float32(config.teacher_weight)
    weighted = teacher_probabilities(samples.pixels, samples.labels, config) * frequencies
    return (1 - share) * targets + share * weighted / weighted.sum(1, keepdims=True)  # type: ignore[no-any-return]


def teacher_probabilities(
    pixels: NDArray[np.uint8], labels: tuple[str, ...], config: TrainConfig
) -> NDArray[np.float32]:
    """Return the mean probabilities of the config's teachers, without a prior, n × labels.

    Args:
        pixels: n × channels × size × size, channels as in the config's colour.
        labels: classes in the order of the columns.
        config: its ``teacher`` is not empty.

    Raises:
        ModelError: a teacher cannot be used, or has other labels.
    """
    return _mean_probabilities([_load(name, labels) for name in config.teacher.split(",")], pixels)


def _load(name: str, labels: tuple[str, ...]) -> EmotionClassifier:
    teacher = EmotionClassifier(find_model(name), "cpu", prior={})
    if teacher.metadata.labels != labels:
        raise ModelError(
            f"teacher {name}: expected the labels {', '.join(labels)}, it has {', '.join(teacher.metadata.labels)}"
        )
    return teacher


def _mean_probabilities(teachers: list[EmotionClassifier], pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean over teachers, and over each picture and its mirror image, n × labels."""
    pictures = pixels.transpose(0, 2, 3, 1)
    bgr = np.repeat(pictures, 3, 3) if pictures.shape[3] == 1 else pictures[..., ::-1]
    runs = list(itertools.product(teachers, (1, -1), range(0, len(bgr), BATCH_SIZE)))
    parts = [
        teacher.classify(list(np.ascontiguousarray(bgr[start : start + BATCH_SIZE, :, ::step])))
        for teacher, step, start in tqdm(runs, desc="teachers", leave=False, disable=None)
    ]
    return np.asarray(np.concatenate(parts).reshape(2 * len(teachers), len(bgr), -1).mean(0), np.float32)
