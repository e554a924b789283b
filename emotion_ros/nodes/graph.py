"""Which processes make up the ROS graph: the one place that the launch file and ``emotion-ros run`` share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_directory

from emotion_ros.config.options import as_yaml
from emotion_ros.io.sources import check_source

END_WITHIN = 1.5
"""Seconds processes have to end after an interruption, before they are killed."""


@dataclass(frozen=True)
class Process:
    """An executable of this package and its parameters."""

    executable: str
    parameters: Mapping[str, object] = field(default_factory=dict)

    def command(self) -> list[str]:
        """The command line that runs the installed executable with this Python."""
        arguments = [part for name, value in self.parameters.items() for part in ("-p", f"{name}:={as_yaml(value)}")]
        program = Path(get_package_prefix("emotion_ros")) / "lib" / "emotion_ros" / self.executable
        return [sys.executable, str(program), "--ros-args", *arguments]


def share() -> Path:
    """The package's share folder, where config/ and launch/ are."""
    return Path(get_package_share_directory("emotion_ros"))


def environment() -> dict[str, str]:
    """Settings of the nodes' processes; those of the user win.

    Shared memory that passes large images on without loss (see config/fastdds.xml), and two heaps of glibc instead of
    one per thread: what detectors and models free is then given back, and does not stay in pieces.
    """
    name = (
        "FASTRTPS_DEFAULT_PROFILES_FILE"
        if os.environ.get("ROS_DISTRO") == "humble"
        else "FASTDDS_DEFAULT_PROFILES_FILE"
    )
    wanted = {name: str(share() / "config" / "fastdds.xml"), "MALLOC_ARENA_MAX": "2"}
    return {key: os.environ.get(key, value) for key, value in wanted.items()}


def run(
    source: Mapping[str, object],
    detector: Mapping[str, object],
    recorder: Mapping[str, object],
    others: Sequence[Process] = (),
) -> int:
    """Bring up source, detector, recorder and others, each in a process of its own, until the source ends or Ctrl-C.

    Returns:
        0, or 1 where one of them failed.
    """
    check_source(str(source["source"]))
    settings = {**os.environ, **environment(), "PYTHONUNBUFFERED": "1"}
    interrupted = threading.Event()
    previous = {
        number: signal.signal(number, lambda *_: interrupted.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    processes = [
        subprocess.Popen(process.command(), env=settings, start_new_session=True)
        for process in (
            Process("recorder", recorder),
            *others,
            Process("detector", detector),
            Process("image_source", source),
        )
    ]
    while all(process.poll() is None for process in processes) and not interrupted.wait(0.05):
        pass
    failed = any(process.poll() for process in processes)
    recorder_process, *rest = processes
    codes = [*end(rest), *end([recorder_process])]
    for number, handler in previous.items():
        signal.signal(number, handler)
    return int(failed or any(codes))


def end(processes: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """Interrupt processes and wait for them; their exit codes, 0 for one that was still starting."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + END_WITHIN
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
    return [0 if process.wait() == -signal.SIGTERM else process.wait() for process in processes]
