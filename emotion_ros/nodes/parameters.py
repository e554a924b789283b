"""Declares the options of config dataclasses as ROS parameters, and resolves topics that they name."""

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
    """Declare every option of a config as a parameter and build the config from the values.

    Integers are accepted for floats: ``rate:=30`` is what people write.

    Args:
        node: gets the parameters.
        config: the dataclass.
        fixed: options that are not live are read-only; False: the node's callback decides when they may change.

    Raises:
        ConfigError: a value is of the wrong type, out of range or none of the choices.
    """
    values = {}
    for option in options(config):
        descriptor = ParameterDescriptor(description=_description(option), **_range(option))
        descriptor.read_only = fixed and not option.live
        descriptor.dynamic_typing = option.type is float
        try:
            default = list(option.default) if isinstance(option.default, tuple) else option.default
            values[option.name] = node.declare_parameter(option.name, default, descriptor).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            reason = str(error).removesuffix(f": {option.name}")
            raise ConfigError(f"parameter {option.name} ({_description(option)}): {reason}") from error
    return build(config, values)


def changed(config: C, values: Mapping[str, object]) -> C:
    """Copy a config with the entries of ``values`` that name its fields.

    Raises:
        ConfigError: a value is of the wrong type, out of range or none of the choices.
    """
    return build(type(config), {**asdict(config), **values})  # type: ignore[call-overload]


def _description(option: Option) -> str:
    if option.choices:
        return f"{option.description} (one of {', '.join(option.choices)})"
    if option.minimum is not None:
        return f"{option.description} ({option.minimum} to {option.maximum})"
    return option.description


def _range(option: Option) -> dict[str, Any]:
    if option.minimum is None or option.maximum is None:
        return {}
    if option.type is int:
        return {"integer_range": [IntegerRange(from_value=int(option.minimum), to_value=int(option.maximum))]}
    return {"floating_point_range": [FloatingPointRange(from_value=option.minimum, to_value=option.maximum)]}


def resolve_topic(node: Node, name: str, expected: str) -> str:
    """Return the full name of a topic, or of its beginning, in the node's namespace and with its remappings.

    Args:
        node: resolves the name.
        name: value of a parameter.
        expected: beginning of the error: the parameter and what it should be.

    Raises:
        ConfigError: ROS does not allow the name.
    """
    try:
        return str(node.resolve_topic_name(name))
    except RuntimeError as error:
        reason = str(error).partition(", at ")[0]  # without the line in rcl's source
        raise ConfigError(f"{expected}, got {name!r}: {reason}") from error
