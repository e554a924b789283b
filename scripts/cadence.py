"""Accuracy with fewer classifications and fewer face searches: cadence.py classify FER2013 [PEOPLE], search PICTURES.

classify: simulates people whose expression changes about every two seconds; each image of a person is a test picture of
that class. Prints the share of correct published labels and the delay until a change is published, for several values
of max_classifications_per_image and classification_interval. Classifier and filter are those of the robot.

search: pans a camera over each picture of a folder, at several speeds. Compares the faces and labels of a search of the
whole image every face_search_interval seconds with those of a search of each image.
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
from emotion_ros.training.data.datasets import read_split
from emotion_ros.training.evaluation.classifier_evaluation import probabilities, view_of

RATE_HZ, DURATION_S, EXPRESSION_S = 30.0, 120.0, 2.0
SCHEDULES = ((0, 0.0), (0, 0.05), (0, 0.1), (4, 0.0), (2, 0.0), (2, 0.05), (1, 0.0))
"""Values of max_classifications_per_image and classification_interval."""

SPEEDS, VIEWS, MIN_OVERLAP = (0.25, 0.5, 1.0, 2.0), 13, 0.4
"""Image widths per second, images per picture, and overlap of boxes that are the same face."""

CLASSES = ("happy", "neutral", "sad", "surprise", "angry")


def classify(data, people="8"):
    """Print a line per schedule."""
    classifier = EmotionClassifier(default_model(), "cpu")
    samples = read_split(Path(data), "test", view_of(classifier.metadata, "auto"))
    predictions = probabilities(classifier, samples)
    ids = [f"p{index}" for index in range(int(people))]
    labels = classifier.metadata.labels
    for max_faces, interval in SCHEDULES:
        accuracy, delay = simulate(max_faces, interval, ids, samples, predictions, labels)
        print(f"{max_faces or 'all'} of {people} per image, each at most every {interval:g} s: ", end="")
        print(f"{accuracy:.3f} of labels correct, {delay:.2f} s until a change is published")


def simulate(max_faces, interval, ids, samples, predictions, labels):
    """Return the share of correct labels, and the median seconds until a new expression is first published."""
    rng, smoother, config = np.random.default_rng(0), EmotionFilter(), PipelineConfig()
    rows = {label: np.flatnonzero(samples.classes == samples.labels.index(label)) for label in CLASSES}
    truth, since, correct, delays = dict.fromkeys(ids, ""), dict.fromkeys(ids, 0.0), [], []
    waiting = set()
    for number in range(int(RATE_HZ * DURATION_S)):
        stamp = number / RATE_HZ
        for index, id in enumerate(ids):
            if truth[id] == "" or stamp - since[id] >= EXPRESSION_S + 0.1 * index:
                truth[id] = str(rng.choice([label for label in CLASSES if label != truth[id]]))
                since[id] = stamp
                waiting.add(id)
        images = {id: predictions[rng.choice(rows[truth[id]])] for id in ids}
        due = smoother.due(ids, stamp, max_faces, interval)
        for id in ids:
            shown = smoother.smooth(id, images[id], 1.0, stamp, config.smoothing) if id in due else smoother.shown(id)
            label = smoother.label(id, labels, shown, config.min_confidence, config.label_hysteresis)
            correct.append(label == truth[id])
            if label == truth[id] and id in waiting:
                waiting.discard(id)
                delays.append(stamp - since[id])
    return float(np.mean(correct)), float(np.median(delays))


def search(folder):
    """Print a line per speed."""
    images = [image for file in sorted(Path(folder).iterdir()) if (image := cv2.imread(str(file))) is not None]
    intervals = 0.0, PipelineConfig.face_search_interval
    pipelines = [
        Pipeline(PipelineConfig(hands=False, face_search_interval=interval, classification_interval=0.0))
        for interval in intervals
    ]
    for speed in SPEEDS:
        tally = Counter()
        for image in images:
            for pipeline in pipelines:
                pipeline.forget()
            for stamp, view in pan(image, speed):
                every_image, at_interval = (pipeline.perceive(view, stamp) for pipeline in pipelines)
                tally.update(compare(every_image, at_interval))
        shares = {name: tally[name] / max(tally["faces"], 1) for name in ("found", "same label", "overlap")}
        ratio = tally["ms every image"] / tally["ms at interval"]
        print(f"{speed:g} widths/s: {tally['faces']} faces, of which ", end="")
        print(
            f"{shares['found']:.4f} are found at the interval, {shares['same label']:.4f} with the same label, ", end=""
        )
        print(f"mean overlap {shares['overlap']:.3f}, {tally['more']} others; {ratio:.2f} times as fast")


def pan(image, speed):
    """Yield stamps and images of 640×480 of a camera that moves over a picture, there and back.

    The speed is in widths of the image per second.
    """
    wide = cv2.resize(image, (800, round(image.shape[0] * 800 / image.shape[1])))
    wide = cv2.copyMakeBorder(wide, 0, max(480 - wide.shape[0], 0), 0, 0, cv2.BORDER_REPLICATE)
    for number in range(VIEWS):
        distance = speed * 640 * number / RATE_HZ % 320
        left = round(min(distance, 320 - distance))
        yield number / RATE_HZ, np.ascontiguousarray(wide[:480, left : left + 640])


def compare(every_image, at_interval):
    """Return counts for one image."""
    counts = Counter(faces=len(every_image.people), more=len(at_interval.people))
    for name, perception in (("every image", every_image), ("at interval", at_interval)):
        counts[f"ms {name}"] = perception.timings["total"]
    for person in every_image.people:
        box = person.face.box
        best = max(at_interval.people, key=lambda other: other.face.box.overlap(box), default=None)
        if best is not None and best.face.box.overlap(box) >= MIN_OVERLAP:
            agree = best.probabilities.argmax() == person.probabilities.argmax()
            counts.update({"found": 1, "same label": int(agree), "overlap": best.face.box.overlap(box), "more": -1})
    return counts


if __name__ == "__main__":
    {"classify": classify, "search": search}[sys.argv[1]](*sys.argv[2:])
