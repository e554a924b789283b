"""Imports MediaPipe's solutions, without the libraries that only its drawing functions need."""

from __future__ import annotations

import importlib
import platform
from typing import Any

from emotion_ros.errors import ModelError
from emotion_ros.perception.stub_modules import stub_modules

DRAWING_MODULES = ("matplotlib", "matplotlib.pyplot")
"""Imported by mediapipe for its own drawings only: a third of a second and 28 MiB."""

MEDIAPIPE_VERSION = "0.10.18" if platform.machine() in ("aarch64", "arm64") else "0.10.21"
"""Version that setup.py requires on this processor."""


def import_solution(module: str, name: str, alternative: str) -> Any:
    """Return a class of ``mediapipe.python.solutions``.

    Args:
        module: module below ``mediapipe.python.solutions``.
        name: of the class.
        alternative: setting with which mediapipe is not needed, for the error.

    Raises:
        ModelError: mediapipe cannot be imported.
    """
    try:
        with stub_modules(*DRAWING_MODULES):
            return getattr(importlib.import_module(f"mediapipe.python.solutions.{module}"), name)
    except Exception as error:  # another version of protobuf or jax than mediapipe needs raises TypeError and others
        raise ModelError(
            f"{module}: expected the library mediapipe, cannot import it ({error}); "
            f"pip install mediapipe=={MEDIAPIPE_VERSION}, or set {alternative}"
        ) from error
