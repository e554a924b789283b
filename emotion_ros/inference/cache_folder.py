"""Folder of built TensorRT engines."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from pathlib import Path

from emotion_ros.config.user_folders import cache_folder
from emotion_ros.errors import OutputError

LOG = logging.getLogger(__name__)


def default_cache() -> Path:
    """Return the folder of TensorRT engines; it may not exist yet.

    ``$XDG_CACHE_HOME/emotion_ros``, else ``~/.cache/emotion_ros``. A user without a home folder (a container's bare
    user id) gets :func:`temporary_cache`.
    """
    return cache_folder() or temporary_cache()


def temporary_cache() -> Path:
    """Return this user's folder in the system's temporary folder, as in ``/tmp/emotion_ros-1000``."""
    return Path(tempfile.gettempdir()) / f"emotion_ros-{os.getuid()}"


def create_engine_folder(folder: Path) -> None:
    """Create a folder in the cache, with the folders above it.

    TensorRT runs the engines that it reads. Everybody may create files in the temporary folder, so that a cache in it
    is used only if it belongs to this user and nobody else may write to it.

    Raises:
        OutputError: the folder cannot be created, or the temporary cache belongs to another user.
    """
    temporary = temporary_cache()
    try:
        if temporary in folder.parents:
            temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_owner(temporary)
            LOG.warning("no home folder: TensorRT engines are stored in %s; set XDG_CACHE_HOME to keep them", temporary)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: expected to create this folder for TensorRT engines, got {error.strerror}; "
            "set XDG_CACHE_HOME to a folder that can be written"
        ) from error


def _check_owner(folder: Path) -> None:
    status = folder.lstat()
    others_write = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or others_write:
        raise OutputError(
            f"{folder}: expected a folder of this user that nobody else can write to; "
            "remove it, or set XDG_CACHE_HOME to another folder"
        )
