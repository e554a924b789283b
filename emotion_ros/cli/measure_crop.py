"""``emotion-ros measure-crop``: finds the crop margin and shift that suit a model best."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--split", default="val", choices=("train", "val", "test"))
    parser.add_argument("--detectors", default="mediapipe,mediapipe_full", help="a name, or name=model, with commas")
    parser.add_argument("--tilts", help="degrees, with commas: measure alignment on faces rotated by them")
    parser.add_argument("--pictures", type=int, default=1200, help="number of pictures of the split")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.training.evaluation.crop_search import measure_alignment, measure_crop

    if parsed.tilts:
        tilts, detectors = [float(each) for each in parsed.tilts.split(",")], parsed.detectors.split(",")
        rows = measure_alignment(parsed.model, parsed.data, parsed.split, detectors, parsed.pictures, tilts)
        print(json.dumps(rows) if parsed.json else "\n".join(str(row) for row in rows))
        return 0
    figures = measure_crop(parsed.model, parsed.data, parsed.split, parsed.detectors.split(","), parsed.pictures)
    if parsed.json:
        print(json.dumps(figures))
        return 0
    for name, rows in figures["accuracy"].items():
        print(f"{name}: {figures['faces'][name]} faces; accuracy by margin (down) and shift (across)")
        print("       " + "".join(f"{shift:8.2f}" for shift in figures["shifts"]))
        for margin, row in zip(figures["margins"], rows, strict=True):
            print(f"{margin:7.2f}" + "".join(f"{value:8.4f}" for value in row))
    print(f"the pictures as they are: {figures['whole']:.4f}")
    print(f"best over all: --margin {figures['margin']} --shift {figures['shift']}")
    return 0
