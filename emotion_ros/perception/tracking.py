"""Assigns ids to faces from image to image."""

from __future__ import annotations

import itertools
import secrets
import string
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.assignment import assign
from emotion_ros.perception.motion import FaceMotion
from emotion_ros.types import Box

MAX_DISTANCE = 1.3
"""Maximum distance (:func:`box_distances`) of a face from its predicted box. On the sequence of
``scripts/compare_trackers.py`` ids change less often the larger it is; beyond it a second person fits between both."""

DISTANCE_GROWTH_PER_S = 2.0
"""Relative growth of :data:`MAX_DISTANCE` per second in which a face was not detected."""

ID_LENGTH, ID_ALPHABET = 5, string.ascii_lowercase
"""Format of ids (REP-155)."""


class IdGenerator:
    """Generates ids.

    Args:
        deterministic: f00000, f00001, …; False: five random letters, which do not reveal when a person arrived.
    """

    def __init__(self, deterministic: bool = False) -> None:
        self._numbers = itertools.count() if deterministic else None

    def __call__(self) -> str:
        """Generate the next id."""
        if self._numbers is not None:
            return f"f{next(self._numbers):05}"
        return "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))


class Tracker:
    """Faces of one camera: a constant-velocity Kalman filter each, matched by distance and size.

    Args:
        generate_id: trackers that share it never give the same id to two people.
    """

    def __init__(self, generate_id: Callable[[], str] | None = None) -> None:
        self._generate_id = generate_id or IdGenerator()
        self.reset()

    @property
    def ids(self) -> AbstractSet[str]:
        """Ids of all tracked faces, including those that are not visible now."""
        return self._tracks.keys()

    def reset(self) -> None:
        """Forget all faces."""
        self._tracks: dict[str, FaceMotion] = {}
        self._stamp: float | None = None

    def update(self, boxes: Sequence[Box], stamp: float, timeout: float = 1.0) -> list[str]:
        """Track the faces of an image and return an id per box, in their order.

        If the stamp goes back or on by more than ``timeout``, all ids are new.

        Args:
            boxes: faces, pixels.
            stamp: of the image, seconds.
            timeout: seconds after which a face that is not detected loses its id.
        """
        if self._stamp is None or not 0 <= stamp - self._stamp <= timeout:
            self.reset()
        self._stamp = stamp
        ids = [self._update_track(id, box, stamp) for id, box in zip(self._matches(boxes, stamp), boxes, strict=True)]
        self._tracks = {id: track for id, track in self._tracks.items() if stamp - track.stamp <= timeout}
        return ids

    def _matches(self, boxes: Sequence[Box], stamp: float) -> list[str]:
        """Return the id of the track of each box; empty: none."""
        ids, tracks = [*self._tracks], self._tracks.values()
        distances = box_distances(_as_array(boxes), _as_array([track.predict(stamp) for track in tracks]))
        tolerances = [1 + DISTANCE_GROWTH_PER_S * (stamp - track.stamp) for track in tracks]
        return [ids[track] if track >= 0 else "" for track in assign(distances / tolerances, MAX_DISTANCE)]

    def _update_track(self, id: str, box: Box, stamp: float) -> str:
        """Correct a track by its detection, or start one, and return its id."""
        if id:
            self._tracks[id].update(box, stamp)
            return id
        new_id = self._unused_id()
        self._tracks[new_id] = FaceMotion(box, stamp)
        return new_id

    def _unused_id(self) -> str:
        while (name := self._generate_id()) in self._tracks:
            pass
        return name


def box_distances(detections: NDArray[np.float64], tracks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances between boxes: of their centres in units of their mean size, plus the log ratio of their sizes.

    Args:
        detections: n × 4, left, top, width, height in pixels.
        tracks: m × 4, likewise.

    Returns:
        n × m, 0 for equal boxes.
    """
    sizes = [np.maximum(boxes[:, 2:].mean(1), 1.0) for boxes in (detections, tracks)]
    centres = [boxes[:, :2] + boxes[:, 2:] / 2 for boxes in (detections, tracks)]
    between = np.hypot(*(centres[0][:, None] - centres[1][None]).T).T
    ratio = np.log(sizes[0])[:, None] - np.log(sizes[1])[None]
    distances: NDArray[np.float64] = between / np.sqrt(np.outer(*sizes)) + np.abs(ratio)
    return distances


def _as_array(boxes: Sequence[Box]) -> NDArray[np.float64]:
    return np.array([(box.x, box.y, box.width, box.height) for box in boxes], float).reshape(-1, 4)
