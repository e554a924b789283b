"""What it costs to look less: cadence.py classify FER2013 [PEOPLE], and cadence.py search PICTURES.

classify: of many faces few are classified per image. People whose expression changes every two seconds, each image of
them a test picture of that class: shown labels against the truth, for several numbers of faces that are classified in
an image, and pauses between. Classifier, schedule and filter are the robot's.

search: a camera pans over each picture in a folder, at several speeds. Which faces are found, and what is seen in them,
where all of every image is searched, and where that is done every face_search_interval seconds.
"""

import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from emotion_ros.config import PipelineConfig
from emotion_ros.inference.catalog import default_model
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.filtering import EmotionFilter
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.schedule import select_for_classification
from emotion_ros.training.data.datasets import read_split
from emotion_ros.training.evaluation.classifier_evaluation import probabilities, view_of

RATE, SECONDS, CHANGE = 30.0, 120.0, 2.0
TURNS = ((0, 0.0), (0, 0.05), (0, 0.1), (4, 0.0), (2, 0.0), (2, 0.05), (1, 0.0))
SPEEDS, VIEWS, SAME = (0.25, 0.5, 1.0, 2.0), 13, 0.4
CLASSES = ("happy", "neutral", "sad", "surprise", "angry")


def classify(data, people="8"):
    """A line for each number of faces."""
    classifier = EmotionClassifier(default_model(), "cpu")
    samples = read_split(Path(data), "test", view_of(classifier.metadata, "auto"))
    found = probabilities(classifier, samples)
    ids = [f"p{index}" for index in range(int(people))]
    labels = classifier.metadata.labels
    for most, pause in TURNS:
        right, delay = show(most, pause, ids, samples, found, labels)
        print(f"{most or 'all'} of {people} per image, {pause:g} s between two of each: ", end="")
        print(f"{right:.3f} of labels right, {delay:.2f} s until a change is seen")


def show(most, pause, ids, samples, found, labels):
    """Share of right labels, and median seconds until a new expression is first shown."""
    rng, emotions = np.random.default_rng(0), EmotionFilter()
    config = PipelineConfig(max_classifications_per_image=most, classification_interval=pause)
    rows = {label: np.flatnonzero(samples.classes == samples.labels.index(label)) for label in CLASSES}
    wanted, since, right, delays = dict.fromkeys(ids, ""), dict.fromkeys(ids, 0.0), [], []
    waiting = set()
    for number in range(int(RATE * SECONDS)):
        stamp = number / RATE
        for index, id in enumerate(ids):
            if wanted[id] == "" or stamp - since[id] >= CHANGE + 0.1 * index:
                wanted[id] = str(rng.choice([each for each in CLASSES if each != wanted[id]]))
                since[id] = stamp
                waiting.add(id)
        pictures = {id: found[rng.choice(rows[wanted[id]])] for id in ids}
        due = select_for_classification(ids, emotions.last_classified, stamp, config)
        for id in ids:
            if id in due:
                emotions.update(id, pictures[id], 1.0, stamp, config.smoothing)
            label = emotions.update_label(id, labels, emotions.probabilities(id), config.min_confidence)
            right.append(label == wanted[id])
            if label == wanted[id] and id in waiting:
                waiting.discard(id)
                delays.append(stamp - since[id])
    return float(np.mean(right)), float(np.median(delays))


def search(folder):
    """A line for each speed."""
    images = [image for file in sorted(Path(folder).iterdir()) if (image := cv2.imread(str(file))) is not None]
    pauses = 0.0, PipelineConfig.face_search_interval
    robots = [
        Pipeline(PipelineConfig(hands=False, face_search_interval=each, classification_interval=0.0)) for each in pauses
    ]
    for speed in SPEEDS:
        tally = Counter()
        for image in images:
            for robot in robots:
                robot.reset()
            for stamp, view in pan(image, speed):
                always, paused = (robot.perceive(view, stamp) for robot in robots)
                tally.update(compared(always, paused))
        shown = {name: tally[name] / max(tally["faces"], 1) for name in ("found", "same label", "overlap")}
        ratio = tally["ms always"] / tally["ms paused"]
        print(f"{speed:g} widths/s: {tally['faces']} faces, of which ", end="")
        print(f"{shown['found']:.4f} are found with pauses, {shown['same label']:.4f} with the same label, ", end="")
        print(f"mean overlap {shown['overlap']:.3f}, {tally['more']} others; {ratio:.2f} times as fast")


def pan(image, speed):
    """Views of 640×480 of a picture, whose camera moves so many of their widths per second, there and back."""
    wide = cv2.resize(image, (800, round(image.shape[0] * 800 / image.shape[1])))
    wide = cv2.copyMakeBorder(wide, 0, max(480 - wide.shape[0], 0), 0, 0, cv2.BORDER_REPLICATE)
    for number in range(VIEWS):
        way = speed * 640 * number / RATE % 320
        left = round(min(way, 320 - way))
        yield number / RATE, np.ascontiguousarray(wide[:480, left : left + 640])


def compared(always, paused):
    """Counts for one image."""
    counts = Counter(faces=len(always.people), more=len(paused.people))
    for name, seen in (("always", always), ("paused", paused)):
        counts[f"ms {name}"] = seen.timings["total"]
    for person in always.people:
        box = person.face.box
        best = max(paused.people, key=lambda each: each.face.box.overlap(box), default=None)
        if best is not None and best.face.box.overlap(box) >= SAME:
            agree = best.probabilities.argmax() == person.probabilities.argmax()
            counts.update({"found": 1, "same label": int(agree), "overlap": best.face.box.overlap(box), "more": -1})
    return counts


if __name__ == "__main__":
    {"classify": classify, "search": search}[sys.argv[1]](*sys.argv[2:])
