"""Measure the effect of intervals: cadence.py classify FER2013 [PEOPLE], or cadence.py search PICTURES.

classify: simulates people whose expression changes every two seconds; each image of a person is a test picture of that
class. Prints the share of correct labels for several limits of classifications per image and classification intervals.
Classifier, schedule and filter are those of the pipeline.

search: pans a camera over each picture of a folder at several speeds. Compares faces and labels between a search of the
whole image in every image and one every face_search_interval seconds.
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

RATE_HZ = 30.0

DURATION_S = 120.0
"""Simulated time."""

EXPRESSION_DURATION_S, EXPRESSION_STAGGER_S = 2.0, 0.1
"""Time for which the first person keeps an expression, and how much longer each further one does."""

CADENCES = ((0, 0.0), (0, 0.05), (0, 0.1), (4, 0.0), (2, 0.0), (2, 0.05), (1, 0.0))
"""Maximum classifications per image (0: unlimited) and classification interval in seconds."""

CLASSES = ("happy", "neutral", "sad", "surprise", "angry")

SPEEDS = (0.25, 0.5, 1.0, 2.0)
"""Speeds of the camera in image widths per second."""

VIEW_COUNT = 13
"""Images per pan."""

VIEW_SIZE = (640, 480)
PICTURE_WIDTH_PX = 800

MIN_OVERLAP = 0.4
"""Intersection over union from which two faces are the same."""


def classify(data, people="8"):
    """Print share of correct labels and delay for each of :data:`CADENCES`."""
    classifier = EmotionClassifier(default_model(), "cpu")
    samples = read_split(Path(data), "test", view_of(classifier.metadata, "auto"))
    outputs = probabilities(classifier, samples)
    pools = {label: outputs[samples.classes == samples.labels.index(label)] for label in CLASSES}
    for limit, interval in CADENCES:
        config = PipelineConfig(max_classifications_per_image=limit, classification_interval=interval)
        correct, delay_s = simulate(int(people), pools, classifier.metadata.labels, config)
        print(f"{limit or 'all'} of {people} per image, classification_interval {interval:g} s: ", end="")
        print(f"{correct:.3f} of the labels correct, a change is visible after {delay_s:.2f} s", flush=True)


class Actor:
    """A simulated person whose expression changes at fixed intervals.

    Args:
        index: number of the person; determines how long an expression lasts.
        rng: chooses expressions and pictures.
    """

    def __init__(self, index, rng):
        self.id = f"p{index}"
        self._duration_s = EXPRESSION_DURATION_S + EXPRESSION_STAGGER_S * index
        self._rng = rng
        self.expression, self.changed_at, self.is_change_visible = "", 0.0, True

    def act(self, stamp):
        """Change the expression if it is time."""
        if self.expression and stamp - self.changed_at < self._duration_s:
            return
        self.expression = str(self._rng.choice([label for label in CLASSES if label != self.expression]))
        self.changed_at, self.is_change_visible = stamp, False

    def classify(self, pools):
        """Return the classifier's output for a random picture of the expression."""
        return self._rng.choice(pools[self.expression])

    def delay(self, label, stamp):
        """Return the seconds since the last change if the label shows it for the first time, else None."""
        if self.is_change_visible or label != self.expression:
            return None
        self.is_change_visible = True
        return stamp - self.changed_at


def simulate(people, pools, labels, config):
    """Simulate people before a camera.

    Args:
        people: number of people.
        pools: class to the classifier's outputs for its test pictures, n × labels.
        labels: of the classifier.
        config: limit, interval, smoothing and minimum confidence.

    Returns:
        Share of correct labels, and median seconds until a new expression is first the label.
    """
    rng, emotions = np.random.default_rng(0), EmotionFilter()
    actors, correct, delays = [Actor(index, rng) for index in range(people)], [], []
    for stamp in np.arange(int(RATE_HZ * DURATION_S)) / RATE_HZ:
        for actor in actors:
            actor.act(stamp)
        ids = [actor.id for actor in actors]
        selected = select_for_classification(ids, emotions.last_classified, stamp, config)
        for actor in actors:
            output = actor.classify(pools)
            if actor.id in selected:
                emotions.update(actor.id, output, 1.0, stamp, config.smoothing)
            filtered = emotions.probabilities(actor.id)
            label = emotions.update_label(actor.id, labels, filtered, config.min_confidence)
            correct.append(label == actor.expression)
            if (delay := actor.delay(label, stamp)) is not None:
                delays.append(delay)
    return float(np.mean(correct)), float(np.median(delays))


