"""Connect to a Ray cluster: a running one, or one that is started on this machine."""

from __future__ import annotations

import os
import socket
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would send data about this machine otherwise

import ray

from emotion_ros.errors import ConfigError

OBJECT_STORE_BYTES = 256 << 20
"""Shared memory for images in transit if Ray is started here."""

CONNECT_TIMEOUT_S = 5.0
"""Time in which a cluster must accept a connection; Ray itself would try for minutes."""


def join(address: str) -> None:
    """Connect this process to a cluster.

    Args:
        address: ``host:port``; empty: start a cluster on this machine.

    Raises:
        ConfigError: nothing answers there.
    """
    local: dict[str, Any] = {} if address else {"object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    try:
        if address:
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
        ray.init(address or None, log_to_driver=False, configure_logging=False, **local)
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigError(f"ray: expected a cluster at {address or 'this machine'}: {error}") from error


def leave() -> None:
    """Disconnect from the cluster; one that :func:`join` started ends."""
    ray.shutdown()  # type: ignore[no-untyped-call]
