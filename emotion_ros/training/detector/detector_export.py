"""From a checkpoint of ``train-detector`` to the ONNX file that :class:`EmotionFaces` runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emotion_ros.errors import DatasetError
from emotion_ros.perception.detection.cells import STRIDES, find
from emotion_ros.perception.detection.emotion_faces import KIND, LEAST
from emotion_ros.training.detector.detector_evaluation import LEAST_OVERLAP, Picture, matches, scenes_of
from emotion_ros.training.detector.detector_training import VAL_SIDE, load_detector
from emotion_ros.training.detector.network import FaceNetwork
from emotion_ros.training.detector.photos import read_backgrounds, read_photos
from emotion_ros.training.export import onnx_file

SCENES = 600
"""How many scenes calibrate the scores."""

PRECISION = 0.98
"""Share of faces among what is found in those scenes with a calibrated score of one half or more."""

SPREADS = np.geomspace(1, 8, 64)
"""Factors of the scores' logits among which the one that fits best is taken."""


def export_detector(
    checkpoint: Path, output: Path, about: Mapping[str, Any], calibrate_on: Path | None = None
) -> dict[str, Any]:
    """Write a face detector as ONNX, for images of any size that is a multiple of 32, with its metadata inside.

    Args:
        checkpoint: file written by ``train-detector``.
        output: the ONNX file.
        about: data and licence, for its metadata.
        calibrate_on: photos as for training; scenes of those that were held out say which score is enough.

    Returns:
        The metadata.

    Raises:
        DatasetError: the photos cannot be read, or what is found in them is no face too often.
        ModelError: the checkpoint cannot be read, or the file does not compute what it does.
        OutputError: the file cannot be written.
    """
    model = load_detector(checkpoint)
    network = model.network.eval()
    if calibrate_on is not None:
        photos, behind = read_photos(calibrate_on, only_held_out=True), read_backgrounds(model.config.backgrounds)
        _calibrate(network, scenes_of(photos, behind, VAL_SIDE, SCENES))
    network.absorb_division()
    contract = {"kind": KIND, "color": "bgr", "strides": STRIDES, **about}
    example = torch.rand(2, 3, 96, 160, generator=torch.Generator().manual_seed(0)) * 255
    axes = {"pixels": {0: "batch", 2: "height", 3: "width"}, "cells": {0: "batch", 1: "cells"}}
    onnx_file.write(network, example, "pixels", "cells", axes, json.dumps(contract), output)
    return contract


def _calibrate(network: FaceNetwork, pictures: Iterable[Picture]) -> None:
    """Shift the scores so that :data:`PRECISION` of what is found with one half or more are faces, and spread them so
    that they tell best what is one; training has scores say how well a box fits, which is seldom perfect."""
    found: list[tuple[float, bool]] = []
    for picture in pictures:
        height, width = picture.image.shape[:2]
        with torch.no_grad():
            values = network(torch.from_numpy(picture.image.transpose(2, 0, 1)[None].copy()).float())[0].numpy()
        truth, doubtful = (picture.faces[picture.faces[:, 14] == known] for known in (1, 0))
        match = matches(find(values, height, width, LEAST), truth, LEAST_OVERLAP, doubtful)
        found += zip(match.found[:, 14].tolist(), match.right.tolist(), strict=True)
    scores, right = (np.array(each) for each in zip(*sorted(found, reverse=True), strict=True))
    precise = np.nonzero(np.cumsum(right) / np.arange(1, len(right) + 1) >= PRECISION)[0]
    if not len(precise):
        raise DatasetError(f"calibration: never are {PRECISION:.0%} of what is found faces; train longer")
    logits = np.log(scores / (1 - scores))
    shift = float(logits[precise[-1]])
    signs = np.where(right, 1, -1)
    losses = [np.logaddexp(0, -signs * spread * (logits - shift)).mean() for spread in SPREADS]
    spread = float(SPREADS[int(np.argmin(losses))])
    for head in network.heads:
        head[1].weight.data[0] *= spread  # type: ignore[index]
        head[1].bias.data[0] = spread * (head[1].bias.data[0] - shift)  # type: ignore[index]


def is_detector(checkpoint: Path) -> bool:
    """Whether a checkpoint is one of ``train-detector``; False for whatever cannot be read."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        return "scenes" in content["hyper_parameters"]["config"]
    except Exception:  # torch raises whatever its unpickler met
        return False
