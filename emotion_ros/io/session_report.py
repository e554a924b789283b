"""Summarize a recorded session: a table and a timeline of people."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emotion_ros.errors import OutputError, SourceError
from emotion_ros.io.drawing import COLORS, OTHER
from emotion_ros.io.frames import is_bag

UNKNOWN_COLOR = (140, 140, 140)
"""BGR of the label unknown."""

RECORDING = "emotions.jsonl"
"""File name of the recorder's results."""

MIN_SHOWN_S = 1.0
"""Visible time below which a person is in the table only, not in the timeline."""

EVENT_COLUMNS = ("id", "from", "to", "onset", "confidence", "peak", "duration")
"""Columns of ``events.csv``."""

VALENCE_STEP_S = 1.0
"""Seconds whose valences the timeline averages."""

MAX_GAP_S = 1.0
"""Time without a person above which the person counts as absent."""


MAX_SHOWN = 200
"""People in the timeline; the table has all. The picture gets 54 pixels higher with each, and has 65,536 at most."""

MAX_LABELS = 100
"""Different labels in a session: each person has a share of each in the table. Data sets of emotions have 3 to 28."""

MAX_REASON_CHARACTERS = 200
"""Length to which the reason in an error is cut."""


@dataclass
class PersonTimeline:
    """The images in which a person is visible.

    Attributes:
        id: of the person.
        times: seconds since the start of the session, ascending.
        labels: emotion in each image.
        valences: in −1…1; shorter than ``times`` if some are unknown.
        attentions: 0…1 in each image; None: unknown.
        engagements: level in each image; empty: unknown.
        events: changes of expression, see :func:`emotion_ros.io.records.event_record`; the onset in seconds since the
            start of the session.
    """

    id: str
    times: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    valences: list[float] = field(default_factory=list)
    attentions: list[float | None] = field(default_factory=list)
    engagements: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def steps(self) -> list[float]:
        """Seconds that each image stands for: until the next one; the median before an absence and at the end."""
        gaps = np.diff(self.times)
        present = gaps[gaps <= MAX_GAP_S]
        median = float(np.median(present)) if len(present) else 0.0
        return [gap if gap <= MAX_GAP_S else median for gap in gaps.tolist()] + [median]

    @property
    def engaged_steps(self) -> list[float]:
        """Seconds of each image in which the person is engaged, 0 for the others."""
        levels = self.engagements or [""] * len(self.times)
        return [step * (level == "engaged") for step, level in zip(self.steps, levels, strict=True)]

    def seconds(self) -> Counter[str]:
        """Return the seconds per label."""
        totals: Counter[str] = Counter()
        for label, step in zip(self.labels, self.steps, strict=True):
            totals[label] += step  # type: ignore[assignment]
        return totals


def report(source: Path, out: Path) -> list[PersonTimeline]:
    """Write ``people.csv`` (a row per person), ``events.csv`` (a row per change of expression) and ``timeline.png``.

    The timeline has a bar per person, coloured by emotion, with a line below it while the person is engaged and a mark
    at each event, and the mean valence of all people.

    Args:
        source: ``emotions.jsonl``, lines of ``emotion-ros detect --json``, a bag with EmotionArray messages, or the
            folder around one of them, such as ``--out`` of ``run`` or ``detect``.
        out: folder for these files.

    Raises:
        SourceError: the source cannot be read, or has no people.
        OutputError: the folder cannot be written, or Matplotlib is not installed.
    """
    source = _recording(source)
    people = _people(_lines(source))
    if not people:
        raise SourceError(f"{source}: expected people, found none; record a session with a visible face")
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write_table(table(people), out / "people.csv")
        _write_table(event_table(people), out / "events.csv")
        _draw_timeline(people, out / "timeline.png")
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error}") from error
    return people


def table(people: Sequence[PersonTimeline]) -> list[dict[str, object]]:
    """Return a row per person: id, first and last second, visible seconds, share of each emotion, mean valence,
    mean attention, engaged seconds and number of events."""
    labels = sorted({label for person in people for label in person.labels})
    rows: list[dict[str, object]] = []
    for person in people:
        seconds = person.seconds()
        total = sum(seconds.values()) or 1.0
        rows.append(
            {
                "id": person.id,
                "from s": round(person.times[0], 2),
                "to s": round(person.times[-1], 2),
                "seen s": round(sum(person.steps), 2),
                **{label: round(seconds[label] / total, 3) for label in labels},
                "valence": round(float(np.mean(person.valences)), 3) if person.valences else "",
                "attention": _mean_attention(person),
                "engaged s": round(sum(person.engaged_steps), 2),
                "events": len(person.events),
            }
        )
    return rows


def event_table(people: Sequence[PersonTimeline]) -> list[dict[str, object]]:
    """Return a row per change of expression in the order of their onsets, in seconds since the start of the session."""
    events = sorted((event for person in people for event in person.events), key=lambda event: event["onset"])
    return [{name: event[name] for name in EVENT_COLUMNS} for event in events]


def _recording(source: Path) -> Path:
    """Return the recording in a folder; anything else is returned as it is."""
    if is_bag(source) or not source.is_dir():
        return source
    try:
        found = sorted(path for path in source.iterdir() if path.name == RECORDING or is_bag(path))
    except OSError as error:
        raise SourceError(f"{source}: expected a recording, cannot read the folder: {error}") from error
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise SourceError(f"{source}: expected one {RECORDING} or bag in this folder, found {names}; name one")
    return found[0]


