"""What is attacked: a code path that users run, the inputs for it, and the bounds that it must keep."""

import atexit
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

EXAMPLES = 60
"""Values that hypothesis generates for a target. It takes some 20 ms for a nested one: others are changes of these."""


@dataclass(frozen=True)
class Target:
    """A code path and its hostile inputs.

    Attributes:
        inputs: yields inputs without end, for a seed; the same ones for the same seed.
        run: processes an input. It returns False, or raises one of ``refusals``, if the input is refused.
        refusals: exceptions that are one line for the user. Any other is a crash.
        inputs_per_run: number of inputs of a full run.
        max_seconds: bound of the processor time of an input.
        max_mebibytes: bound of the memory that the process takes for an input; None: it runs in a child of its own,
            whose memory has a limit.
    """

    inputs: Callable[[int], Iterator[Any]]
    run: Callable[[Any], Any]
    refusals: tuple[type[Exception], ...]
    inputs_per_run: int
    max_seconds: float
    max_mebibytes: int | None


def examples(strategy, number, count=EXAMPLES):
    """Return ``count`` values of a hypothesis strategy, for a seed."""
    found = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value):
        found.append(value)

    collect()
    return found


def mutations(mutate, originals, number):
    """Yield the originals, then changes of them without end, for a seed."""
    yield from originals
    generator = random.Random(number)
    while True:
        yield mutate(generator.choice(originals), generator)


def temporary_folder():
    """Return a new folder that is removed when this process ends."""
    path = Path(tempfile.mkdtemp(prefix="emotion_ros_attack"))
    atexit.register(shutil.rmtree, path, True)
    return path
