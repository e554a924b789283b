"""``emotion-ros report``: what a recorded session shows, person by person."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emotion_ros.errors import OutputError, SourceError
from emotion_ros.io.drawing import COLORS, OTHER
from emotion_ros.io.frames import is_bag

UNKNOWN = (140, 140, 140)
"""BGR of times at which a person's emotion is unknown."""

SHORT = 1.0
"""Seconds: who was seen for less is in the table, not in the picture."""

LONGEST_GAP = 1.0
"""Seconds without a person after which the person counts as away."""


@dataclass
class PersonTimeline:
    """When a person was seen, and with what: one entry each per image, times in seconds since the session began."""

    id: str
    times: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    valences: list[float] = field(default_factory=list)

    @property
    def steps(self) -> list[float]:
        """Seconds that each image stands for: until the next, or none where the person was away in between."""
        gaps = np.diff(self.times)
        usual = float(np.median(gaps[gaps <= LONGEST_GAP])) if (gaps <= LONGEST_GAP).any() else 0.0
        return [gap if gap <= LONGEST_GAP else usual for gap in gaps.tolist()] + [usual]

    def seconds(self) -> Counter[str]:
        """Seconds per label."""
        total: Counter[str] = Counter()
        for label, step in zip(self.labels, self.steps, strict=True):
            total[label] += step  # type: ignore[assignment]
        return total


def report(source: Path, out: Path) -> list[PersonTimeline]:
    """Write ``people.csv`` (a row per person) and ``timeline.png`` (a bar per person, coloured by emotion).

    Args:
        source: ``emotions.jsonl``, lines of ``emotion-ros detect --json``, or a bag with EmotionArray messages.
        out: folder for both files.

    Raises:
        SourceError: the source cannot be read, or nobody is in it.
        OutputError: the folder cannot be written, or Matplotlib is not installed.
    """
    people = _people(_lines(source))
    if not people:
        raise SourceError(f"{source}: nobody is in it")
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write_table(people, out / "people.csv")
        _draw_timeline(people, out / "timeline.png")
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error}") from error
    return people


def table(people: Sequence[PersonTimeline]) -> list[dict[str, object]]:
    """A row per person: id, first and last second, seconds in view, share of each emotion in them, mean valence."""
    labels = sorted({label for person in people for label in person.labels})
    rows: list[dict[str, object]] = []
    for person in people:
        spent = person.seconds()
        total = sum(spent.values()) or 1.0
        rows.append(
            {
                "id": person.id,
                "from s": round(person.times[0], 2),
                "to s": round(person.times[-1], 2),
                "seen s": round(sum(person.steps), 2),
                **{label: round(spent[label] / total, 3) for label in labels},
                "valence": round(float(np.mean(person.valences)), 3) if person.valences else "",
            }
        )
    return rows


def _lines(source: Path) -> Iterator[dict[str, Any]]:
    if is_bag(source):
        from emotion_ros.io.bags import perceptions

        yield from perceptions(source)
        return
    try:
        with source.open() as file:
            for number, line in enumerate(file, 1):
                yield _line(source, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{source}: expected emotions.jsonl or a bag, cannot read it: {error}") from error


def _line(source: Path, number: int, text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
        return {"time": float(line["time"]), "people": [{**each, "id": str(each["id"])} for each in line["people"]]}
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{source}, line {number}: expected what the recorder or detect --json writes (time, people): {error!r}"
        ) from error


def _people(lines: Iterable[dict[str, Any]]) -> list[PersonTimeline]:
    people: dict[str, PersonTimeline] = {}
    begin: float | None = None
    for line in lines:
        begin = line["time"] if begin is None else begin
        for each in line["people"]:
            person = people.setdefault(each["id"], PersonTimeline(each["id"]))
            person.times.append(line["time"] - begin)
            person.labels.append(each["label"])
            if each.get("valence") is not None:
                person.valences.append(each["valence"])
    return list(people.values())


def _write_table(people: Sequence[PersonTimeline], path: Path) -> None:
    rows = table(people)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def _draw_timeline(people: Sequence[PersonTimeline], path: Path) -> None:
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError as error:
        raise OutputError("the timeline needs Matplotlib: pip install matplotlib") from error
    shown = [person for person in people if sum(person.steps) >= SHORT] or list(people)
    figure = Figure(figsize=(10, 1.2 + 0.45 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    for row, person in enumerate(shown):
        bars = list(zip(person.times, person.steps, strict=True))
        axes.broken_barh(bars, (row - 0.4, 0.8), facecolors=[_color(label) for label in person.labels])
    axes.set(yticks=range(len(shown)), yticklabels=[person.id for person in shown], xlabel="seconds", ylabel="person")
    axes.invert_yaxis()
    labels = sorted({label for person in shown for label in person.labels})
    keys = [Patch(color=_color(label), label=label) for label in labels]
    figure.legend(handles=keys, loc="outside upper center", ncols=len(labels), frameon=False)
    figure.savefig(path, dpi=120)


def _color(label: str) -> tuple[float, float, float]:
    blue, green, red = UNKNOWN if label == "unknown" else COLORS.get(label, OTHER)
    return red / 255, green / 255, blue / 255
