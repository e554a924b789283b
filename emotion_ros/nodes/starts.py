"""Counts how often a launch file has started a node again that ended."""

from __future__ import annotations

import os

VARIABLE = "EMOTION_ROS_STARTS"
"""Environment variable with the path of the counter: a file with a byte per start."""


def starts_variable() -> dict[str, str]:
    """Return the environment variable for a node that is started again when it ends.

    The counter is a file in the memory of this process: it ends with the launch, and needs no folder that can be
    written.
    """
    descriptor = os.memfd_create("emotion_ros_starts")  # stays open as long as this process runs
    return {VARIABLE: f"/proc/{os.getpid()}/fd/{descriptor}"}


def count_start() -> int | None:
    """Count a start of this node; return how often it was started before.

    Returns:
        None without a counter: it was started in another way, or by another user.
    """
    try:
        with open(os.environ.get(VARIABLE, ""), "ab", buffering=0) as counter:
            counter.write(b".")
            return counter.tell() - 1
    except OSError:
        return None
