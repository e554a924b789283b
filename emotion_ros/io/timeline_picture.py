"""The picture of a recorded session: a bar per person, and the group below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from emotion_ros.errors import OutputError
from emotion_ros.io.drawing import COLORS, OTHER
from emotion_ros.io.person_timeline import PersonTimeline, group_seconds

UNKNOWN_COLOR = (140, 140, 140)
"""BGR of the label unknown."""

MIN_SHOWN_S = 1.0
"""Visible time below which a person has no bar."""

MAX_SHOWN = 200
"""People with a bar. The picture gets 54 pixels higher with each, and has 65,536 at most."""


def draw_timeline(people: Sequence[PersonTimeline], path: Path) -> None:
    """Write the picture as PNG.

    Each person has a bar, coloured by emotion, with a line below it while the person is engaged and a mark at each
    event. Below are the number of people in view, of those who attend, and the mean valence of all.

    Args:
        people: of the session, at least one.
        path: of the file.

    Raises:
        OutputError: Matplotlib is not installed.
        OSError: the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError as error:
        raise OutputError("the timeline needs Matplotlib: pip install matplotlib") from error
    shown = ([person for person in people if sum(person.steps) >= MIN_SHOWN_S] or list(people))[:MAX_SHOWN]
    figure = Figure(figsize=(10, 3.6 + 0.45 * len(shown)), layout="constrained")
    axes, counts, valence = figure.subplots(3, sharex=True, height_ratios=[0.6 + 0.45 * len(shown), 1.2, 1.2])
    for row, person in enumerate(shown):
        bars = list(zip(person.times, person.steps, strict=True))
        axes.broken_barh(bars, (row - 0.4, 0.8), facecolors=[_color(label) for label in person.labels])
        engaged = list(zip(person.times, person.engaged_steps, strict=True))
        axes.broken_barh(engaged, (row + 0.34, 0.06), facecolors="black")
        axes.vlines([event["onset"] for event in person.events], row - 0.4, row - 0.2, colors="black")
    axes.set(yticks=range(len(shown)), yticklabels=[person.id for person in shown], ylabel="person")
    axes.invert_yaxis()
    times, in_view, attending, valences = _group_lines(people)
    counts.plot(times, in_view, color="silver", label="in view")
    counts.plot(times, attending, color="black", label="attending")
    counts.set(ylabel="people", ylim=(0, None))
    counts.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    valence.plot(times, valences)
    valence.set(xlabel="seconds", ylabel="valence, all", ylim=(-1, 1))
    labels = sorted({label for person in shown for label in person.labels})
    colors = [(label, _color(label)) for label in labels] + [("engaged", "black")]
    patches = [Patch(color=color, label=label) for label, color in colors]
    figure.legend(handles=patches, loc="outside upper center", ncols=len(patches), frameon=False)
    figure.savefig(path, dpi=120)


def _group_lines(people: Sequence[PersonTimeline]) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return times, people in view, people who attend, and mean valence; NaN makes a gap while nobody is visible."""
    rows: list[tuple[float, float, float, float]] = []
    seconds = group_seconds(people)
    for second, group in seconds.items():
        if rows and second - 1 not in seconds:
            rows.append((float(second), math.nan, math.nan, math.nan))
        rows.append((second + 0.5, group.people, group.attending, group.valence))
    times, in_view, attending, valences = map(list, zip(*rows, strict=True))
    return times, in_view, attending, valences


def _color(label: str) -> tuple[float, float, float]:
    blue, green, red = UNKNOWN_COLOR if label == "unknown" else COLORS.get(label, OTHER)
    return red / 255, green / 255, blue / 255
