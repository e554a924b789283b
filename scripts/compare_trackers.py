"""Compares trackers on a sequence of moving faces: changes of a person's id at 15, 7.5 and 5 Hz, and ms per update.

The tracker of this package, overlap with the last box as a baseline, and, of the packages that are installed, norfair
and ByteTrack and SORT of trackers (pip install norfair trackers).
"""

import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import moving_faces
import numpy as np

from emotion_ros.perception.tracking import DISTANCE_GROWTH_PER_S, MAX_DISTANCE, Tracker, box_distances
from emotion_ros.types import Box

NORFAIR_RATE_HZ = 30.0
"""Steps per second of norfair's motion model, which counts images."""

TIMED_FACES = (1, 8)
TIMED_IMAGES = 300
ROUNDS = 5


def package_ids(instants):
    """Return the ids of this package's tracker, per instant and box."""
    tracker = Tracker()
    return [tracker.update(instant.boxes, instant.stamp) for instant in instants]


def norfair_ids(instants):
    """Return the ids of norfair, with the distances and the timeout of this package's tracker."""
    import norfair

    class LenientDistance(norfair.distances.Distance):
        def get_distances(self, objects, candidates):
            if not objects:
                return np.zeros((len(candidates), 0))
            detections, predictions = (
                np.stack(boxes) for boxes in ([c.points for c in candidates], [o.estimate for o in objects])
            )
            undetected = np.array([candidates[0].data - each.last_detection.data for each in objects])
            return box_distances(_sized(detections), _sized(predictions)) / (1 + DISTANCE_GROWTH_PER_S * undetected)

    tracker = norfair.Tracker("iou", MAX_DISTANCE, initialization_delay=0, past_detections_length=0)
    tracker.distance_function = LenientDistance()
    ids, last = [], None
    for instant in instants:
        steps = 1 if last is None else max(round((instant.stamp - last) * NORFAIR_RATE_HZ), 1)
        last = instant.stamp
        for _ in range(steps - 1):
            tracker.update()
        corners = [np.array([[b.x, b.y], [b.x + b.width, b.y + b.height]]) for b in instant.boxes]
        detections = [norfair.Detection(points, data=instant.stamp) for points in corners]
        tracker.update(detections, steps)
        for each in tracker.tracked_objects:
            each.hit_counter = 1 << 30  # it counts images; the timeout is in seconds
        tracker.tracked_objects = [each for each in tracker.tracked_objects if last - each.last_detection.data <= 1]
        id_of = {id(each.last_detection): str(each.id) for each in tracker.tracked_objects}
        ids.append([id_of.get(id(detection), "") for detection in detections])
    return ids


def _sized(corners):
    return np.hstack([corners[:, 0], corners[:, 1] - corners[:, 0]])


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


def sway(faces):
    """Return a sequence of faces that sway side by side, at 30 Hz."""
    rng = np.random.default_rng(0)
    return [
        moving_faces.Instant(
            number / 30,
            [Box(100 * face + 10 * np.sin(number / 9 + face), 100 + rng.normal(), 80, 90) for face in range(faces)],
            list(range(faces)),
        )
        for number in range(TIMED_IMAGES)
    ]


def ms_per_update(kinds):
    """Return the ms per image of each tracker and number of faces: medians of rounds, the trackers alternately."""
    times = {}
    for _, faces, name in itertools.product(range(ROUNDS), TIMED_FACES, kinds):
        sequence = sway(faces)
        start = time.perf_counter()
        kinds[name](sequence)
        times.setdefault((name, faces), []).append((time.perf_counter() - start) * 1000 / TIMED_IMAGES)
    return {key: float(np.median(values)) for key, values in times.items()}


def installed_kinds():
    """Return a function of the ids of each tracker that is installed, by name."""
    kinds = {"overlap": overlap_ids, "emotion_ros": package_ids}
    try:
        import norfair  # noqa: F401

        kinds["norfair"] = norfair_ids
    except ImportError:
        print("norfair is not installed: it is left out")
    try:
        from trackers import ByteTrackTracker, SORTTracker

        kinds |= {"trackers ByteTrack": trackers_ids(ByteTrackTracker), "trackers SORT": trackers_ids(SORTTracker)}
    except ImportError:
        print("trackers is not installed: its trackers are left out")
    return kinds


if __name__ == "__main__":
    kinds = installed_kinds()
    instants = moving_faces.instants()
    print(f"{sum(len(instant.boxes) for instant in instants)} faces of 3 people in {len(instants)} images")
    print("| tracker | changes of id at 15 Hz | 7.5 Hz | 5 Hz | ms, 1 face | ms, 8 faces |")
    print("| --- | --- | --- | --- | --- | --- |")
    times = ms_per_update(kinds)
    for name, track in kinds.items():
        changes = [moving_faces.changes_of_id(instants[::step], track(instants[::step])) for step in (1, 2, 3)]
        figures = [*map(str, changes), *(f"{times[name, faces]:.2f}" for faces in TIMED_FACES)]
        print(f"| {name} | {' | '.join(figures)} |")
