"""Time of each network on an execution provider, beside the lower bounds of common devices, as Markdown tables."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from emotion_ros.cli.markdown import markdown_table
from emotion_ros.inference.catalog import default_face_model, find_model
from emotion_ros.inference.timing import median_ms
from emotion_ros.perception.detection.emotion_faces import EmotionFaces
from emotion_ros.perception.emotion.classifier import EmotionClassifier

FACE_COUNTS = (1, 2, 4, 8, 16)
"""Numbers of faces that are classified in one call."""


@dataclass(frozen=True)
class DeviceSpec:
    """Peak rates of a device by its data sheet.

    Attributes:
        tera_operations: dense fp16 operations per second, 10¹².
        giga_bytes: bytes of memory per second, 10⁹.
    """

    tera_operations: float
    giga_bytes: float


JETSONS = {
    "Jetson Nano": DeviceSpec(0.472, 25.6),
    "Jetson TX2": DeviceSpec(1.33, 59.7),
    "Jetson Xavier NX": DeviceSpec(6.0, 59.7),
    "Jetson AGX Xavier": DeviceSpec(11.0, 136.5),
    "Jetson Orin Nano 8 GB": DeviceSpec(10.0, 68.0),
    "Jetson Orin NX 16 GB": DeviceSpec(15.0, 102.4),
    "Jetson AGX Orin 64 GB": DeviceSpec(42.5, 204.8),
}
"""NVIDIA's data sheets of the modules. For Orin they give sparse int8 rates, of which dense fp16 is a quarter (40, 60
and 170 of the GPU alone)."""

RESNET18_OPERATIONS = 2 * 333.1e6
"""Operations of ResNet-18 for one face, by ``scripts/count_operations.py``."""

RESNET18_WEIGHT_BYTES = 44.81e6 / 2
"""Size of the weights of ResNet-18 in fp16, by ``scripts/count_operations.py``."""


def min_time_ms(device: DeviceSpec, faces: int) -> float:
    """Return the milliseconds that a device needs at least to classify ``faces`` faces by ResNet-18 in fp16.

    The bound is the time for all operations, or to read all weights once, whichever is longer.
    """
    compute_s = faces * RESNET18_OPERATIONS / (device.tera_operations * 1e12)
    memory_s = RESNET18_WEIGHT_BYTES / (device.giga_bytes * 1e9)
    return max(compute_s, memory_s) * 1000


def measure(provider: str) -> dict[str, dict[str, float | str]]:
    """Measure the networks on an execution provider, with preprocessing and copies.

    Args:
        provider: ``tensorrt``, ``cuda``, ``cpu`` or ``auto``.

    Returns:
        For each model ``runs on``, ``ready after s`` (seconds until the provider ran it), and median milliseconds per
        call: ``1 faces ms`` and so on for a classifier, ``640×480 ms`` for the detector.

    Raises:
        ProviderError: it is not available.
    """
    figures: dict[str, dict[str, float | str]] = {}
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    for name in ("emotion_resnet18", "emotion_resnet18_int8"):
        classifier, figures[name] = _ready(partial(EmotionClassifier, find_model(name), provider))
        crop = image[: classifier.metadata.size, : classifier.metadata.size]
        for count in FACE_COUNTS:
            figures[name][f"{count} faces ms"] = round(median_ms(partial(classifier.classify, [crop] * count)), 2)
    detector, figures["emotion_faces"] = _ready(partial(EmotionFaces, default_face_model(), provider))
    figures["emotion_faces"]["640×480 ms"] = round(median_ms(lambda: detector.detect(image, 0.5, 24)), 2)
    return figures


N = TypeVar("N", EmotionClassifier, EmotionFaces)


def _ready(create: Callable[[], N]) -> tuple[N, dict[str, float | str]]:
    """Return a network that runs on its final provider, and how long that took."""
    start = time.perf_counter()
    network = create()
    network.wait_until_ready()
    seconds = time.perf_counter() - start
    return network, {"runs on": network.engine_status or network.provider, "ready after s": round(seconds, 1)}


def table(figures: Mapping[str, Mapping[str, float | str]]) -> str:
    """Return the figures of :func:`measure` in Markdown, and the lower bounds of common Jetsons."""
    columns = list(dict.fromkeys(column for row in figures.values() for column in row))
    measured = [[name, *(row.get(column, "") for column in columns)] for name, row in figures.items()]
    headings = [f"{count} faces ms" for count in FACE_COUNTS]
    bounds = [
        [name, *(f"{min_time_ms(device, count):.2f}" for count in FACE_COUNTS)] for name, device in JETSONS.items()
    ]
    return "\n".join(
        [
            markdown_table([platform.node(), *columns], measured),
            "",
            "Lower bounds of ResNet-18 in fp16 (from data sheets, not measured):",
            "",
            markdown_table(["device", *headings], bounds),
        ]
    )
