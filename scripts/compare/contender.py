"""Measures one contender on sequences of frames: contender.py NAME, then lines FRAMES.npy SECONDS on standard input.

Prints a line of JSON per sequence. Runs in this package's environment or in that of the peers, on two cores, in a
process of its own. contender.py NAME PICTURES.npy LABELS.npy prints the accuracy of fer's classifier.
"""

import json
import os
import statistics
import sys
import time

import numpy as np

WARM_UP_FRAMES, MIN_FRAMES = 3, 5
"""Frames before the measurement, and least number of measured frames."""

ALL = {"face_search_interval": 0.0, "classification_interval": 0.0, "max_classifications_per_image": 0}
"""Options with which each image is processed as if it were the first."""


def ours(model, hands, **more):
    """Return a maker of this package's pipeline as a library: faces, emotions, ids, and hands if ``hands``."""

    def make():
        from emotion_ros.config import PipelineConfig
        from emotion_ros.perception.pipeline import Pipeline

        threads = 1 if hands else 0  # hands have a thread of their own
        pipeline = Pipeline(PipelineConfig(model=model, hands=hands, threads=threads, **more))
        number = iter(range(10**9))

        def process(image):
            perception = pipeline.perceive(image, next(number) / 30)
            return len(perception.people), perception.timings

        return process

    return make


def mediapipe():
    """Return MediaPipe's face detection alone."""
    from emotion_ros.perception.detection import FACE_DETECTORS, FaceSettings

    detector = FACE_DETECTORS["mediapipe"](FaceSettings())
    return lambda image: (len(detector.detect(image, 0.5, 24)), {})


def fer(**options):
    """Return a maker of the package fer, used as in its README."""

    def make():
        model = fer_model(**options)

        def process(image):
            start = time.perf_counter()
            faces = model.find_faces(image)
            middle = time.perf_counter()
            model.detect_emotions(image, faces)
            end = time.perf_counter()
            return len(faces), {"faces": 1000 * (middle - start), "classify": 1000 * (end - middle)}

        return process

    return make


def fer_model(**options):
    """Return fer's model: of its newest version, or with MTCNN of the last version that needs no PyTorch."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if options.get("mtcnn"):
        sys.path.insert(0, os.environ["FER_WITH_MTCNN"])
    from fer.fer import FER

    return FER(**options)


CONTENDERS = {
    "emotion_ros, float32": ours("emotion_resnet18", False),
    "emotion_ros, float32, hands": ours("emotion_resnet18", True),
    "emotion_ros, int8": ours("emotion_resnet18_int8", False),
    "emotion_ros, int8, hands": ours("emotion_resnet18_int8", True),
    "emotion_ros, int8, all of each image": ours("emotion_resnet18_int8", False, **ALL),
    "fer 25.10.3, Haar, TFLite": fer(),
    "fer 25.10.3, Haar, Keras": fer(use_tflite=False),
    "fer 22.4.0, MTCNN, Keras": fer(mtcnn=True),
    "MediaPipe, faces alone": lambda: mediapipe(),
}


def measure(process, frames, seconds):
    """Return frames per second, mean milliseconds per stage, CPU time and faces per frame, over some seconds."""
    for image in frames[:WARM_UP_FRAMES]:
        process(image)
    spans, stages, faces = [], [], 0
    begin, before = time.perf_counter(), time.process_time()
    while time.perf_counter() - begin < seconds or len(spans) < MIN_FRAMES:
        start = time.perf_counter()
        count, timings = process(frames[len(spans) % len(frames)])
        spans.append(1000 * (time.perf_counter() - start))
        faces += count
        stages.append({name: span for name, span in timings.items() if name != "total"})
    return {
        "frames/s": len(spans) / (time.perf_counter() - begin),
        "ms": statistics.median(spans),
        "stages": {name: statistics.fmean(each.get(name, 0.0) for each in stages) for name in sorted({*stages[-1]})},
        "cpu ms": 1000 * (time.process_time() - before) / len(spans),
        "faces": faces / len(spans),
    }


def peak_mib():
    """Return the peak memory of this process in MiB; getrusage would include its parent's at the time of the fork."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


def accuracy(name, pictures, labels):
    """Return the accuracy of fer's classifier on grey pictures, n × 48 × 48, resized as fer does."""
    import cv2

    model = fer_model(use_tflite="TFLite" in name)
    if not hasattr(model, "_get_labels"):
        raise SystemExit("expected a version of fer with _get_labels")
    names = model._get_labels()
    inputs = np.stack([cv2.resize(each, (64, 64)) for each in pictures]).astype(np.float32) / 127.5 - 1
    parts = [np.asarray(model._classify_emotions(inputs[start : start + 64])) for start in range(0, len(inputs), 64)]
    predicted = [names[index] for index in np.concatenate(parts).argmax(1)]
    return float(np.mean([a == b for a, b in zip(predicted, labels, strict=True)]))


def main(name, *files):
    """Run a contender; see the top of this file."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    if files:
        print(json.dumps(accuracy(name, np.load(files[0]), np.load(files[1]).tolist())))
        return
    process, largest = CONTENDERS[name](), 0
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        file, seconds = line.split()
        frames = np.load(file)
        largest = max(largest, frames.nbytes)
        figures = measure(process, frames, float(seconds))
        figures["peak MiB"] = peak_mib() - largest / 2**20
        del frames
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