def _lines(source: Path) -> Iterator[dict[str, Any]]:
    if is_bag(source):
        from emotion_ros.io.bags import perceptions  # needs the optional rosbags

        yield from perceptions(source)
        return
    try:
        with source.open() as file:
            for number, line in enumerate(file, 1):
                yield _line(source, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{source}: expected {RECORDING} or a bag, cannot read it: {error}") from error


def _line(source: Path, number: int, text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
        return {
            "time": _finite(line["time"]),
            "people": [_person(each) for each in line["people"]],
            "events": [_event(event) for event in line.get("events", [])],
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:MAX_REASON_CHARACTERS]
        raise SourceError(
            f"{source}, line {number}: expected time and people, as of the recorder or detect --json: {reason}"
        ) from error


def _person(record: dict[str, Any]) -> dict[str, Any]:
    """Return what the report needs of a person.

    Raises:
        AttributeError, KeyError, TypeError, ValueError, OverflowError: it is missing, or of another type.
    """
    numbers = {name: record.get(name) for name in ("valence", "attention")}
    return {
        "id": str(record["id"]),
        "label": str(record["label"]),
        "engagement": str(record.get("engagement", "")),
        **{name: None if value is None else _finite(value) for name, value in numbers.items()},
    }


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("expected a finite number")
    return number


def _people(lines: Iterable[dict[str, Any]]) -> list[PersonTimeline]:
    people: dict[str, PersonTimeline] = {}
    start: float | None = None
    for line in lines:
        start = line["time"] if start is None else start
        for record in line["people"]:
            person = people.setdefault(record["id"], PersonTimeline(record["id"]))
            person.times.append(line["time"] - start)
            person.labels.append(record["label"])
            if record["valence"] is not None:
                person.valences.append(record["valence"])
            person.attentions.append(record["attention"])
            person.engagements.append(record["engagement"])
        for event in line["events"]:
            if event["id"] in people:
                people[event["id"]].events.append({**event, "onset": round(event["onset"] - start, 4) + 0.0})  # not −0
    labels = {label for person in people.values() for label in person.labels}
    if len(labels) > MAX_LABELS:
        raise SourceError(f"expected at most {MAX_LABELS} different labels in a session, got {len(labels)}")
    return list(people.values())


def _event(record: dict[str, Any]) -> dict[str, Any]:
    texts = {name: str(record[name]) for name in ("id", "from", "to")}
    return {**texts, **{name: _finite(record[name]) for name in EVENT_COLUMNS if name not in texts}}


def _mean_attention(person: PersonTimeline) -> float | str:
    known = [attention for attention in person.attentions if attention is not None]
    return round(float(np.mean(known)), 3) if known else ""


def _write_table(rows: Sequence[dict[str, object]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys() if rows else EVENT_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def _draw_timeline(people: Sequence[PersonTimeline], path: Path) -> None:
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError as error:
        raise OutputError("the timeline needs Matplotlib: pip install matplotlib") from error
    shown = ([person for person in people if sum(person.steps) >= MIN_SHOWN_S] or list(people))[:MAX_SHOWN]
    figure = Figure(figsize=(10, 2.4 + 0.45 * len(shown)), layout="constrained")
    axes, group = figure.subplots(2, sharex=True, height_ratios=[0.6 + 0.45 * len(shown), 1.2])
    for row, person in enumerate(shown):
        bars = list(zip(person.times, person.steps, strict=True))
        axes.broken_barh(bars, (row - 0.4, 0.8), facecolors=[_color(label) for label in person.labels])
        engaged = list(zip(person.times, person.engaged_steps, strict=True))
        axes.broken_barh(engaged, (row + 0.34, 0.06), facecolors="black")
        axes.vlines([event["onset"] for event in person.events], row - 0.4, row - 0.2, colors="black")
    axes.set(yticks=range(len(shown)), yticklabels=[person.id for person in shown], ylabel="person")
    group.plot(*_group_valence(people))
    group.set(xlabel="seconds", ylabel="valence, all", ylim=(-1, 1))
    axes.invert_yaxis()
    labels = sorted({label for person in shown for label in person.labels})
    colors = [(label, _color(label)) for label in labels] + [("engaged", "black")]
    patches = [Patch(color=color, label=label) for label, color in colors]
    figure.legend(handles=patches, loc="outside upper center", ncols=len(patches), frameon=False)
    figure.savefig(path, dpi=120)


def _group_valence(people: Sequence[PersonTimeline]) -> tuple[list[float], list[float]]:
    """Return times and the mean valence of all people; NaN while nobody is visible, so that the line has a gap."""
    values: dict[int, list[float]] = {}
    for person in people:
        if len(person.valences) == len(person.times):
            for time, valence in zip(person.times, person.valences, strict=True):
                values.setdefault(int(time / VALENCE_STEP_S), []).append(valence)
    times: list[float] = []
    means: list[float] = []
    for step in sorted(values):
        if means and step - 1 not in values:
            times.append(step * VALENCE_STEP_S)
            means.append(float("nan"))
        times.append((step + 0.5) * VALENCE_STEP_S)
        means.append(float(np.mean(values[step])))
    return times, means


def _color(label: str) -> tuple[float, float, float]:
    blue, green, red = UNKNOWN_COLOR if label == "unknown" else COLORS.get(label, OTHER)
    return red / 255, green / 255, blue / 255
