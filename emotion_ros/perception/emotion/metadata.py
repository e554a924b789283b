"""Model metadata: how a classifier is fed and how its output is read."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotion_ros.errors import ModelError
from emotion_ros.inference.ort_session import METADATA_KEY

REGIONS = ("face", "face_hands", "frame")
COLORS = ("grey", "rgb", "bgr")

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet, RGB, 0…1, with which jetson-inference's train.py normalises."""


@dataclass(frozen=True)
class ModelMetadata:
    """How a classifier is fed and how its output is read.

    Attributes:
        labels: classes in the order of the output.
        region: content of a crop: ``face``, ``face_hands`` (a face and the hands associated with it) or ``frame``.
        size: side of the square input in pixels.
        color: channel order of the input: ``grey``, ``rgb`` or ``bgr``.
        mean, std: per channel, for pixel values of 0…1.
        margin, shift: of the crop, see :func:`emotion_ros.perception.emotion.preprocess.region_crop`.
        temperature: divisor of the logits before the softmax.
        prior: label to its relative frequency in front of the robot; labels that are not listed have 1. The output
            itself assumes that all labels are equally frequent.
        activated: the output holds probabilities, not logits.
        data: training data and their citation.
        licence: of the weights and of the data.
        accuracy: name of a measurement to its share of correct predictions, 0…1. ``val``: on the classes of the val
            split; ``val_votes``: on the majority of its annotators' votes.

    Raises:
        ModelError: the values contradict each other.
    """

    labels: tuple[str, ...]
    region: str = "face"
    size: int = 48
    color: str = "grey"
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    margin: float = 0.0
    shift: float = 0.0
    temperature: float = 1.0
    prior: Mapping[str, float] = field(default_factory=dict)
    activated: bool = False
    data: str = ""
    licence: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ModelError(f"model metadata: {problem}")

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return 1 if self.color == "grey" else 3

    def _problems(self) -> list[str]:
        checks = {
            f"expected at least two labels, all different, got {list(self.labels)}": len(set(self.labels)) > 1
            and len(set(self.labels)) == len(self.labels),
            f"expected region to be one of {', '.join(REGIONS)}, got {self.region!r}": self.region in REGIONS,
            f"expected color to be one of {', '.join(COLORS)}, got {self.color!r}": self.color in COLORS,
            f"expected a positive size, got {self.size}": self.size > 0,
            f"expected {self.channels} values of mean and std for {self.color}": len(self.mean) == self.channels
            and len(self.std) == self.channels,
            f"expected positive std, got {list(self.std)}": all(value > 0 for value in self.std),
            f"expected a margin above -0.5, got {self.margin}": self.margin > -0.5,
            f"expected a positive temperature, got {self.temperature}": self.temperature > 0,
        }
        return [
            *_prior_problems(self.prior, self.labels),
            *(problem for problem, passed in checks.items() if not passed),
        ]

    def to_json(self) -> str:
        """Return the JSON text that is stored in the model file."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str, path: Path) -> ModelMetadata:
        """Parse the metadata of a model file.

        Args:
            text: what :meth:`to_json` returned.
            path: the model file, for the error message.

        Raises:
            ModelError: the text is not JSON, has unknown or missing fields, or its values contradict each other.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
            return ModelMetadata(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"{path}: cannot read its metadata {METADATA_KEY!r} ({error}); export the model again with: "
                "emotion-ros export"
            ) from error


def _prior_problems(prior: Mapping[str, float], labels: Sequence[str]) -> list[str]:
    unknown = sorted(set(prior) - set(labels))
    if unknown:
        return [f"expected prior to have only the labels {', '.join(labels)}, got {', '.join(unknown)}"]
    return [
        f"expected positive frequencies in prior, got {value} for {label}"
        for label, value in prior.items()
        if not 0 < value < math.inf
    ]


def jetson_inference(path: Path, labels: Path | None, size: int, activated: bool) -> ModelMetadata:
    """Return the metadata of a model written by jetson-inference's onnx_export.py.

    Such a model takes RGB images normalised with the statistics of ImageNet; its classes are in a file labels.txt.

    Args:
        path: the model file.
        labels: file with one label per line; None: labels.txt in the folder of the model.
        size: side of the square input in pixels.
        activated: the output holds probabilities, not logits.

    Raises:
        ModelError: there is no such file of labels.
    """
    file = labels or path.with_name("labels.txt")
    if not file.is_file():
        raise ModelError(
            f"{path}: expected metadata {METADATA_KEY!r} in the file, or {file.name} with a label per line (as "
            f"jetson-inference writes) in {file.parent}, found neither; name a file of labels with --labels, or export "
            "the model with: emotion-ros export"
        )
    names = tuple(line.strip() for line in file.read_text().splitlines() if line.strip())
    return ModelMetadata(
        names, "frame", size, "rgb", IMAGENET_MEAN, IMAGENET_STD, activated=activated, data="unknown", licence="unknown"
    )
