"""Trackers on a sequence of moving faces: how often a person's id changes, at the full rate, a half and a third of it.

The package's own tracker (norfair) beside ByteTrack and SORT of the package trackers, which is no requirement of ours
(pip install trackers), and beside plain overlap with the last box.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

import moving_faces
import numpy as np

from emotion_ros.perception.tracking import Tracker


def ours(instants):
    """Ids by the package's tracker."""
    tracker = Tracker()
    return [tracker.update(each.boxes, each.stamp) for each in instants]


def overlap(instants):
    """Ids by overlap with the box a face had when it was last seen, for up to a second."""
    last, ids = {}, []
    for each in instants:
        last = {id: (box, stamp) for id, (box, stamp) in last.items() if each.stamp - stamp <= 1}
        pairs = sorted(
            ((box.overlap(last[id][0]), index, id) for index, box in enumerate(each.boxes) for id in last), reverse=True
        )
        chosen = {}
        for share, index, id in pairs:
            if share >= 0.2 and index not in chosen and id not in chosen.values():
                chosen[index] = id
        ids.append([chosen.get(index, f"{each.stamp}-{index}") for index in range(len(each.boxes))])
        last.update({id: (box, each.stamp) for id, box in zip(ids[-1], each.boxes, strict=True)})
    return ids


def theirs(kind):
    """A function that gives ids by a tracker of the package trackers; it remembers a second too."""

    def track(instants):
        import supervision

        rate = 1 / (instants[1].stamp - instants[0].stamp)
        tracker = kind(lost_track_buffer=30, frame_rate=rate, minimum_consecutive_frames=1, minimum_iou_threshold=0.05)
        return [_update(tracker, supervision, each.boxes) for each in instants]

    return track


def _update(tracker, supervision, boxes):
    corners = np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in boxes]).reshape(-1, 4)
    found = supervision.Detections(
        xyxy=corners,
        confidence=np.full(len(boxes), 0.9),
        class_id=np.zeros(len(boxes), int),
        data={"index": np.arange(len(boxes))},
    )
    tracked = tracker.update(found)
    ids = ["" for _ in boxes]
    for index, id in zip(tracked.data.get("index", []), tracked.tracker_id, strict=True):
        ids[int(index)] = str(id)
    return ids


if __name__ == "__main__":
    kinds = {"overlap": overlap, "emotion_ros (norfair)": ours}
    try:
        from trackers import ByteTrackTracker, SORTTracker

        kinds |= {"trackers ByteTrack": theirs(ByteTrackTracker), "trackers SORT": theirs(SORTTracker)}
    except ImportError:
        print("trackers is not installed: left out")
    instants = moving_faces.instants()
    print(f"{sum(len(each.boxes) for each in instants)} faces of 3 people in {len(instants)} images")
    print("| tracker | changes of id at 15 Hz | 7.5 Hz | 5 Hz |\n| --- | --- | --- | --- |")
    for name, track in kinds.items():
        changes = [moving_faces.changes_of_id(instants[::step], track(instants[::step])) for step in (1, 2, 3)]
        print(f"| {name} | {' | '.join(map(str, changes))} |")
