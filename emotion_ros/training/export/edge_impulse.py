"""A folder for Edge Impulse: the pictures in its upload layout, and the model for its "bring your own model".

The layout is the "Edge Impulse exporter acquisition format": folders ``training`` and ``testing`` and a JSON file
``info.labels`` (docs.edgeimpulse.com, specifications, data annotation).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emotion_ros.errors import OutputError
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.training.data.datasets import Samples

CATEGORIES = {"train": "training", "val": "training", "test": "testing"}
"""Edge Impulse splits a validation set off by itself."""


def write_package(model: Path, contract: ModelMetadata, splits: dict[str, Samples], output: Path) -> None:
    """Write model, data and a README with the commands to upload them.

    Args:
        model: an int8 .tflite file.
        contract: the model's.
        splits: pictures as the model sees them, by split.
        output: a folder; what it holds of an earlier package is replaced.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        (output / "model").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model, output / "model" / "model.tflite")
        (output / "model" / "labels.txt").write_text("".join(f"{label}\n" for label in contract.labels))
        files = [each for split, samples in splits.items() for each in _write_pictures(split, samples, output / "data")]
        (output / "data" / "info.labels").write_text(json.dumps({"version": 1, "files": files}, indent=1) + "\n")
        (output / "README.md").write_text(_readme(contract, len(files)))
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror}") from error


def _write_pictures(split: str, samples: Samples, folder: Path) -> list[dict[str, Any]]:
    category, entries = CATEGORIES[split], []
    (folder / category).mkdir(parents=True, exist_ok=True)
    for name, pixels, index in zip(samples.names, samples.pixels, samples.classes, strict=True):
        label = samples.labels[index]
        file = f"{category}/{split}_{name.replace('/', '_').rsplit('.', 1)[0]}.png"
        image = pixels.transpose(1, 2, 0)
        png = cv2.imencode(".png", np.ascontiguousarray(image if image.shape[2] == 1 else image[..., ::-1]))[1]
        (folder / file).write_bytes(png.tobytes())
        entries.append(
            {"path": file, "name": Path(file).stem, "category": category, "label": {"type": "label", "label": label}}
        )
    return entries


def _readme(contract: ModelMetadata, pictures: int) -> str:
    shape = f"{contract.size} × {contract.size} × {contract.channels}"
    return f"""\
# For Edge Impulse

`data/` holds {pictures} pictures of {", ".join(contract.labels)} as the model sees them. They leave this machine only
when you run this (Edge Impulse CLI; asks for your account):

    cd data && edge-impulse-uploader --info-file info.labels

`model/model.tflite` is int8, input {shape} of pixels 0…1 (int8: pixel − 128), output: a probability per line of
`model/labels.txt`. In Edge Impulse Studio choose "Upload your model", then: input "Image", scaling "pixels ranging
0..1", output "Classification", and the labels in this order: {", ".join(contract.labels)}. Or in Python:

    pip install edgeimpulse

    import edgeimpulse as ei
    ei.API_KEY = "..."  # of your project
    ei.model.profile(model="model/model.tflite").summary()
    ei.model.deploy(
        model="model/model.tflite",
        model_input_type=ei.model.input_type.ImageInput(),
        model_output_type=ei.model.output_type.Classification(labels={list(contract.labels)}),
        deploy_target="zip",
        output_directory=".",
    )
"""
