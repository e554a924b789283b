"""Pipeline settings of a detector node, read through its parameter services."""

from __future__ import annotations

import threading
import time

from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

from emotion_ros.config import PipelineConfig
from emotion_ros.config.options import build, options
from emotion_ros.errors import ConfigError

SERVICE_TIMEOUT_S = 5.0
"""Maximum seconds for an answer; a detector does not answer while it loads its models."""

DISCOVERY_TIMEOUT_S = 2.0
"""Maximum seconds, from the start of this node, until a detector that runs is discovered."""

POLL_INTERVAL_S = 0.01
"""Seconds between two checks for the answer."""

PARAMETERS = [option.name for option in options(PipelineConfig) if not option.temporal]
"""Parameters that affect single pictures."""


class DetectorSettings:
    """Reads the settings of the node ``detector`` in the namespace of another node.

    Args:
        node: gets the service client. Another thread must spin it.
    """

    def __init__(self, node: Node) -> None:
        self._client = node.create_client(GetParameters, "detector/get_parameters")
        self._detector = node.resolve_service_name("detector/get_parameters").rpartition("/")[0]
        self._found = False
        self._discovered_until = time.monotonic() + DISCOVERY_TIMEOUT_S
        self._closed = threading.Event()

    def close(self) -> None:
        """End a :meth:`read` that waits, and refuse further ones: no thread spins the node any more."""
        self._closed.set()

    @property
    def source(self) -> str:
        """Origin of the settings that were read last, in words."""
        if self._found:
            return f"parameters of {self._detector}"
        return f"default settings: no node {self._detector} found"

    def read(self) -> PipelineConfig:
        """Return the detector's settings, or the default settings if no detector runs.

        Blocks for at most :data:`SERVICE_TIMEOUT_S`; must not be called by the thread that spins the node.

        Raises:
            ConfigError: the detector does not answer, or lacks a parameter.
        """
        self._found = self._wait_for_detector()
        return build(PipelineConfig, self._request()) if self._found else PipelineConfig()

    def _wait_for_detector(self) -> bool:
        """Return whether a detector runs. Its discovery takes a moment after the start of this node."""
        while not (found := self._client.service_is_ready()) and time.monotonic() < self._discovered_until:
            if self._closed.wait(POLL_INTERVAL_S):
                break
        return bool(found)

    def _request(self) -> dict[str, object]:
        future = self._client.call_async(GetParameters.Request(names=PARAMETERS))
        deadline = time.monotonic() + SERVICE_TIMEOUT_S
        while not future.done() and time.monotonic() < deadline and not self._closed.wait(POLL_INTERVAL_S):
            pass
        if not future.done():
            self._client.remove_pending_request(future)
            raise ConfigError(
                f"{self._detector}: expected its parameters within {SERVICE_TIMEOUT_S:g} s, got no answer; try again "
                "once it has loaded its models"
            )
        values = [parameter_value_to_python(value) for value in future.result().values]
        if len(values) != len(PARAMETERS):
            raise ConfigError(f"{self._detector}: expected the parameters of this version; restart the detector")
        return dict(zip(PARAMETERS, values, strict=True))
