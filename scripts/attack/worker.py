"""Runs the inputs of one target in a process with limits, and writes a line for each: worker.py MODULE NAME SEED COUNT.

A line has the result (accepted, refused or failed), the seconds of processor time, the memory that the process took for
it beyond what it had, MiB, and for failures the exception. The input that ends the process has none.
"""

import importlib
import os
import resource
import sys
import time
import traceback
import warnings
from itertools import islice
from pathlib import Path

MEMORY_LIMIT_BYTES = 2 << 30
"""Limit of the writable memory of the process, as that of a trial of models."""


STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def attempt(target, value):
    """Process one input; return the result and, for a failure, the exception."""
    try:
        return ("refused" if target.run(value) is False else "accepted"), ""
    except target.refusals as error:
        return ("refused", "") if len(str(error).splitlines()) <= 1 else ("failed", f"several lines: {error!r}"[:300])
    except Exception as error:  # a crash for the user
        place = traceback.extract_tb(error.__traceback__)[-1]
        return "failed", f"{error!r}"[:300] + f" in {place.filename}:{place.lineno}"


def one_line(text):
    """Return a text without line ends."""
    return text.replace("\n", " ").replace("\r", " ")


def memory(name):
    """Return a figure of this process's memory, MiB: VmRSS (resident) or VmHWM (its peak since the last reset)."""
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) >> 10


def processor_seconds():
    """Return the processor time of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measured(target, value):
    """Process one input; return the line for it."""
    RESET.write_text("5")  # the peak begins at the present value: Linux, Documentation/filesystems/proc.rst
    before, start = memory("VmRSS"), processor_seconds()
    result, reason = attempt(target, value)
    seconds = processor_seconds() - start
    return f"{result} {seconds:.4f} {memory('VmHWM') - before} {one_line(reason)}"


def main(module, name, seed, count):
    """Run ``count`` inputs."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    lines = os.fdopen(os.dup(1), "w", buffering=1, errors="backslashreplace")
    for descriptor in (1, 2):  # what libraries print is no result
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    target = importlib.import_module(module).TARGETS[name]
    try:
        for value in islice(target.inputs(int(seed)), int(count)):
            lines.write(f"{measured(target, value)}\n")
    except Exception as error:  # of the generator: the attack itself is broken
        lines.write(f"failed 0 0 {one_line(traceback.format_exc()[-500:])} {error!r}\n")
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
