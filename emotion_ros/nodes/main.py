"""Start a node, spin it, and end it cleanly on Ctrl-C and SIGTERM."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from emotion_ros.errors import EmotionRosError


def spin_node(create: Callable[[], Any]) -> int:
    """Create a node that has ``start`` and ``stop``, and spin it until it is interrupted.

    Returns:
        0 after an interruption, 1 where the node could not be created or ended itself with an error.
    """
    rclpy.init()
    node = None
    try:
        node = create()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        node.start()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except EmotionRosError as error:
        print(f"emotion_ros: {error}", file=sys.stderr)
        return 1
    finally:
        if node is not None:
            node.stop()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
