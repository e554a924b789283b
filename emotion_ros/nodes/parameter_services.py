"""Parameter services of a node that prepares values before it sets them."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_service import ParameterService
from rclpy.task import Future

from emotion_ros.errors import ConfigError, one_line


class PreparedParameterService(ParameterService):  # type: ignore[misc]
    """rclpy's parameter services, whose two ``set`` services are coroutines.

    The node's other callbacks run while values are prepared, images included. No exception leaves the coroutines: in
    rclpy it ends the node, and a type of value that does not exist raises one.

    Args:
        node: created with ``start_parameter_services=False``.
        prepare: checks values before the node's callbacks get them; an exception refuses them.
    """

    def __init__(self, node: Node, prepare: Callable[[Sequence[Parameter]], Awaitable[None]]) -> None:
        self._node, self._prepare = node, prepare
        self._services = _WithOwnGroup(node)  # kept here: rclpy holds a weak reference
        super().__init__(self._services)  # type: ignore[arg-type]

    async def _set_parameters_callback(
        self, request: SetParameters.Request, response: SetParameters.Response
    ) -> SetParameters.Response:
        for message in request.parameters:
            response.results.append(await self._set([message]))
        return response

    async def _set_parameters_atomically_callback(
        self, request: SetParametersAtomically.Request, response: SetParametersAtomically.Response
    ) -> SetParametersAtomically.Response:
        response.result = await self._set(request.parameters)
        return response

    async def _set(self, messages: Sequence[Any]) -> SetParametersResult:
        try:
            parameters = [Parameter.from_parameter_msg(message) for message in messages]
            for parameter in parameters:
                self._check_name(parameter.name)
            await self._prepare(parameters)
            return self._node.set_parameters_atomically(parameters)
        except Exception as error:  # any exception refuses the values
            return SetParametersResult(successful=False, reason=one_line(error))

    def _check_name(self, name: str) -> None:
        """Raise what rclpy reports without the name."""
        if not self._node.has_parameter(name):
            raise ConfigError(f"expected a parameter of {self._node.get_fully_qualified_name()}, got {name[:80]!r}")


class _WithOwnGroup:
    """A node whose services have a callback group of their own.

    Executors other than EventsExecutor keep all callbacks of a group waiting while a coroutine of it waits.
    """

    def __init__(self, node: Node) -> None:
        self._node, self._group = node, ReentrantCallbackGroup()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def create_service(self, *arguments: Any, **options: Any) -> Any:
        """Create a service of the group; the arguments are those of :meth:`rclpy.node.Node.create_service`."""
        return self._node.create_service(*arguments, callback_group=self._group, **options)


async def in_thread(executor: Executor, function: Callable[[], None]) -> None:
    """Run a function in a thread of its own, and raise its exception; meanwhile the executor runs other callbacks."""
    done: Future[Exception | None] = Future(executor=executor)

    def run() -> None:
        try:
            function()
        except Exception as error:  # raised where it is awaited
            done.set_result(error)
        else:
            done.set_result(None)

    threading.Thread(target=run, name="trial", daemon=True).start()
    error = await done
    if error is not None:
        raise error
