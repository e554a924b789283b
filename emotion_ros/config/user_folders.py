"""Folders of the user for data and caches, by the XDG Base Directory Specification."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path | None:
    """Return ``emotion_ros`` in the user's data folder; None if the user has no home."""
    return _user_folder("XDG_DATA_HOME", ".local/share")


def cache_folder() -> Path | None:
    """Return ``emotion_ros`` in the user's cache folder; None if the user has no home."""
    return _user_folder("XDG_CACHE_HOME", ".cache")


def _user_folder(variable: str, default: str) -> Path | None:
    try:
        return Path(os.environ.get(variable) or Path.home() / default) / "emotion_ros"
    except RuntimeError:  # neither HOME nor an entry in the user database
        return None
