"""Options of the config dataclasses as ROS parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from emotion_ros.config.options import Option, build, options
from emotion_ros.errors import ConfigError

C = TypeVar("C")


def declare(node: Node, config: type[C], fixed: bool = True) -> C:
    """Declare every option of a config as a parameter and build the config from their values.

    Whole numbers are taken for floats too: ``rate:=30`` is what people write.

    Args:
        node: gets the parameters.
        config: the dataclass.
        fixed: options that are not live are read-only; else the node's own callback decides when they may change.

    Raises:
        ConfigError: a value is of the wrong type, out of range or none of the choices.
    """
    values = {}
    for each in options(config):
        descriptor = ParameterDescriptor(description=_description(each), **_range(each))
        descriptor.read_only = fixed and not each.live
        descriptor.dynamic_typing = each.type is float
        try:
            default = list(each.default) if isinstance(each.default, tuple) else each.default
            values[each.name] = node.declare_parameter(each.name, default, descriptor).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise ConfigError(f"parameter {each.name}: expected {_description(each)}: {error}") from error
    return build(config, values)


def changed(config: C, values: Mapping[str, object]) -> C:
    """The config with those of ``values`` that it knows, checked.

    Raises:
        ConfigError: a value is of the wrong type, out of range or none of the choices.
    """
    return build(type(config), {**asdict(config), **values})  # type: ignore[call-overload]


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
