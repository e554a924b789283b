"""Counts of an attack, and their table."""

from dataclasses import dataclass, field


@dataclass
class Result:
    """What became of the inputs of one target.

    Attributes:
        name: of the target.
        bounds: seconds of processor time (for live processes, until the answer) and MiB of additional memory.
        accepted, refused: number of inputs.
        failures: a line for each input that crashed, hung or passed a bound.
        slowest: seconds.
        memory: MiB beyond those at the start.
    """

    name: str
    bounds: tuple[float, int | None]
    accepted: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    memory: int = 0

    @property
    def tried(self):
        return self.accepted + self.refused + len(self.failures)

    def record(self, outcome, seconds, memory, reason=""):
        """Count an input; ``outcome`` is accepted, refused or failed."""
        self.slowest, self.memory = max(self.slowest, seconds), max(self.memory, memory)
        max_seconds, max_memory = self.bounds
        if outcome != "failed" and seconds > max_seconds:
            outcome, reason = "failed", f"took {seconds:.1f} s, more than {max_seconds:g} s"
        if outcome != "failed" and max_memory is not None and memory > max_memory:
            outcome, reason = "failed", f"took {memory} MiB, more than {max_memory} MiB"
        if outcome == "failed":
            self.failures.append(f"input {self.tried}: {reason}")
        else:
            setattr(self, outcome, getattr(self, outcome) + 1)


COLUMNS = ("attacked", "tried", "accepted", "refused", "failed", "slowest", "bound", "memory", "bound")


def row(result):
    """Return the cells of a result."""
    seconds, memory = result.bounds
    counts = (f"{number:,}" for number in (result.tried, result.accepted, result.refused, len(result.failures)))
    times = (f"{result.slowest:.2g} s", f"{seconds:g} s")
    sizes = ("–", "–") if memory is None else (f"{result.memory} MiB", f"{memory} MiB")
    return (result.name, *counts, *times, *sizes)


def total(results):
    """Return the cells of the sums."""
    sums = (sum(getattr(each, name) for each in results) for name in ("tried", "accepted", "refused"))
    return ("all", *(f"{number:,}" for number in sums), f"{sum(len(each.failures) for each in results):,}", *[""] * 4)
