"""The processes of an attack: ended together, and those that are attacked from outside limited and measured."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEMORY_LIMIT_BYTES = 6_000_000_000
"""Limit of the address space, most of which is reserved and not used."""

STOP_S = 20.0

INTERRUPTED_STOP_S = 3.0
"""Time after Ctrl-C in which a detector frees its shared memory."""


def run_group(command):
    """Run a command in a process group of its own, and return its exit code; Ctrl-C ends the group and returns 130."""
    with tempfile.TemporaryDirectory(prefix="emotion_ros_attack", ignore_cleanup_errors=True) as folder:
        leader = subprocess.Popen(command, env={**os.environ, "TMPDIR": folder}, start_new_session=True)
        try:
            return leader.wait()
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            print("attack: interrupted", file=sys.stderr)
            _end_group(leader)
            return 130


def _end_group(leader):
    leader.kill()  # it starts no other process meanwhile
    leader.wait()
    deadline = time.monotonic() + INTERRUPTED_STOP_S
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            time.sleep(0.05)
            os.killpg(leader.pid, 0)  # raises if the group is empty
        os.killpg(leader.pid, signal.SIGKILL)


@contextlib.contextmanager
def running(command):
    """Run a command with :data:`MEMORY_LIMIT_BYTES`; yield the process and a function that returns its output."""
    with tempfile.NamedTemporaryFile() as log:
        limited = ["prlimit", f"--as={MEMORY_LIMIT_BYTES}", sys.executable, *map(str, command)]
        process = subprocess.Popen(limited, stdout=log, stderr=subprocess.STDOUT)

        def output():
            return Path(log.name).read_text(errors="replace")

        try:
            yield process, output
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def peak_mebibytes(process):
    """Return the largest resident memory of a process so far; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM")), 0)


def reset_peak(process):
    """Let the peak of a process's resident memory begin at its present value, and return that, MiB."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return peak_mebibytes(process)
