"""Options of the config dataclasses as ROS parameters."""

from __future__ import annotations

from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from emotion_ros.config import Option, build, options
from emotion_ros.errors import ConfigError

C = TypeVar("C")


def declare(node: Node, config: type[C]) -> C:
    """Declare every option of a config as a parameter and build the config from their values.

    Raises:
        ConfigError: a value is of the wrong type, out of range or none of the choices.
    """
    values = {}
    for each in options(config):
        descriptor = ParameterDescriptor(description=_description(each), read_only=not each.live, **_range(each))
        try:
            values[each.name] = node.declare_parameter(each.name, each.default, descriptor).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise ConfigError(f"parameter {each.name}: expected {_description(each)}: {error}") from error
    return build(config, values)


def live_options(*configs: type[Any]) -> dict[str, Option]:
    """Those that may change at run time, by name."""
    return {each.name: each for config in configs for each in options(config) if each.live}


def _description(each: Option) -> str:
    if each.choices:
        return f"{each.description} (one of {', '.join(each.choices)})"
    if each.minimum is not None:
        return f"{each.description} ({each.minimum} to {each.maximum})"
    return each.description


def _range(each: Option) -> dict[str, Any]:
    if each.minimum is None or each.maximum is None:
        return {}
    if each.type is int:
        return {"integer_range": [IntegerRange(from_value=int(each.minimum), to_value=int(each.maximum))]}
    return {"floating_point_range": [FloatingPointRange(from_value=each.minimum, to_value=each.maximum)]}
