"""What it costs in accuracy to classify few of many faces per image: cadence.py FER2013 [PEOPLE].

People whose expression changes every two seconds, each image of them a test picture of that class: shown labels against
the truth, for several numbers of faces that are classified in an image. Classifier and smoother are the robot's.
"""

import sys
from pathlib import Path

import numpy as np

from emotion_ros.catalog import default_model
from emotion_ros.classification.classifier import EmotionClassifier
from emotion_ros.config import PipelineConfig
from emotion_ros.tracking import Smoother
from emotion_ros.training.datasets import read_split
from emotion_ros.training.evaluate import probabilities, view_of

RATE, SECONDS, CHANGE = 30.0, 120.0, 2.0
CLASSES = ("happy", "neutral", "sad", "surprise", "angry")


def main(data, people="8"):
    """A line for each number of faces."""
    classifier = EmotionClassifier(default_model(), "cpu")
    samples = read_split(Path(data), "test", view_of(classifier.contract, "auto"))
    found = probabilities(classifier, samples, "")
    ids = [f"p{index}" for index in range(int(people))]
    labels = classifier.contract.labels
    for most in (0, 8, 4, 2, 1):
        right, delay = show(most, ids, samples, found, labels)
        print(
            f"{most or 'all'} of {people} per image: {right:.3f} of labels right, {delay:.2f} s until a change is seen"
        )


def show(most, ids, samples, found, labels):
    """Share of right labels, and median seconds until a new expression is first shown."""
    rng, smoother, config = np.random.default_rng(0), Smoother(), PipelineConfig()
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
        due = smoother.due(ids, most)
        for id in ids:
            shown = smoother.smooth(id, pictures[id], 1.0, stamp, config.smoothing) if id in due else smoother.shown(id)
            label = smoother.label(id, labels, shown, config.confidence_floor, config.label_margin)
            right.append(label == wanted[id])
            if label == wanted[id] and id in waiting:
                waiting.discard(id)
                delays.append(stamp - since[id])
    return float(np.mean(right)), float(np.median(delays))


if __name__ == "__main__":
    main(*sys.argv[1:])
