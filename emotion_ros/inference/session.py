"""A model in ONNX, opened by ONNX Runtime on the best there is."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path

import onnxruntime as ort

from emotion_ros.errors import ModelError
from emotion_ros.inference.providers import PROVIDERS, Shapes, plan_providers

METADATA_KEY = "emotion_ros"
"""ONNX metadata property that holds what a model says of itself as JSON."""


def default_cache() -> Path:
    """Where TensorRT engines are kept: ``$XDG_CACHE_HOME/emotion_ros`` or ``~/.cache/emotion_ros``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emotion_ros"


def open_session(
    path: Path,
    content: bytes,
    provider: str,
    threads: int,
    cache: Path,
    shapes: Callable[[ort.InferenceSession], Shapes],
) -> ort.InferenceSession:
    """A session on ``provider`` or what comes after it.

    Args:
        path: of the model. ONNX Runtime reads it: of bytes it keeps a copy as long as the session lives.
        content: of that file, of which the digest is taken.
        provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
        threads: on a CPU; 0 lets ONNX Runtime choose.
        cache: folder for TensorRT engines.
        shapes: smallest, usual and largest shape of the input of a model that is open on the CPU; raises a ModelError
            where the model is none that the caller can use.

    Raises:
        ModelError: the content is no ONNX model, or what ``shapes`` raises.
        ProviderError: the provider is not available.
    """
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    # Threads that wait busily for the next image took 20 ms of a core for each at 30 Hz, and saved a tenth of the time.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        first = ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base but this
        reason = str(error).strip().splitlines()[0][:200]
        raise ModelError(f"{path}: expected an ONNX model that ONNX Runtime can load: {reason}") from error
    wanted = shapes(first)
    digest = hashlib.sha256(content).hexdigest()[:16]
    name = first.get_inputs()[0].name
    plan = plan_providers(provider, ort.get_available_providers(), cache, digest, platform.node(), name, wanted)
    if [name for name, _ in plan] == ["CPUExecutionProvider"]:
        return first
    for _, options in plan:
        if "trt_engine_cache_path" in options:
            Path(options["trt_engine_cache_path"]).mkdir(parents=True, exist_ok=True)
    return ort.InferenceSession(str(path), settings, providers=plan)


def provider_of(session: ort.InferenceSession) -> str:
    """Which execution provider runs it: ``tensorrt``, ``cuda`` or ``cpu``."""
    return next(ours for ours, name in PROVIDERS.items() if name == session.get_providers()[0])


def metadata(session: ort.InferenceSession) -> str | None:
    """What the model says of itself, as JSON; None where it says nothing."""
    found: str | None = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    return found


def read(path: Path) -> bytes:
    """The content of a model file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: expected an ONNX or TFLite model, cannot read it: {error.strerror}") from error
