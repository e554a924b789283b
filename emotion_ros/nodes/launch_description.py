"""What our launch files have in common. Only they import this: it needs ``launch``, which comes with ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration

from emotion_ros.nodes.graph import environment
from launch import LaunchDescription


def describe(
    arguments: Mapping[str, tuple[str | None, str]], nodes: Callable[[dict[str, str]], Iterable[Any]]
) -> LaunchDescription:
    """A launch description of ``nodes``, a function of the arguments' values.

    ``arguments``: name to default (None: must be given) and description. The nodes get shared memory that holds images.
    """

    def bring_up(context: Any) -> list[Any]:
        return list(nodes({name: LaunchConfiguration(name).perform(context) for name in arguments}))

    declared = [
        DeclareLaunchArgument(name, default_value=default, description=about)
        for name, (default, about) in arguments.items()
    ]
    settings = [SetEnvironmentVariable(name, value) for name, value in environment().items()]
    return LaunchDescription([*declared, *settings, OpaqueFunction(function=bring_up)])
