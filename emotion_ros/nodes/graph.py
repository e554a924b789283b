"""Processes of the ROS graph, as started by ``emotion-ros run``, benchmarks and tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_directory

from emotion_ros.config.options import as_yaml
from emotion_ros.io.sources import check_live_source
from emotion_ros.nodes.dds_settings import SHARED_PROFILE, profile_variables

STOP_TIMEOUT_S = 1.5
"""Time that processes have to end after SIGTERM before they are killed."""

POLL_INTERVAL_S = 0.05
"""Interval at which running processes are checked."""


@dataclass(frozen=True)
class Process:
    """An executable of this package and the parameters of its node."""

    executable: str
    parameters: Mapping[str, object] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Return the command line that runs the installed executable with this Python."""
        arguments = [part for name, value in self.parameters.items() for part in ("-p", f"{name}:={as_yaml(value)}")]
        program = Path(get_package_prefix("emotion_ros")) / "lib" / "emotion_ros" / self.executable
        return [sys.executable, str(program), "--ros-args", *arguments]


def share() -> Path:
    """Return the package's share folder, which contains config/ and launch/."""
    return Path(get_package_share_directory("emotion_ros"))


def environment() -> dict[str, str]:
    """Return the environment variables of nodes that exchange images through shared memory, without those of the user.

    Empty if the user has Fast DDS settings of their own, which the nodes then inherit.
    """
    return profile_variables(SHARED_PROFILE)


def run(
    source: Mapping[str, object],
    detector: Mapping[str, object],
    recorder: Mapping[str, object],
    others: Sequence[Process] = (),
) -> int:
    """Run source, detector, recorder and others, each in its own process, until one of them ends or Ctrl-C.

    Args:
        source: parameters of the image source.
        detector: parameters of the detector.
        recorder: parameters of the recorder.
        others: further processes.

    Returns:
        0, or 1 if any process failed.

    Raises:
        SourceError: the source does not exist, or is a bag.
    """
    check_live_source(str(source["source"]))
    with _interruption() as interrupted:
        processes = _start(
            Process("recorder", recorder), *others, Process("detector", detector), Process("image_source", source)
        )
        while all(process.poll() is None for process in processes) and not interrupted.wait(POLL_INTERVAL_S):
            pass
        failed = any(process.poll() for process in processes)
        codes = [*stop(processes[1:]), *stop(processes[:1])]  # the recorder last: it writes what the others published
    return int(failed or any(codes))


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """Terminate processes, and kill those that do not end within :data:`STOP_TIMEOUT_S`.

    Returns:
        Exit codes, 0 for a process that SIGTERM ended before it could handle signals.
    """
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
    return [0 if process.wait() == -signal.SIGTERM else process.wait() for process in processes]


def _start(*processes: Process) -> list[subprocess.Popen[bytes]]:
    """Start processes in sessions of their own: Ctrl-C reaches this process only, which stops them in order."""
    variables = {**os.environ, **environment(), "PYTHONUNBUFFERED": "1"}
    return [subprocess.Popen(process.command(), env=variables, start_new_session=True) for process in processes]


@contextmanager
def _interruption() -> Iterator[threading.Event]:
    """Provide an event that SIGINT and SIGTERM set, in place of ending this process."""
    interrupted = threading.Event()
    previous = {
        number: signal.signal(number, lambda *_: interrupted.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield interrupted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
