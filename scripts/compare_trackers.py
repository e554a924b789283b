"""Compares trackers on a sequence of moving faces: changes of a person's id at 15, 7.5 and 5 Hz.

The tracker of this package (norfair), overlap with the last box as a baseline, and ByteTrack and SORT of the package
trackers if it is installed (pip install trackers).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

import moving_faces
import numpy as np

from emotion_ros.perception.tracking import Tracker


def package_ids(instants):
    """Return the ids of this package's tracker, per instant and box."""
    tracker = Tracker()
    return [tracker.update(instant.boxes, instant.stamp) for instant in instants]


def overlap_ids(instants):
    """Return ids by overlap with a face's last box, which is kept for a second."""
    last, ids = {}, []
    for instant in instants:
        last = {id: (box, stamp) for id, (box, stamp) in last.items() if instant.stamp - stamp <= 1}
        pairs = sorted(
            ((box.overlap(last[id][0]), index, id) for index, box in enumerate(instant.boxes) for id in last),
            reverse=True,
        )
        matched = {}
        for overlap, index, id in pairs:
            if overlap >= 0.2 and index not in matched and id not in matched.values():
                matched[index] = id
        ids.append([matched.get(index, f"{instant.stamp}-{index}") for index in range(len(instant.boxes))])
        last.update({id: (box, instant.stamp) for id, box in zip(ids[-1], instant.boxes, strict=True)})
    return ids


def trackers_ids(kind):
    """Return a function of the ids of a tracker of the package trackers, which keeps tracks for a second too."""

    def track(instants):
        import supervision

        rate = 1 / (instants[1].stamp - instants[0].stamp)
        tracker = kind(lost_track_buffer=30, frame_rate=rate, minimum_consecutive_frames=1, minimum_iou_threshold=0.05)
        return [_update(tracker, supervision, instant.boxes) for instant in instants]

    return track


def _update(tracker, supervision, boxes):
    corners = np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in boxes]).reshape(-1, 4)
    detections = supervision.Detections(
        xyxy=corners,
        confidence=np.full(len(boxes), 0.9),
        class_id=np.zeros(len(boxes), int),
        data={"index": np.arange(len(boxes))},
    )
    tracked = tracker.update(detections)
    ids = ["" for _ in boxes]
    for index, id in zip(tracked.data.get("index", []), tracked.tracker_id, strict=True):
        ids[int(index)] = str(id)
    return ids


if __name__ == "__main__":
    kinds = {"overlap": overlap_ids, "emotion_ros (norfair)": package_ids}
    try:
        from trackers import ByteTrackTracker, SORTTracker

        kinds |= {"trackers ByteTrack": trackers_ids(ByteTrackTracker), "trackers SORT": trackers_ids(SORTTracker)}
    except ImportError:
        print("trackers is not installed: its trackers are left out")
    instants = moving_faces.instants()
    print(f"{sum(len(instant.boxes) for instant in instants)} faces of 3 people in {len(instants)} images")
    print("| tracker | changes of id at 15 Hz | 7.5 Hz | 5 Hz |\n| --- | --- | --- | --- |")
    for name, track in kinds.items():
        changes = [moving_faces.changes_of_id(instants[::step], track(instants[::step])) for step in (1, 2, 3)]
        print(f"| {name} | {' | '.join(map(str, changes))} |")
