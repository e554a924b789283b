"""Exports a checkpoint of ``train-detector`` as the ONNX file that :class:`EmotionFaces` runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emotion_ros.errors import DatasetError
from emotion_ros.perception.detection.cells import STRIDES, decode_cells
from emotion_ros.training.checkpoints import has_setting
from emotion_ros.training.detector.detector_evaluation import MIN_CONFIDENCE, MIN_OVERLAP, LabelledImage, photos_of
from emotion_ros.training.detector.detector_training import load_detector, pad_to_cells
from emotion_ros.training.detector.matching import CONFIDENCE_COLUMN, Match, match_faces
from emotion_ros.training.detector.network import DetectionNetwork
from emotion_ros.training.detector.object_kinds import OBJECT_KINDS
from emotion_ros.training.detector.photos import read_photos
from emotion_ros.training.export import onnx_file

CALIBRATED_PRECISION = 0.95
"""Share of objects among the detections in held-out photos whose calibrated score is 0.5 or more."""

MAX_FALSE_PER_EMPTY_PHOTO = 0.01
"""Largest number of such detections per photo without objects: a false face in an empty room stays for hours. One is
allowed in fewer than 100 photos, in which none would be chance."""

LOGIT_SCALES = np.geomspace(1, 8, 64)
"""Factors of the logits among which the one with the lowest cross-entropy is taken."""


def export_detector(
    checkpoint: Path, output: Path, metadata: Mapping[str, Any], calibrate_on: Sequence[Path] = ()
) -> dict[str, Any]:
    """Write a detector as ONNX with its metadata.

    The input ``pixels`` is n × 3 × height × width, float32, BGR of 0…255, height and width multiples of 32. The output
    ``cells`` is n × cells × (5 + 2 · landmarks); see :mod:`emotion_ros.perception.detection.cells`.

    Args:
        checkpoint: file written by ``train-detector``.
        output: path of the ONNX file.
        metadata: data and licence.
        calibrate_on: folders of photos as for training. The held-out ones calibrate the scores. None: not calibrated.

    Returns:
        The metadata of the file.

    Raises:
        DatasetError: the photos cannot be read, or no score reaches :data:`CALIBRATED_PRECISION`.
        ModelError: the checkpoint cannot be read, or the file's outputs differ from the network's.
        OutputError: the file cannot be written.
    """
    model = load_detector(checkpoint)
    network = model.network.eval()
    if calibrate_on:
        kind = OBJECT_KINDS[model.config.kind]
        photos = [photo for folder in calibrate_on for photo in read_photos(folder, kind, only_held_out=True)]
        calibrate(network, photos_of(photos))
    network.absorb_division()
    full_metadata = {"kind": model.config.kind, "color": "bgr", "strides": STRIDES, **metadata}
    example = torch.rand(2, 3, 96, 160, generator=torch.Generator().manual_seed(0)) * 255
    axes = {"pixels": {0: "batch", 2: "height", 3: "width"}, "cells": {0: "batch", 1: "cells"}}
    onnx_file.write(network, example, "pixels", "cells", axes, json.dumps(full_metadata), output)
    return full_metadata


def calibrate(network: DetectionNetwork, images: Iterable[LabelledImage]) -> None:
    """Shift and scale the score logits of a network, in place.

    The network is trained to score how well a box fits, which is seldom 1. The shift makes
    :data:`CALIBRATED_PRECISION` of the detections with a score of 0.5 or more faces, and limits those in photos without
    faces to :data:`MAX_FALSE_PER_EMPTY_PHOTO`; the scale then minimises the cross-entropy of the scores.

    Args:
        network: in evaluation mode.
        images: of any size.

    Raises:
        DatasetError: no score does that.
    """
    scores, is_face, is_in_empty = _scored_detections(network, images)
    is_precise = np.cumsum(is_face) / np.arange(1, len(is_face) + 1) >= CALIBRATED_PRECISION
    suitable = np.nonzero(is_precise & (np.cumsum(is_in_empty) <= MAX_FALSE_PER_EMPTY_PHOTO))[0]
    if not len(suitable):
        raise DatasetError(
            f"calibration: expected a score from which {CALIBRATED_PRECISION:.0%} of the detections are faces, with at "
            f"most {MAX_FALSE_PER_EMPTY_PHOTO} in each photo without faces, found none; train longer"
        )
    logits = np.log(scores / (1 - scores))
    shift = float(logits[suitable[-1]])
    signs = np.where(is_face, 1, -1)
    losses = [np.logaddexp(0, -signs * scale * (logits - shift)).mean() for scale in LOGIT_SCALES]
    scale = float(LOGIT_SCALES[int(np.argmin(losses))])
    for head in network.heads:
        head[1].weight.data[0] *= scale  # type: ignore[index]
        head[1].bias.data[0] = scale * (head[1].bias.data[0] - shift)  # type: ignore[index]


def _scored_detections(
    network: DetectionNetwork, images: Iterable[LabelledImage]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Return the score of each detection in descending order, True if it is a face, and its share of empty images.

    That share is one over the number of images without faces, or over 100 if there are fewer, for a detection in such
    an image, else 0.
    """
    scored: list[tuple[float, bool, bool]] = []
    empty_images = 0
    for image in images:
        is_empty = not len(image.faces)
        empty_images += is_empty
        match = _match(network, image)
        scores = match.detections[:, CONFIDENCE_COLUMN].tolist()
        scored += [(score, face, is_empty) for score, face in zip(scores, match.is_face.tolist(), strict=True)]
    scored.sort(reverse=True)
    scores, is_face, is_in_empty = np.array(scored, float).reshape(-1, 3).T
    return scores, is_face == 1, is_in_empty / max(empty_images, 1 / MAX_FALSE_PER_EMPTY_PHOTO)


def _match(network: DetectionNetwork, image: LabelledImage) -> Match:
    padded = pad_to_cells(image.image)
    height, width = padded.shape[:2]
    pixels = torch.from_numpy(padded.transpose(2, 0, 1)[None].copy()).float()
    with torch.no_grad():
        values = network(pixels)[0].numpy()
    return match_faces(decode_cells(values, height, width, MIN_CONFIDENCE), image.faces, MIN_OVERLAP)


def is_detector(checkpoint: Path) -> bool:
    """Return True if a file is a checkpoint of ``train-detector``, False for any other or unreadable file."""
    return has_setting(checkpoint, "images")
