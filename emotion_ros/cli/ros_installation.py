"""Check that ROS 2 can be used before a command needs it."""

from __future__ import annotations

import importlib.util
import os

from emotion_ros.errors import ConfigError


def require_ros(command: str) -> None:
    """Check that ROS 2 and this package's nodes are installed and sourced.

    Raises:
        ConfigError: they are not; the message names what to source.
    """
    problem = _problem()
    if problem:
        distribution = os.environ.get("ROS_DISTRO", "<distribution>")
        raise ConfigError(
            f"{command}: expected ROS 2 with this package, but {problem}; source /opt/ros/{distribution}/setup.bash, "
            "then install/setup.bash of the workspace that has emotion_ros; without ROS use emotion-ros detect"
        )


def _problem() -> str:
    for module in ("rclpy", "ament_index_python"):
        if importlib.util.find_spec(module) is None:
            return f"the module {module} is missing"
    from ament_index_python.packages import get_package_prefix

    try:
        get_package_prefix("emotion_ros")
    except (LookupError, OSError):  # OSError: AMENT_PREFIX_PATH is not set
        return "emotion_ros is not in AMENT_PREFIX_PATH"
    return ""
