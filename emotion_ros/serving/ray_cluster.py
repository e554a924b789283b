"""A Ray cluster to work on: one that runs, or one that is started on this machine."""

from __future__ import annotations

import os
import socket
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers about this machine

import ray

from emotion_ros.errors import ConfigError

STORE = 256 << 20
"""Bytes of shared memory for images on their way, where Ray is started here."""

WITHIN = 5.0
"""Seconds in which a cluster must answer; Ray itself would ask for minutes."""


def join(address: str) -> None:
    """Connect this process to the cluster at ``host:port``, or, where that is empty, to one of its own.

    Raises:
        ConfigError: nothing answers there.
    """
    here: dict[str, Any] = {} if address else {"object_store_memory": STORE, "include_dashboard": False}
    try:
        if address:
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), WITHIN).close()
        ray.init(address or None, log_to_driver=False, configure_logging=False, **here)
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigError(f"ray: expected a cluster at {address or 'this machine'}: {error}") from error


def leave() -> None:
    """Let go of the cluster; one of its own ends."""
    ray.shutdown()  # type: ignore[no-untyped-call]
