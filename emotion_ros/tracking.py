"""Ids that stay with a person from image to image."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from emotion_ros.types import Box


@dataclass
class _Track:
    id: str
    box: Box
    seen: float


class Tracker:
    """Matches boxes of one image to those of the images before, the best overlap first.

    A face that moved by more than its own size between two images, or was away for longer than ``memory`` seconds, is
    somebody new.
    """

    def __init__(self, overlap: float = 0.2, memory: float = 1.0) -> None:
        self._overlap, self._memory = overlap, memory
        self._tracks: list[_Track] = []
        self._numbers = itertools.count(1)

    def update(self, boxes: Sequence[Box], time: float) -> list[str]:
        """An id for each box, in their order; ``time`` is the image's, in seconds.

        Where time jumps back (a bag that starts again), all tracks are dropped: the people may be others.
        """
        if any(track.seen > time for track in self._tracks):
            self._tracks = []
        self._tracks = [track for track in self._tracks if time - track.seen <= self._memory]
        chosen = self._match(boxes)
        for index, box in enumerate(boxes):
            track = chosen.get(index)
            if track is None:
                track = chosen[index] = _Track(f"person{next(self._numbers)}", box, time)
                self._tracks.append(track)
            track.box, track.seen = box, time
        return [chosen[index].id for index in range(len(boxes))]

    def _match(self, boxes: Sequence[Box]) -> dict[int, _Track]:
        pairs = [(box.overlap(track.box), index, track) for index, box in enumerate(boxes) for track in self._tracks]
        chosen: dict[int, _Track] = {}
        taken: set[str] = set()
        for overlap, index, track in sorted(pairs, key=lambda pair: -pair[0]):
            if overlap >= self._overlap and index not in chosen and track.id not in taken:
                chosen[index] = track
                taken.add(track.id)
        return chosen
