"""What a device could do at best, and what a provider makes of it, as a table for the README of a robot."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from emotion_ros.inference.catalog import default_face_model, find_model
from emotion_ros.inference.timing import median_ms
from emotion_ros.perception.detection.emotion_faces import EmotionFaces
from emotion_ros.perception.emotion.classifier import EmotionClassifier

FACES = (1, 2, 4, 8, 16)
SIDE = 48


@dataclass(frozen=True)
class DeviceSpec:
    """What a data sheet promises: fp16 operations per second (10¹², dense) and bytes of memory per second (10⁹)."""

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
"""NVIDIA's data sheets of the modules. Of Orin they give sparse int8 rates: dense fp16 is a quarter (40, 60 and 170 of
the GPU alone)."""

OPERATIONS, WEIGHTS = 2 * 313.2e6, 44.69e6 / 2
"""Of ResNet-18 for one face, and bytes of its weights in fp16, by ``scripts/count_operations.py``."""


def floor_ms(peak: DeviceSpec, faces: int) -> float:
    """Milliseconds that a device with that peak needs at least to classify so many faces by ResNet-18 in fp16: for all
    operations, or to read all weights once, whichever takes longer."""
    return max(faces * OPERATIONS / (peak.tera_operations * 1e12), WEIGHTS / (peak.giga_bytes * 1e9)) * 1000


def measure(provider: str) -> dict[str, dict[str, float | str]]:
    """Median milliseconds per call on a provider, preprocessing and copies included, and seconds until it was ready.

    Args:
        provider: ``tensorrt``, ``cuda``, ``cpu`` or ``auto``.

    Returns:
        For each model ``runs on``, ``ready after s``, and ``1 faces ms`` and so on, or ``640×480 ms`` of the detector.

    Raises:
        ProviderError: it is not available.
    """
    figures: dict[str, dict[str, float | str]] = {}
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    for name in ("emotion_resnet18", "emotion_resnet18_int8"):
        begin = time.perf_counter()
        classifier = EmotionClassifier(find_model(name), provider)
        classifier.wait_until_ready()
        ready = time.perf_counter() - begin
        figures[name] = {"runs on": classifier.engine_status or classifier.provider, "ready after s": round(ready, 1)}
        for count in FACES:
            spent = median_ms(partial(classifier.classify, [image[:SIDE, :SIDE]] * count))
            figures[name][f"{count} faces ms"] = round(spent, 2)
    begin = time.perf_counter()
    faces = EmotionFaces(default_face_model(), provider)
    faces.wait_until_ready()
    ready = time.perf_counter() - begin
    figures["emotion_faces"] = {
        "runs on": faces.engine_status or faces.provider,
        "ready after s": round(ready, 1),
        "640×480 ms": round(median_ms(lambda: faces.detect(image, 0.5, 24)), 2),
    }
    return figures


def table(figures: Mapping[str, Mapping[str, float | str]]) -> str:
    """What :func:`measure` returned, in Markdown, with what the common Jetsons could do at best."""
    columns = list(dict.fromkeys(column for each in figures.values() for column in each))
    lines = [f"| {platform.node()} | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name, each in figures.items():
        lines.append(f"| {name} | " + " | ".join(str(each.get(column, "")) for column in columns) + " |")
    lines += ["", "ResNet-18 in fp16 can take no less (data sheet, not measured):", ""]
    lines += [
        "| device | " + " | ".join(f"{count} faces ms" for count in FACES) + " |",
        "| --- |" + " --- |" * len(FACES),
    ]
    for name, peak in JETSONS.items():
        lines.append(f"| {name} | " + " | ".join(f"{floor_ms(peak, count):.2f}" for count in FACES) + " |")
    return "\n".join(lines)
