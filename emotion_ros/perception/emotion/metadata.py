"""Model metadata: how a classifier is fed and how its output is read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotion_ros.config.user_text import MAX_LABEL_CHARACTERS, is_label, read_text_file
from emotion_ros.errors import ModelError
from emotion_ros.inference.ort_session import METADATA_KEY

REGIONS = ("face", "face_hands", "frame")
COLORS = ("grey", "rgb", "bgr")

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet, RGB, 0…1, with which jetson-inference's train.py normalises."""

MAX_LABELS = 1000
"""Number of labels, as many as ImageNet has classes. Each message holds all of them."""

MAX_SIZE_PX = 1024
"""Side of the input. An input of three channels takes 12 MiB, a batch of 16 faces 200 MiB."""

MAX_MEAN = 10.0
"""Of pixels as 0…1 a mean lies in 0…1; a tenfold leaves room for networks that shift their input."""

MIN_STD, MAX_STD = 1 / 2550, 10.0
"""1/255 gives the network pixels of 0…255, 1 gives 0…1; tenfold room on both sides."""

MAX_MARGIN, MAX_SHIFT = 2.0, 2.0
"""A crop of five face widths shows head and body. The largest crop of a face of 2,000 pixels takes 300 MB."""

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 100.0
"""Temperatures that calibration finds lie around 1. Beyond these, logits of ±10 give only 0 and 1, or all alike."""

MIN_PRIOR, MAX_PRIOR = 1e-12, 1e12
"""The sum over all labels stays far from the limits of float32, 10⁻³⁸ and 10³⁸."""

MAX_FLOAT32 = 3.4e38


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
        ModelError: a value has another type, is out of range, or contradicts another.
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

    @property
    def class_weights(self) -> tuple[float, ...]:
        """Relative frequency of each label in front of the robot, by :attr:`prior`, in the order of the output."""
        return tuple(self.prior.get(label, 1.0) for label in self.labels)

    def _type_problems(self) -> list[str]:
        """Return what has another type than its field: the other checks need the types, and native code does not check.

        The values themselves are not named: a file may hold anything.
        """
        numbers = {"margin": self.margin, "shift": self.shift, "temperature": self.temperature}
        checks = {
            "labels to be a list of texts": _is_list(self.labels, str),
            "region, color, data and licence to be texts": all(
                isinstance(value, str) for value in (self.region, self.color, self.data, self.licence)
            ),
            "size to be an integer": type(self.size) is int,
            "activated to be true or false": isinstance(self.activated, bool),
            "mean and std to be lists of finite numbers": all(
                _is_list(values, object) and all(_is_finite(value) for value in values)
                for values in (self.mean, self.std)
            ),
            **{f"{name} to be a finite number": _is_finite(value) for name, value in numbers.items()},
            "prior and accuracy to be mappings from texts to finite numbers": all(
                isinstance(values, Mapping) and all(isinstance(k, str) and _is_finite(v) for k, v in values.items())
                for values in (self.prior, self.accuracy)
            ),
        }
        return [f"expected {text}" for text, passed in checks.items() if not passed]

    def _problems(self) -> list[str]:
        if problems := self._type_problems():
            return problems
        checks = {
            f"2 to {MAX_LABELS} labels, all different": len(set(self.labels)) == len(self.labels)
            and 1 < len(self.labels) <= MAX_LABELS,
            f"labels of 1 to {MAX_LABEL_CHARACTERS} printable characters": all(map(is_label, self.labels)),
            f"region to be one of {', '.join(REGIONS)}": self.region in REGIONS,
            f"color to be one of {', '.join(COLORS)}": self.color in COLORS,
            f"a size of 1 to {MAX_SIZE_PX}": 0 < self.size <= MAX_SIZE_PX,
            f"{self.channels} values of mean and std for this color": len(self.mean) == self.channels == len(self.std),
            f"mean of -{MAX_MEAN:g} to {MAX_MEAN:g}": all(abs(x) <= MAX_MEAN for x in self.mean),
            f"std of {MIN_STD:g} to {MAX_STD:g}": all(MIN_STD <= x <= MAX_STD for x in self.std),
            f"a margin above -0.5, at most {MAX_MARGIN:g}, got {self.margin}": -0.5 < self.margin <= MAX_MARGIN,
            f"a shift of -{MAX_SHIFT:g} to {MAX_SHIFT:g}, got {self.shift}": abs(self.shift) <= MAX_SHIFT,
            f"a temperature of {MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}, got {self.temperature}": MIN_TEMPERATURE
            <= self.temperature
            <= MAX_TEMPERATURE,
            "prior to have only labels of the model": set(self.prior) <= set(self.labels),
            f"frequencies of {MIN_PRIOR:g} to {MAX_PRIOR:g} in prior": all(
                MIN_PRIOR <= value <= MAX_PRIOR for value in self.prior.values()
            ),
        }
        return [f"expected {text}" for text, passed in checks.items() if not passed]

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
        advice = "export the model again with: emotion-ros export"
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{path}: cannot read its metadata {METADATA_KEY!r}: expected JSON; {advice}") from error
        values = content if isinstance(content, dict) else {}
        unknown = values.keys() - {each.name for each in dataclasses.fields(ModelMetadata)}
        if unknown or "labels" not in values:
            raise ModelError(
                f"{path}: cannot read its metadata {METADATA_KEY!r}: expected an object with labels, and no fields "
                f"that this version does not know; {advice}"
            )
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        try:
            return ModelMetadata(**values)
        except ModelError as error:
            raise ModelError(f"{path}: {error}; {advice}") from error


def _is_list(values: object, kind: type) -> bool:
    return isinstance(values, tuple | list) and all(isinstance(value, kind) for value in values)


def _is_finite(value: object) -> bool:
    """Return whether a value is a number that float32 can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_FLOAT32


def jetson_inference(path: Path, labels: Path | None, size: int, activated: bool) -> ModelMetadata:
    """Return the metadata of a model written by jetson-inference's onnx_export.py.

    Such a model takes RGB images normalised with the statistics of ImageNet; its classes are in a file labels.txt.

    Args:
        path: the model file.
        labels: file with one label per line; None: labels.txt in the folder of the model.
        size: side of the square input in pixels.
        activated: the output holds probabilities, not logits.

    Raises:
        ConfigError: the file of labels cannot be read.
        ModelError: there is no such file of labels, or it has no labels.
    """
    file = labels or path.with_name("labels.txt")
    if not file.is_file():
        raise ModelError(
            f"{path}: expected metadata {METADATA_KEY!r} in the file, or {file.name} with a label per line (as "
            f"jetson-inference writes) in {file.parent}, found neither; name a file of labels with --labels, or export "
            "the model with: emotion-ros export"
        )
    names = tuple(line.strip() for line in read_text_file(file).splitlines() if line.strip())
    return ModelMetadata(
        names, "frame", size, "rgb", IMAGENET_MEAN, IMAGENET_STD, activated=activated, data="unknown", licence="unknown"
    )
