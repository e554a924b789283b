"""Assigns ids to faces from image to image."""

from __future__ import annotations

import itertools
import secrets
import string
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.stub_modules import stub_modules
from emotion_ros.types import Box

with stub_modules("filterpy.stats"):  # likelihoods, which norfair does not use: 0.4 s and 35 MiB of scipy.stats
    from norfair import Detection
    from norfair import Tracker as NorfairTracker
    from norfair.distances import Distance

PREDICTION_RATE_HZ = 30.0
"""Steps per second of the motion model, whatever the rate of the images."""

MAX_DISTANCE = 1.3
"""Maximum distance (:func:`box_distances`) of a face from its predicted box. On the sequence of
``scripts/compare_trackers.py`` ids change less often the larger it is; beyond it a second person fits between both."""

DISTANCE_GROWTH_PER_S = 2.0
"""Relative growth of :data:`MAX_DISTANCE` per second in which a face was not detected."""

ID_LENGTH, ID_ALPHABET = 5, string.ascii_lowercase
"""Format of ids (REP-155)."""

NEVER_EXPIRES = 1 << 30
"""norfair's hit counter counts images; the timeout here is in seconds."""


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
    """Faces of one camera: a constant-velocity Kalman filter each (norfair), matched by distance and size.

    Args:
        generate_id: trackers that share it never give the same id to two people.
    """

    def __init__(self, generate_id: Callable[[], str] | None = None) -> None:
        self._generate_id = generate_id or IdGenerator()
        self.reset()

    @property
    def ids(self) -> AbstractSet[str]:
        """Ids of all tracked faces, including those that are not visible now."""
        return {id for id, _ in self._known.values()}

    def reset(self) -> None:
        """Forget all faces."""
        self._norfair = NorfairTracker("iou", MAX_DISTANCE, initialization_delay=0, past_detections_length=0)
        self._norfair.distance_function = _LenientDistance()
        self._known: dict[int, tuple[str, float]] = {}
        self._stamp: float | None = None

    def update(self, boxes: Sequence[Box], stamp: float, timeout: float = 1.0) -> list[str]:
        """Track the faces of an image and return an id per box, in their order.

        If the stamp goes back or on by more than ``timeout``, all ids are new.

        Args:
            boxes: faces, pixels.
            stamp: of the image, seconds.
            timeout: seconds after which a face that is not detected loses its id.
        """
        elapsed = 0.0 if self._stamp is None else stamp - self._stamp
        if not 0 <= elapsed <= timeout:
            self.reset()
            elapsed = 0.0
        steps = max(round(elapsed * PREDICTION_RATE_HZ), 1)  # norfair counts images, which arrive at any rate
        for _ in range(steps - 1):
            self._norfair.update()
        detections = [Detection(_corners(box), data=stamp) for box in boxes]
        self._norfair.update(detections, steps)
        self._stamp = stamp
        return self._assign_ids(detections, stamp, timeout)

    def _assign_ids(self, detections: Sequence[Any], stamp: float, timeout: float) -> list[str]:
        ids = [""] * len(detections)
        positions = {id(detection): index for index, detection in enumerate(detections)}
        for track in self._norfair.tracked_objects:
            track.hit_counter = NEVER_EXPIRES
            if (index := positions.get(id(track.last_detection))) is not None:
                ids[index] = self._known.get(track.id, ("", 0.0))[0] or self._unused_id()
                self._known[track.id] = ids[index], stamp
        self._known = {key: known for key, known in self._known.items() if stamp - known[1] <= timeout}
        self._norfair.tracked_objects = [each for each in self._norfair.tracked_objects if each.id in self._known]
        return ids

    def _unused_id(self) -> str:
        while (name := self._generate_id()) in self.ids:
            pass
        return name


def box_distances(detections: NDArray[np.float64], tracks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances between boxes: of their centres in units of their mean size, plus the log ratio of their sizes.

    Args:
        detections: n × 4, left, top, right, bottom in pixels.
        tracks: m × 4, likewise.

    Returns:
        n × m, 0 for equal boxes.
    """
    first, second = detections.reshape(-1, 2, 2), tracks.reshape(-1, 2, 2)
    sizes = [np.maximum(np.abs(boxes[:, 1] - boxes[:, 0]).mean(1), 1.0) for boxes in (first, second)]
    between = np.linalg.norm(first.mean(1)[:, None] - second.mean(1)[None], axis=2)
    ratio = np.log(sizes[0])[:, None] - np.log(sizes[1])[None]
    distances: NDArray[np.float64] = between / np.sqrt(np.outer(*sizes)) + np.abs(ratio)
    return distances


class _LenientDistance(Distance):  # type: ignore[misc]
    """:func:`box_distances`, smaller the longer a face was not detected."""

    def get_distances(self, objects: Sequence[Any], candidates: Sequence[Any]) -> NDArray[np.float64]:
        if not objects:
            return np.zeros((len(candidates), 0))
        detections = np.stack([each.points.reshape(-1) for each in candidates])
        predictions = np.stack([each.estimate.reshape(-1) for each in objects])
        undetected = np.array([candidates[0].data - each.last_detection.data for each in objects])
        return box_distances(detections, predictions) / (1 + DISTANCE_GROWTH_PER_S * undetected)


def _corners(box: Box) -> NDArray[np.float64]:
    return np.array([[box.x, box.y], [box.x + box.width, box.y + box.height]])
