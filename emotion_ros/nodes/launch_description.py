"""Common code of the launch files. Imported by them only: it needs ``launch``, which is part of ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription


def describe(
    arguments: Mapping[str, tuple[str | None, str]], nodes: Callable[[dict[str, str]], Iterable[Any]]
) -> LaunchDescription:
    """Return a launch description with arguments and nodes.

    Args:
        arguments: name to default (None: required) and description.
        nodes: function of the arguments' values; returns the actions to launch.
    """

    def create_nodes(context: Any) -> list[Any]:
        return list(nodes({name: LaunchConfiguration(name).perform(context) for name in arguments}))

    declarations = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in arguments.items()
    ]
    return LaunchDescription([*declarations, OpaqueFunction(function=create_nodes)])
