"""Start, spin and clean shutdown of a node on Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation

from emotion_ros.errors import EmotionRosError
from emotion_ros.io.heap import keep_freed_memory, limit_arenas
from emotion_ros.nodes.dds_settings import CAMERA_PROFILE, profile_variables
from emotion_ros.nodes.shared_memory import remove_stale_segments

try:  # half the work per message; not available in Humble and Jazzy
    from rclpy.experimental import EventsExecutor
except ImportError:
    EventsExecutor = None

SPIN_TIMEOUT_S = 0.2
"""Maximum wait for an event before the context is checked. rclpy wakes the executor before it shuts the context down.
An executor that checks in between would otherwise wait for the next event."""

LOG_INTERVAL_S = 5.0
"""Seconds between two log lines about callbacks that fail."""

WITHOUT_LOG_FILES = ("--ros-args", "--disable-external-lib-logs")
"""Arguments with which ROS logs to the terminal and to /rosout only."""

FAILURE_PAUSE_S = 0.01
"""Pause after a callback that failed: one that fails each time must not take a whole core."""


@contextmanager
def until_shutdown() -> Iterator[None]:
    """Suppress errors of publishers and services whose context was shut down meanwhile.

    For work in threads other than the executor's, which a shutdown does not interrupt.
    """
    try:
        yield
    except rclpy_implementation.RCLError:
        if rclpy.ok():
            raise


def spin_node(create: Callable[[], Any]) -> int:
    """Create a node, start it, spin it until it is interrupted, and stop it.

    Args:
        create: returns a node with the methods ``start()`` and ``stop()``.

    Returns:
        0, or 1 if the node could not be created, started or stopped; the reason is printed on stderr.
    """
    # The handlers that rclpy.init installs shut the context down and then call these. With Python's own handler,
    # another Ctrl-C would raise KeyboardInterrupt while the node finishes its files.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    remove_stale_segments()
    keep_freed_memory()
    limit_arenas()
    os.environ.update(profile_variables(CAMERA_PROFILE))  # before Fast DDS is loaded; other nodes do not get it
    rclpy.init(args=[*sys.argv, *([] if _can_write_logs() else WITHOUT_LOG_FILES)])
    try:
        _spin(create)
    except EmotionRosError as error:
        print(f"emotion_ros: {error}", file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    return 0


def _can_write_logs() -> bool:
    """Return whether ROS can create its log files. It does not start otherwise, for example with a read-only home."""
    try:
        root = Path(os.environ.get("ROS_HOME") or "~/.ros").expanduser()
        folder = Path(os.environ.get("ROS_LOG_DIR") or root / "log")
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK | os.X_OK)
    except (OSError, RuntimeError):  # RuntimeError: the user has no home
        return False


def _spin(create: Callable[[], Any]) -> None:
    node = None
    try:
        with until_shutdown():
            node = create()
            executor = EventsExecutor() if EventsExecutor is not None else SingleThreadedExecutor()
            executor.add_node(node)
            node.start()
            while rclpy.ok():
                _spin_once(executor, node)
    except ExternalShutdownException:
        pass
    finally:
        if node is not None:
            node.stop()
            node.destroy_node()


def _spin_once(executor: Any, node: Any) -> None:
    """Run callbacks that are due. One that fails is logged and costs its own message or request only.

    rclpy's parameter services raise an exception for a type of value that does not exist: a single request would end
    the node.
    """
    try:
        executor.spin_once(SPIN_TIMEOUT_S)
    except ExternalShutdownException:
        raise
    except rclpy_implementation.InvalidHandle:
        pass  # an event of a subscription that was destroyed meanwhile; EventsExecutor takes it all the same
    except Exception as error:
        if rclpy.ok():
            node.get_logger().error("".join(traceback.format_exception(error)), throttle_duration_sec=LOG_INTERVAL_S)
            time.sleep(FAILURE_PAUSE_S)
