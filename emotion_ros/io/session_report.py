"""Summarize a recorded session: a table and a timeline of people."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emotion_ros.errors import OutputError, SourceError
from emotion_ros.io.frames import is_bag
from emotion_ros.io.person_timeline import PersonTimeline, group_seconds
from emotion_ros.io.timeline_picture import draw_timeline

RECORDING = "emotions.jsonl"
"""File name of the recorder's results."""

EVENT_COLUMNS = ("id", "from", "to", "onset", "confidence", "peak", "duration")
"""Columns of ``events.csv``."""

MAX_LABELS = 100
"""Different labels in a session: each person has a share of each in the table. Data sets of emotions have 3 to 28."""

MAX_REASON_CHARACTERS = 200
"""Length to which the reason in an error is cut."""


def report(source: Path, out: Path) -> list[PersonTimeline]:
    """Write ``people.csv`` (a row per person), ``events.csv`` (a row per change of expression), ``group.csv`` (a row
    per second) and ``timeline.png``, see :func:`draw_timeline`.

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
        _write_table(group_table(people), out / "group.csv")
        draw_timeline(people, out / "timeline.png")
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


def group_table(people: Sequence[PersonTimeline]) -> list[dict[str, object]]:
    """Return a row per second in which anybody is visible: people, how many attend, and their mean valence."""
    return [
        {
            "second": second,
            "people": group.people,
            "attending": group.attending,
            "valence": "" if math.isnan(group.valence) else round(group.valence, 3),
        }
        for second, group in group_seconds(people).items()
    ]


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
