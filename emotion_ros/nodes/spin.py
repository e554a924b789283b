"""Start a node, spin it, and end it cleanly on Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation

from emotion_ros.errors import EmotionRosError
from emotion_ros.nodes.heap import keep_freed_memory
from emotion_ros.nodes.shared_memory import sweep

try:  # half the work for each message; not in Humble and Jazzy
    from rclpy.experimental import EventsExecutor
except ImportError:
    EventsExecutor = None

LOOK_UP = 0.2
"""Seconds after which a node that nothing wakes looks whether it was interrupted: rclpy wakes it before the context is
shut down, so that it may sleep on."""


@contextmanager
def until_shutdown() -> Iterator[None]:
    """Run a thread's work until the end of it or of rclpy's context, whose publishers fail once it is shut down."""
    try:
        yield
    except rclpy_implementation.RCLError:
        if rclpy.ok():
            raise


def spin_node(create: Callable[[], Any]) -> int:
    """Create a node that has ``start`` and ``stop``, spin it until it is interrupted, and stop it.

    Returns:
        0, or 1 where the node could not be created, started or stopped as it should; the reason is on stderr.
    """
    # rclpy's own handlers, installed by init, shut the context down and then call these: no KeyboardInterrupt strikes
    # while files are finished, however often Ctrl-C comes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    sweep()
    keep_freed_memory()
    rclpy.init()
    try:
        _spin(create)
    except EmotionRosError as error:
        print(f"emotion_ros: {error}", file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    return 0


def _spin(create: Callable[[], Any]) -> None:
    node = None
    try:
        with until_shutdown():
            node = create()
            executor = EventsExecutor() if EventsExecutor is not None else SingleThreadedExecutor()
            executor.add_node(node)
            node.start()
            while rclpy.ok():
                executor.spin_once(LOOK_UP)
    except ExternalShutdownException:
        pass
    finally:
        if node is not None:
            node.stop()
            node.destroy_node()
