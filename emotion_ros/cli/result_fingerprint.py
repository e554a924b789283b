"""Fingerprint of settings, models and versions: stored results with another one are invalid."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path

from emotion_ros import __version__
from emotion_ros.config import PipelineConfig
from emotion_ros.config.package_files import default_gestures
from emotion_ros.inference.catalog import catalog, find_model

LIBRARIES = ("mediapipe", "onnxruntime")
"""Libraries that contain models, or run this package's."""


def result_fingerprint(config: PipelineConfig) -> str:
    """Return a text that changes with the settings, the package's version, and the content of any file they name.

    Raises:
        ModelError: a model is missing.
    """
    hashes = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(config) if path.is_file()}
    versions = [__version__, *(_version(library) for library in LIBRARIES)]
    return json.dumps([dataclasses.asdict(config), hashes, versions], sort_keys=True)


def _files(config: PipelineConfig) -> Iterator[Path]:
    yield from (entry.path() for entry in catalog().values() if not entry.url)  # the defaults depend on the processor
    if config.model:
        model = find_model(config.model)
        yield model
        yield Path(config.labels) if config.labels else model.with_name("labels.txt")
    yield from (find_model(name) for name in (config.face_model, config.hand_model, config.hand_landmark_model) if name)
    yield Path(config.gestures) if config.gestures else default_gestures()


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""
