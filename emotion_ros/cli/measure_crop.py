"""``emotion-ros measure-crop``: finds the crop margin and shift with the best accuracy."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from emotion_ros.cli.extras import requires_training
from emotion_ros.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", type=Path, help="ONNX file whose region is face")
    parser.add_argument("data", type=Path, metavar="DATA", help="face pictures in a folder per class")
    parser.add_argument("--split", default="val", choices=("train", "val", "test"), help="(default: val)")
    parser.add_argument("--detectors", default="mediapipe,mediapipe_full", help="names, or name=FILE, comma-separated")
    parser.add_argument("--tilts", help="degrees, comma-separated: measure alignment on rotated faces")
    parser.add_argument("--pictures", type=int, default=1200, help="largest number of pictures (default: 1200)")
    parser.add_argument("--json", action="store_true", help="print JSON")


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    tilts = _tilts(parsed.tilts) if parsed.tilts else []
    if parsed.pictures < 1:
        raise ConfigError(f"pictures: expected 1 or more, got {parsed.pictures}")
    from emotion_ros.training.evaluation.crop_search import measure_alignment, measure_crop

    detectors = parsed.detectors.split(",")
    if tilts:
        rows = measure_alignment(parsed.model, parsed.data, parsed.split, detectors, parsed.pictures, tilts)
        print(json.dumps(rows) if parsed.json else "\n".join(str(row) for row in rows))
        return 0
    figures = measure_crop(parsed.model, parsed.data, parsed.split, detectors, parsed.pictures)
    print(json.dumps(figures) if parsed.json else _table(figures))
    return 0


def _tilts(text: str) -> list[float]:
    try:
        tilts = [float(tilt) for tilt in text.split(",")]
    except ValueError:
        tilts = []
    if not tilts or not all(map(math.isfinite, tilts)):
        raise ConfigError(f"tilts: expected degrees, separated by commas, such as 0,15,30, got {text!r}")
    return tilts


def _table(figures: dict[str, Any]) -> str:
    lines = []
    for name, rows in figures["accuracy"].items():
        lines.append(f"{name}: {figures['faces'][name]} faces; accuracy by margin (down) and shift (across)")
        lines.append("       " + "".join(f"{shift:8.2f}" for shift in figures["shifts"]))
        for margin, row in zip(figures["margins"], rows, strict=True):
            lines.append(f"{margin:7.2f}" + "".join(f"{value:8.4f}" for value in row))
    lines.append(f"pictures without detection: {figures['whole']:.4f}")
    lines.append(f"best: --margin {figures['margin']} --shift {figures['shift']}")
    return "\n".join(lines)
