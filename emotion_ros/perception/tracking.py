"""Who is who from image to image, and what each has shown of late."""

from __future__ import annotations

import itertools
import secrets
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.stub_modules import stub_modules
from emotion_ros.types import Box

with stub_modules(
    "filterpy.stats"
):  # for likelihoods, which norfair asks no filter for: 0.4 s and 35 MiB of scipy.stats
    from norfair import Detection
    from norfair import Tracker as Norfair
    from norfair.distances import Distance

TICKS = 30.0
"""Steps per second in which movements are predicted, whatever the rate of the images."""

NEAR = 1.3
"""Largest distance of a face from where it was expected, as :func:`apart` measures it. On the sequence of
``scripts/compare_trackers.py`` ids change less often the larger it is; beyond one face and a third somebody else may
stand there."""

LETTERS, LOWER = 5, string.ascii_lowercase
"""Number and kind of the letters of an id (REP-155)."""

DRIFT = 2.0
"""By how much :data:`NEAR` grows in a second in which a face was not seen, as its share."""

FOREVER = 1 << 30


class IdGenerator:
    """Ids.

    Args:
        deterministic: f00000, f00001, …; else five random letters, so that nobody can tell from an id when, or after
            whom, a person came.
    """

    def __init__(self, deterministic: bool = False) -> None:
        self._numbers = itertools.count() if deterministic else None

    def __call__(self) -> str:
        """Another one."""
        if self._numbers is not None:
            return f"f{next(self._numbers):05}"
        return "".join(secrets.choice(LOWER) for _ in range(LETTERS))


class Tracker:
    """Ids that stay with a face: constant velocity and a Kalman filter by norfair, matched by distance and size.

    norfair counts images, which come at any rate: time is told to it in :data:`TICKS`. A face that was away for longer
    than ``memory`` seconds is somebody new.

    Args:
        names: gives ids; several trackers share one, so that no two people have the same.
        memory: seconds.
    """

    def __init__(self, names: Callable[[], str] | None = None, memory: float = 1.0) -> None:
        self.memory = memory
        self._names = names or IdGenerator()
        self._stamp: float | None = None
        self.forget()

    def update(self, boxes: Sequence[Box], stamp: float) -> list[str]:
        """An id for each box, in their order; ``stamp`` is the image's, in seconds.

        Where time jumps back (a bag that starts again) or on by more than ``memory``, everybody is somebody new.
        """
        elapsed = 0.0 if self._stamp is None else stamp - self._stamp
        if not 0 <= elapsed <= self.memory:
            self.forget()
            elapsed = 0.0
        ticks = max(round(elapsed * TICKS), 1)
        for _ in range(ticks - 1):
            self._norfair.update()
        detections = [Detection(_corners(box), data=stamp) for box in boxes]
        self._norfair.update(detections, ticks)
        self._stamp = stamp
        return self._name(detections, stamp)

    @property
    def ids(self) -> set[str]:
        """Everybody who is remembered, also those who are not in view now."""
        return {name for name, _ in self._known.values()}

    def _new_name(self) -> str:
        while (name := self._names()) in self.ids:
            pass
        return name

    def forget(self) -> None:
        """Whoever comes now is somebody new."""
        self._norfair = Norfair("iou", NEAR, initialization_delay=0, past_detections_length=0)
        self._norfair.distance_function = _Apart()
        self._known: dict[int, tuple[str, float]] = {}
        self._stamp = None

    def _name(self, detections: Sequence[Any], stamp: float) -> list[str]:
        names = [""] * len(detections)
        now = {id(each): index for index, each in enumerate(detections)}
        for track in self._norfair.tracked_objects:
            track.hit_counter = FOREVER  # how long a face is remembered is counted in seconds, here
            if (index := now.get(id(track.last_detection))) is not None:
                names[index] = self._known.get(track.id, ("", 0.0))[0] or self._new_name()
                self._known[track.id] = names[index], stamp
        self._known = {key: known for key, known in self._known.items() if stamp - known[1] <= self.memory}
        self._norfair.tracked_objects = [each for each in self._norfair.tracked_objects if each.id in self._known]
        return names


def apart(candidates: NDArray[np.float64], tracks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of boxes (n × 4 and m × 4: left, top, right, bottom) as n × m: between their centres in units of their
    mean size, plus the logarithm of the ratio of their sizes."""
    first, second = candidates.reshape(-1, 2, 2), tracks.reshape(-1, 2, 2)
    sizes = [np.maximum(np.abs(boxes[:, 1] - boxes[:, 0]).mean(1), 1.0) for boxes in (first, second)]
    between = np.linalg.norm(first.mean(1)[:, None] - second.mean(1)[None], axis=2)
    ratio = np.log(sizes[0])[:, None] - np.log(sizes[1])[None]
    distance: NDArray[np.float64] = between / np.sqrt(np.outer(*sizes)) + np.abs(ratio)
    return distance


class _Apart(Distance):  # type: ignore[misc]
    """:func:`apart`, more lenient the longer a face was not seen."""

    def get_distances(self, objects: Sequence[Any], candidates: Sequence[Any]) -> NDArray[np.float64]:
        if not objects:
            return np.zeros((len(candidates), 0))
        found = np.stack([each.points.reshape(-1) for each in candidates])
        expected = np.stack([each.estimate.reshape(-1) for each in objects])
        unseen = np.array([candidates[0].data - each.last_detection.data for each in objects])
        return apart(found, expected) / (1 + DRIFT * unseen)


def _corners(box: Box) -> NDArray[np.float64]:
    return np.array([[box.x, box.y], [box.x + box.width, box.y + box.height]])
