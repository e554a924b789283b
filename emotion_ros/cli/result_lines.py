"""Results of ``emotion-ros detect`` as lines of text, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from emotion_ros.io.frames import SourceFrame
from emotion_ros.io.records import perception_record
from emotion_ros.types import Perception

CSV_COLUMNS = ("source", "frame", "time", "id", "label", "confidence", "x", "y", "width", "height")


def csv_line(values: Sequence[object]) -> str:
    """Return one line of CSV (RFC 4180, but ended by a line feed), values quoted if they need it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def result_lines(frame: SourceFrame, perception: Perception, form: str) -> str:
    """Return the results of a frame: one line of JSON, or a line of CSV or text per person.

    Args:
        frame: names the source, the number and the time.
        perception: the results.
        form: ``json``, ``csv`` or ``text``.
    """
    origin = {"source": frame.source, "frame": frame.number, "time": round(frame.time, 4)}
    if form == "json":
        return json.dumps({**origin, **perception_record(perception)}) + "\n"
    if form == "csv":
        return "".join(
            csv_line([*origin.values(), one.id, one.label, f"{one.confidence:.4f}", *one.face.box.rounded()])
            for one in perception.people
        )
    prefix = f"{frame.source} {frame.number}"
    people = [f"{one.id} {one.label} {one.confidence:.2f} at {one.face.box.rounded()}" for one in perception.people]
    return "".join(f"{prefix}: {text}\n" for text in people or ["nobody"])
