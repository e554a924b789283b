"""Learn from models that are there (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015)."""

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


def soft_targets(samples: Samples, config: TrainConfig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a network is to answer, and the votes, n × labels each, with the teachers' share in both.

    Raises:
        ModelError: a teacher cannot be used, or has other labels.
    """
    targets, votes = samples.targets(config.vote_weight), samples.votes.shares
    if not config.teacher:
        return targets, votes
    teachers = [_load(name, samples.labels) for name in config.teacher.split(",")]
    share = np.float32(config.teacher_weight)
    targets = (1 - share) * targets + share * _opinion(teachers, samples, "folder")
    if config.vote_head:
        there = votes.any(1, keepdims=True)
        votes = np.where(there, (1 - share) * votes + share * _opinion(teachers, samples, "votes"), votes)
    return targets, votes


def _load(name: str, labels: tuple[str, ...]) -> EmotionClassifier:
    teacher = EmotionClassifier(find_model(name), "cpu")
    if teacher.contract.labels != labels:
        raise ModelError(
            f"teacher {name}: expected the labels {', '.join(labels)}, it knows {', '.join(teacher.contract.labels)}"
        )
    return teacher


def _opinion(teachers: list[EmotionClassifier], samples: Samples, taught_by: str) -> NDArray[np.float32]:
    """Mean probabilities over teachers, each of a picture and its mirror image."""
    pictures = samples.pixels.transpose(0, 2, 3, 1)
    bgr = np.repeat(pictures, 3, 3) if pictures.shape[3] == 1 else pictures[..., ::-1]
    runs = list(itertools.product(teachers, (1, -1), range(0, len(bgr), 64)))
    parts = [
        teacher.classify(list(np.ascontiguousarray(bgr[start : start + 64, :, ::step])), taught_by)
        for teacher, step, start in tqdm(runs, desc="asking the teachers", leave=False, disable=None)
    ]
    return np.asarray(np.concatenate(parts).reshape(2 * len(teachers), len(bgr), -1).mean(0), np.float32)
