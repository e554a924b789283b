"""Measures personal_baseline: python scripts/measure_baseline.py DATA [DATA …] [--model MODEL]

Plays sequences of simulated people, made of the val photos of each data set: a resting face, one neutral photo, for 4
to 12 s, then an expression, another photo, for 2 to 5 s, and so on. Each image is one of some views of the photo, with
other position, angle, scale, light and noise. Everything runs through the classifier and the filter of the package.
People with a bias have a resting photo that is not taken for neutral, or a constant added to the log-odds of a class.

Prints the share of images with the right label after the memory has filled: of all, of the resting face, and of the
expressions. The photos of a person are of different people, whose faces differ more than those of one person.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from emotion_ros.cli.markdown import markdown_table
from emotion_ros.config import PipelineConfig
from emotion_ros.inference.catalog import default_model, find_model
from emotion_ros.perception.baseline import neutral_index
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.filtering import EmotionFilter
from emotion_ros.training.data.datasets import read_split
from emotion_ros.training.evaluation.classifier_evaluation import probabilities, view_of

RATE_HZ, MEMORY_S, DURATION_S = 5.0, 60.0, 200.0
SETTLING_S = 100.0
"""Time after which labels count: expressions are held back, so the memory fills later than after MEMORY_S."""

PEOPLE, PHOTOS_PER_CLASS, VIEWS = 20, 60, 4
BIAS_LOG_ODDS = 3.0


def views(samples, rng):
    """Return the pictures as another image of the same face would show them."""
    pixels = samples.pixels.copy()
    size = pixels.shape[2]
    for index, picture in enumerate(samples.pixels.transpose(0, 2, 3, 1)):
        matrix = cv2.getRotationMatrix2D((size / 2, size / 2), rng.normal(0, 3), 1 + rng.normal(0, 0.04))
        matrix[:, 2] += rng.normal(0, 0.025 * size, 2)
        moved = cv2.warpAffine(picture, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE).reshape(picture.shape)
        lit = moved * (1 + rng.normal(0, 0.06)) + rng.normal(0, 4) + rng.normal(0, 4, picture.shape)
        pixels[index] = np.clip(lit, 0, 255).astype(np.uint8).transpose(2, 0, 1)
    return replace(samples, pixels=pixels)


def classified(data, classifier, rng):
    """Return the probabilities, photos × views × classes, and the label of each photo."""
    samples = read_split(data, "val", view_of(classifier.metadata, "auto"))
    names = np.array(samples.labels)
    chosen = [
        rng.permutation(np.flatnonzero(samples.classes == index))[:PHOTOS_PER_CLASS] for index in range(len(names))
    ]
    samples = samples.only(np.isin(np.arange(len(samples)), np.concatenate(chosen)))
    rows = [probabilities(classifier, views(samples, rng)) for _ in range(VIEWS)]
    return np.stack(rows, axis=1), names[samples.classes]


def sequence(outputs, labels, resting, rng):
    """Return probabilities and true label of each image of a person."""
    images, truth = [], []
    expressions = [label for label in sorted(set(labels)) if label != "neutral"]
    while len(images) < DURATION_S * RATE_HZ:
        label = rng.choice(expressions)
        parts = (
            ("neutral", resting, rng.uniform(4, 12)),
            (label, rng.choice(np.flatnonzero(labels == label)), rng.uniform(2, 5)),
        )
        for name, photo, seconds in parts:
            count = round(seconds * RATE_HZ)
            images += [outputs[photo, rng.integers(VIEWS)] for _ in range(count)]
            truth += [name] * count
    return np.array(images), np.array(truth)


def biased(images, classes, label):
    """Return the probabilities with :data:`BIAS_LOG_ODDS` added to the log-odds of a class."""
    raised = images * np.where(np.array(classes) == label, np.exp(BIAS_LOG_ODDS), 1.0)
    return np.asarray(raised / raised.sum(1, keepdims=True), np.float32)


def labelled(images, classes, memory):
    """Return the label of each image, filtered as the detector does."""
    emotions, config = EmotionFilter(neutral_index(classes)), PipelineConfig()
    labels = []
    for number, row in enumerate(images):
        emotions.update("a", row, 1.0, number / RATE_HZ, config.smoothing, memory)
        labels.append(emotions.update_label("a", classes, emotions.probabilities("a"), config.min_confidence))
    return np.array(labels)


def figures(people, classes, memory):
    """Return the accuracy of all images, of resting faces and of expressions, once the memory has filled."""
    right, resting = [], []
    for images, truth in people:
        late = np.arange(len(truth)) >= SETTLING_S * RATE_HZ
        right.append((labelled(images, classes, memory) == truth)[late])
        resting.append((truth == "neutral")[late])
    right, resting = np.concatenate(right), np.concatenate(resting)
    return right.mean(), right[resting].mean(), right[~resting].mean()


def rows(data, classifier):
    """Return a row of the table for each kind of people."""
    rng, classes = np.random.default_rng(0), classifier.metadata.labels
    outputs, labels = classified(data, classifier, rng)
    usual = np.array(classes)[np.median(outputs, axis=1).argmax(1)]
    ordinary = np.flatnonzero((labels == "neutral") & (usual == "neutral"))
    misread = np.flatnonzero((labels == "neutral") & (usual != "neutral"))
    kinds = {
        "resting face taken for neutral": (ordinary, None),
        "resting face taken for another expression": (misread, None),
        f"+{BIAS_LOG_ODDS:g} log-odds of angry": (ordinary, "angry"),
        f"+{BIAS_LOG_ODDS:g} log-odds of sad": (ordinary, "sad"),
    }
    for kind, (resting, bias) in kinds.items():
        people = [sequence(outputs, labels, rng.choice(resting), rng) for _ in range(PEOPLE)]
        if bias:
            people = [(biased(images, classes, bias), truth) for images, truth in people]
        cells = [", ".join(f"{value:.3f}" for value in figures(people, classes, memory)) for memory in (0.0, MEMORY_S)]
        yield [data.name, kind, *cells]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--model", help="a file or a name of the catalog; default: the one of the detector")
    parsed = parser.parse_args()
    classifier = EmotionClassifier(find_model(parsed.model) if parsed.model else default_model(), "cpu", 1)
    header = ["photos", "people", "off: all, resting, expressions", f"{MEMORY_S:g} s: all, resting, expressions"]
    print(markdown_table(header, [row for data in parsed.data for row in rows(data, classifier)]))


if __name__ == "__main__":
    main()
