"""A session of several minutes made of photos: people come, show expressions by a script, and leave."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.config import PipelineConfig
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.types import ExpressionEvent, Image

RATE_HZ = 5.0
WIDTH_PX, HEIGHT_PX = 640, 480
FACE_PX = 150
"""Side of a pasted photo, which shows a face."""

PLACES = ((170, 240), (470, 240))
"""Middle of the photo of each person."""

MIN_RECOGNIZED = 0.7
"""Confidence of the right label from which a photo counts as recognized."""

MAX_DELAY_S = 1.0
"""Difference of onsets up to which an event is the scripted one."""


@dataclass(frozen=True)
class Shown:
    """A photo with a label that a person shows from ``begin`` to ``end``, seconds; label empty: nobody is there."""

    place: int
    begin: float
    end: float
    label: str
    photo: Image | None


@dataclass(frozen=True)
class Change:
    """A change of expression that the script asks for, or that came out, at a place."""

    place: int
    onset: float
    from_label: str
    to_label: str


def photos_by_label(archive: Path, count: int) -> dict[str, list[Image]]:
    """Return the first photos of each class in an archive of labelled faces, BGR."""
    with zipfile.ZipFile(archive) as content:
        names = sorted(name for name in content.namelist() if name.endswith(".webp"))
        labels = {name.split("/")[0] for name in names}
        chosen = {label: [name for name in names if name.startswith(f"{label}/")][:count] for label in sorted(labels)}
        return {label: [_decode(content.read(name)) for name in chosen[label]] for label in chosen}


def recognized(pipeline: Pipeline, photos: Sequence[Image], label: str) -> list[Image]:
    """Return the photos whose expression the pipeline recognizes."""
    kept = []
    for photo in photos:
        pipeline.reset()
        people = pipeline.perceive(frame([Shown(0, 0, 1, label, photo)], np.random.default_rng(0)), 0.0).people
        if len(people) == 1 and people[0].label == label and people[0].confidence >= MIN_RECOGNIZED:
            kept.append(photo)
    pipeline.reset()
    return kept


def script(photos: dict[str, list[Image]], seconds: float, seed: int) -> list[Shown]:
    """Return what is shown at each place: visits of half a minute to a minute, with expressions of 3 to 8 s."""
    rng, shown = np.random.default_rng(seed), []
    for place in range(len(PLACES)):
        time = 0.0
        while time < seconds:
            leaves, label = time + rng.uniform(30, 60), ""
            while time < min(leaves, seconds):
                label = str(rng.choice([name for name in photos if name != label]))
                end = min(time + rng.uniform(3, 8), seconds)
                shown.append(Shown(place, time, end, label, photos[label][rng.integers(len(photos[label]))]))
                time = end
            shown.append(Shown(place, time, time + rng.uniform(3, 6), "", None))
            time = shown[-1].end
    return shown


def scripted_changes(shown: Sequence[Shown], seconds: float) -> list[Change]:
    """Return the changes that a script asks for, without those in the last second."""
    changes, labels = [], dict.fromkeys(range(len(PLACES)), "")
    for each in shown:
        if each.begin < seconds - 2:
            changes.append(Change(each.place, each.begin, labels[each.place], each.label))
        labels[each.place] = each.label
    return changes


def images(shown: Sequence[Shown], seconds: float) -> Iterator[tuple[float, Image]]:
    """Yield stamp and image."""
    rng = np.random.default_rng(0)
    for number in range(round(seconds * RATE_HZ)):
        time = number / RATE_HZ
        yield time, frame([each for each in shown if each.begin <= time < each.end and each.photo is not None], rng)


def frame(shown: Sequence[Shown], rng: np.random.Generator) -> Image:
    """Return an image of the people, with some noise and movement."""
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), 110, np.uint8)
    for each in shown:
        side = round(FACE_PX * rng.uniform(0.97, 1.03))
        photo = cv2.resize(each.photo, (side, side), interpolation=cv2.INTER_CUBIC)
        border = side // 3
        photo = cv2.copyMakeBorder(photo, *(border,) * 4, cv2.BORDER_REPLICATE)
        x, y = (round(middle + rng.normal(0, 2) - len(photo) / 2) for middle in PLACES[each.place])
        image[y : y + len(photo), x : x + len(photo)] = photo
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def play(shown: Sequence[Shown], seconds: float, config: PipelineConfig) -> list[Change]:
    """Return the changes that the pipeline reports for a script."""
    pipeline, places, events = Pipeline(config), {}, list[ExpressionEvent]()
    for time, image in images(shown, seconds):
        perception = pipeline.perceive(image, time)
        events += perception.events
        for person in perception.people:
            places[person.id] = int(person.face.box.centre[0] > WIDTH_PX / 2)
    pipeline.close()
    return [Change(places[event.id], event.onset, event.from_label, event.to_label) for event in events]


def precision_recall(asked: Sequence[Change], came: Sequence[Change]) -> tuple[float, float]:
    """Return the share of the reported changes that were scripted, and of the scripted ones that were reported."""
    open_changes, matched = list(asked), 0
    for change in came:
        fitting = [
            each
            for each in open_changes
            if (each.place, each.from_label, each.to_label) == (change.place, change.from_label, change.to_label)
            and abs(each.onset - change.onset) <= MAX_DELAY_S
        ]
        if fitting:
            open_changes.remove(fitting[0])
            matched += 1
    return matched / max(len(came), 1), matched / max(len(asked), 1)


def _decode(content: bytes) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), np.uint8)
