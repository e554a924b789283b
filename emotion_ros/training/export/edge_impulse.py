"""Package for Edge Impulse: the pictures in its upload layout, and the model for "bring your own model".

The layout is the "Edge Impulse exporter acquisition format": folders ``training`` and ``testing`` and a JSON file
``info.labels`` (docs.edgeimpulse.com, specifications, data annotation).
"""

from __future__ import annotations

import json
import shutil
from itertools import chain, count
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emotion_ros.errors import OutputError
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.training.data.datasets import Samples

CATEGORIES = {"train": "training", "val": "training", "test": "testing"}
"""Split to its category; Edge Impulse makes a validation set from training."""


def write_package(model: Path, metadata: ModelMetadata, splits: dict[str, Samples], output: Path) -> None:
    """Write model, data and a README with the commands to upload them.

    Args:
        model: an int8 .tflite file.
        metadata: metadata of the model.
        splits: split to its pictures in the model's view.
        output: a new or empty folder, or one with an earlier package, whose files are replaced.

    Raises:
        OutputError: the folder cannot be written, or holds something else.
    """
    if output.is_dir() and any(output.iterdir()) and not (output / "data" / "info.labels").is_file():
        raise OutputError(
            f"{output}: expected an empty folder or an earlier package, it holds something else; name another"
        )
    try:
        (output / "model").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model, output / "model" / "model.tflite")
        (output / "model" / "labels.txt").write_text("".join(f"{label}\n" for label in metadata.labels))
        files = [
            entry for split, samples in splits.items() for entry in _write_pictures(split, samples, output / "data")
        ]
        (output / "data" / "info.labels").write_text(json.dumps({"version": 1, "files": files}, indent=1) + "\n")
        (output / "README.md").write_text(_readme(metadata, len(files)))
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror}") from error


def _write_pictures(split: str, samples: Samples, folder: Path) -> list[dict[str, Any]]:
    category, entries = CATEGORIES[split], []
    written: set[str] = set()  # a/b_c.png and a_b/c.png, or a.png and a.jpg, get the same name
    (folder / category).mkdir(parents=True, exist_ok=True)
    for name, pixels, index in zip(samples.names, samples.pixels, samples.classes, strict=True):
        label = samples.labels[index]
        stem = f"{category}/{split}_{name.replace('/', '_').rsplit('.', 1)[0]}"
        candidates = chain([f"{stem}.png"], (f"{stem}-{number}.png" for number in count(2)))
        file = next(file for file in candidates if file not in written)
        written.add(file)
        image = pixels.transpose(1, 2, 0)
        png = cv2.imencode(".png", np.ascontiguousarray(image if image.shape[2] == 1 else image[..., ::-1]))[1]
        (folder / file).write_bytes(png.tobytes())
        entries.append(
            {"path": file, "name": Path(file).stem, "category": category, "label": {"type": "label", "label": label}}
        )
    return entries


def _readme(metadata: ModelMetadata, pictures: int) -> str:
    shape = f"{metadata.size} × {metadata.size} × {metadata.channels}"
    return f"""\
# For Edge Impulse

`data/` holds {pictures} pictures of {", ".join(metadata.labels)} in the model's view. This command uploads them (Edge
Impulse CLI; it asks for your account); nothing is uploaded without it:

    cd data && edge-impulse-uploader --info-file info.labels

`model/model.tflite` is int8, input {shape} of pixels 0…1 (int8: pixel − 128), output: a probability per line of
`model/labels.txt`. In Edge Impulse Studio choose "Upload your model", then: input "Image", scaling "pixels ranging
0..1", output "Classification", and the labels in this order: {", ".join(metadata.labels)}. Or in Python:

    pip install edgeimpulse

    import edgeimpulse as ei
    ei.API_KEY = "..."  # of your project
    ei.model.profile(model="model/model.tflite").summary()
    ei.model.deploy(
        model="model/model.tflite",
        model_input_type=ei.model.input_type.ImageInput(),
        model_output_type=ei.model.output_type.Classification(labels={list(metadata.labels)}),
        deploy_target="zip",
        output_directory=".",
    )
"""
