"""Which processes make up the ROS graph: the one place that the launch file and ``emotion-ros run`` share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotion_ros.errors import SourceError

END_WITHIN = 2.0
"""Seconds a process has to end after an interruption, before it is killed."""


@dataclass(frozen=True)
class Process:
    """An executable of this package and its parameters."""

    executable: str
    parameters: Mapping[str, object] = field(default_factory=dict)

    def command(self) -> list[str]:
        """The command line that runs it with this Python."""
        module = f"emotion_ros.nodes.{self.executable}"
        arguments = [part for name, value in self.parameters.items() for part in ("-p", f"{name}:={_yaml(value)}")]
        code = f"import sys; from {module} import main; sys.exit(main())"
        return [sys.executable, "-c", code, "--ros-args", *arguments]


def _yaml(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def share() -> Path:
    """The package's share folder, where config/ and launch/ are."""
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("emotion_ros"))


def environment() -> dict[str, str]:
    """What the nodes need to pass large images on without loss (see config/fastdds.xml); settings of the user win."""
    profile = str(share() / "config" / "fastdds.xml")
    return {
        name: os.environ.get(name, profile)
        for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    }


def run(source: Mapping[str, object], detector: Mapping[str, object], recorder: Mapping[str, object]) -> int:
    """Bring up source, detector and recorder, each in a process of its own, until the source ends or Ctrl-C.

    Returns:
        0, or 1 where one of them failed.
    """
    if "/" in str(source["source"]) and not Path(str(source["source"])).exists():
        raise SourceError(f"{source['source']}: expected a camera, a video, a picture or a folder, found nothing there")
    settings = {**os.environ, **environment(), "PYTHONUNBUFFERED": "1"}
    processes = [
        subprocess.Popen(process.command(), env=settings, start_new_session=True)
        for process in (Process("recorder", recorder), Process("detector", detector), Process("image_source", source))
    ]
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.05)
        time.sleep(0.3)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, previous)
        codes = [_end(process) for process in reversed(processes)]
    return int(any(codes))


def _end(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(END_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
