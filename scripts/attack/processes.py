"""Processes that are attacked from outside: started with a limit of memory, and measured."""

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

MEMORY_LIMIT_BYTES = 6_000_000_000
"""Limit of the address space, most of which is reserved and not used."""

STOP_S = 20.0


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
