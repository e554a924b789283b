"""Runs a target in child processes: one that ends or hangs costs its input only."""

import importlib
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

from results import Result

WORKER = Path(__file__).with_name("worker.py")

HANG_S = 240.0
"""Time without a result after which an input hangs. Bounds are of processor time; other work slows it down."""

MAX_CHILDREN = 20
"""Number of children that may end before the attack on a target is given up."""


def attack(module, name, seed, count):
    """Run ``count`` inputs of a target and return their :class:`Result`."""
    target = importlib.import_module(module).TARGETS[name]
    result = Result(name, (target.max_seconds, target.max_mebibytes))
    for child in range(MAX_CHILDREN):
        if result.tried >= count:
            break
        arguments = (module, name, str(seed + child), str(count - result.tried))
        with tempfile.TemporaryDirectory(prefix="emotion_ros_attack") as folder:  # a child that is killed leaves files
            if _run_child(arguments, folder, result):
                break
    if result.tried < count:
        result.failures.append(f"{module}, {name}: given up, {count - result.tried} inputs were not tried")
    return result


def _run_child(arguments, folder, result):
    """Run inputs until they are through, or one ends the child. Return whether one hangs: others may take as long."""
    limits = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    environment = {**os.environ, **limits, "TMPDIR": folder}
    child = subprocess.Popen([sys.executable, WORKER, *arguments], stdout=subprocess.PIPE, env=environment)
    before, hangs = result.tried, False
    try:
        for line in _lines(child.stdout.fileno()):
            outcome, seconds, memory, reason = line.split(" ", 3)
            result.record(outcome, float(seconds), int(memory), reason)
        ended = f"ended with {child.wait(HANG_S)}" if child.wait(HANG_S) else ""
    except (TimeoutError, subprocess.TimeoutExpired):
        hangs = True
        ended = f"gave no result within {HANG_S:g} s"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    if ended:
        number = result.tried - before
        result.failures.append(f"{' '.join(arguments[:2])}, seed {arguments[2]}, input {number}: the process {ended}")
    return hangs


def _lines(descriptor):
    """Yield lines of a pipe.

    Raises:
        TimeoutError: none comes within :data:`HANG_S`.
    """
    rest = b""
    while select.select([descriptor], [], [], HANG_S)[0]:
        block = os.read(descriptor, 1 << 16)
        if not block:
            return
        *lines, rest = (rest + block).split(b"\n")
        yield from (line.decode() for line in lines)
    raise TimeoutError