def search(folder):
    """Print detections, labels and speed with face_search_interval, relative to none, for each of :data:`SPEEDS`."""
    images = [image for file in sorted(Path(folder).iterdir()) if (image := cv2.imread(str(file))) is not None]
    pipelines = [create_pipeline(interval) for interval in (0.0, PipelineConfig.face_search_interval)]
    for speed in SPEEDS:
        counts = Counter()
        for image in images:
            counts.update(compare_pan(*pipelines, image, speed))
        faces = max(counts["faces"], 1)
        ratio = counts["ms every image"] / counts["ms with interval"]
        print(f"{speed:g} widths/s: {counts['faces']} faces; with face_search_interval ", end="")
        print(
            f"{counts['found'] / faces:.4f} are found, {counts['same label'] / faces:.4f} with the same label, ", end=""
        )
        print(f"mean overlap {counts['overlap'] / faces:.3f}, {counts['others']} others; {ratio:.2f} times as fast")


def create_pipeline(face_search_interval):
    """Load a pipeline without hands and without a classification interval."""
    config = PipelineConfig(hands=False, face_search_interval=face_search_interval, classification_interval=0.0)
    return Pipeline(config)


def compare_pan(every_image, with_interval, image, speed):
    """Return the counts of :func:`compare` over a pan; both pipelines start without history."""
    every_image.reset()
    with_interval.reset()
    counts = Counter()
    for stamp, view in pan(image, speed):
        counts.update(compare(every_image.perceive(view, stamp), with_interval.perceive(view, stamp)))
    return counts


def pan(image, speed):
    """Yield stamp and view, BGR, 480 × 640 × 3, of a camera that moves over a picture to the right and back.

    Args:
        image: BGR, uint8; is scaled to :data:`PICTURE_WIDTH_PX`.
        speed: view widths per second.
    """
    width, height = VIEW_SIZE
    wide = cv2.resize(image, (PICTURE_WIDTH_PX, round(image.shape[0] * PICTURE_WIDTH_PX / image.shape[1])))
    wide = cv2.copyMakeBorder(wide, 0, max(height - wide.shape[0], 0), 0, 0, cv2.BORDER_REPLICATE)
    period = 2 * (PICTURE_WIDTH_PX - width)
    for number in range(VIEW_COUNT):
        travelled = speed * width * number / RATE_HZ % period
        left = round(min(travelled, period - travelled))
        yield number / RATE_HZ, np.ascontiguousarray(wide[:height, left : left + width])


def compare(every_image, with_interval):
    """Compare the perceptions of one image.

    Returns:
        ``faces`` of the first; of these ``found`` in the second, ``same label``, and the sum of ``overlap``; ``others``
        that only the second has; milliseconds of both.
    """
    counts = Counter({"faces": len(every_image.people), "others": len(with_interval.people)})
    counts["ms every image"] = every_image.timings["total"]
    counts["ms with interval"] = with_interval.timings["total"]
    for person in every_image.people:
        match = max(with_interval.people, key=lambda other: overlap(other, person), default=None)
        if match is not None and overlap(match, person) >= MIN_OVERLAP:
            same = match.probabilities.argmax() == person.probabilities.argmax()
            counts.update({"found": 1, "same label": int(same), "overlap": overlap(match, person), "others": -1})
    return counts


def overlap(first, second):
    """Return the intersection over union of two people's faces."""
    return first.face.box.overlap(second.face.box)


if __name__ == "__main__":
    {"classify": classify, "search": search}[sys.argv[1]](*sys.argv[2:])
