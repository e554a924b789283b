"""What a model says of itself: the metadata that every ONNX file of this package carries."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotion_ros.errors import ModelError
from emotion_ros.inference.ort_session import METADATA_KEY

REGIONS = ("face", "face_hands", "frame")
OUTPUTS = ("folder", "votes")
COLORS = ("grey", "rgb", "bgr")

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Statistics of ImageNet that jetson-inference's train.py normalises with, RGB."""


@dataclass(frozen=True)
class ModelMetadata:
    """How a classifier is fed and read.

    ``labels`` in the order of the outputs. ``region`` is what a crop shows: ``face``, ``face_hands`` (the face with the
    hands that belong to it) or ``frame``. ``size`` is the side of the square input in pixels. ``mean`` and ``std`` per
    channel, of pixels as 0…1. ``margin`` and ``shift`` of the crop as in
    :func:`emotion_ros.perception.emotion.preprocess.region_crop`. Logits are divided by ``temperature`` before the
    softmax; ``activated`` models end in a softmax of their own. ``outputs``: what taught each of the model's outputs,
    ``folder`` (the class that a picture stands in) or ``votes`` (of annotators); the robot uses the first.
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
    activated: bool = False
    outputs: tuple[str, ...] = ("folder",)
    data: str = ""
    licence: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ModelError(f"model contract: {problem}")

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
            f"expected outputs to be of {', '.join(OUTPUTS)}, got {list(self.outputs)}": set(self.outputs)
            <= set(OUTPUTS)
            and 0 < len(self.outputs) == len(set(self.outputs)),
            f"expected a positive temperature, got {self.temperature}": self.temperature > 0,
        }
        return [problem for problem, fine in checks.items() if not fine]

    def to_json(self) -> str:
        """The text that goes into the ONNX metadata."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str, path: Path) -> ModelMetadata:
        """The contract in a file's metadata.

        Raises:
            ModelError: it is no JSON, has unknown or missing fields, or contradicts itself.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
            return ModelMetadata(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"{path}: its metadata {METADATA_KEY!r} cannot be read ({error}); export it anew"
            ) from error


def jetson_inference(path: Path, labels: Path | None, size: int, activated: bool) -> ModelMetadata:
    """The contract of a model by jetson-inference's onnx_export.py: RGB, ImageNet statistics, labels.txt beside it.

    Raises:
        ModelError: there is no labels.txt.
    """
    beside = labels or path.with_name("labels.txt")
    if not beside.is_file():
        raise ModelError(
            f"{path}: expected metadata {METADATA_KEY!r} in the file, or a {beside.name} with a label per line as "
            f"jetson-inference writes in {beside.parent}; found neither. Name it with --labels, or export the model "
            "with: emotion-ros export"
        )
    names = tuple(line.strip() for line in beside.read_text().splitlines() if line.strip())
    return ModelMetadata(
        names, "frame", size, "rgb", IMAGENET_MEAN, IMAGENET_STD, activated=activated, data="unknown", licence="unknown"
    )
