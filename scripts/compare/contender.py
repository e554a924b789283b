"""One contender of the comparison, in a process of its own: contender.py NAME.

Reads lines "FRAMES.npy SECONDS" from standard input and writes a line of JSON for each: first "ready", then figures.
contender.py NAME PICTURES.npy LABELS.npy writes the accuracy of fer's classifier instead. Runs on two cores, in this
package's environment or in that of the compared packages.
"""

import json
import os
import statistics
import sys
import time

import numpy as np

WARM_UP_FRAMES = 3
MIN_FRAMES = 5
"""Frames that are timed even if they take longer than the requested seconds."""

NO_INTERVALS = {"face_search_interval": 0.0, "classification_interval": 0.0, "max_classifications_per_image": 0}
"""Settings with which the whole image is searched and every face is classified in every image."""

FER_BATCH_SIZE = 64
FER_INPUT_SIZE_PX = 64
CORES = 2


def emotion_ros(model, hands, **settings):
    """Return a factory of this package's pipeline: faces, emotions, ids, and hands if requested."""

    def create():
        from emotion_ros.config import PipelineConfig
        from emotion_ros.perception.pipeline import Pipeline

        threads = 1 if hands else 0  # hands are detected in a second thread
        pipeline = Pipeline(PipelineConfig(model=model, hands=hands, threads=threads, **settings))
        numbers = iter(range(10**9))

        def process(image):
            perception = pipeline.perceive(image, next(numbers) / 30)
            return len(perception.people), perception.timings

        return process

    return create


def mediapipe():
    """Create MediaPipe's face detector."""
    from emotion_ros.perception.detection import FACE_DETECTORS, FaceSettings

    detector = FACE_DETECTORS["mediapipe"](FaceSettings())
    return lambda image: (len(detector.detect(image, 0.5, 24)), {})


def fer(**options):
    """Return a factory of fer, used as in its README."""

    def create():
        model = fer_model(**options)

        def process(image):
            start = time.perf_counter()
            faces = model.find_faces(image)
            detected = time.perf_counter()
            model.detect_emotions(image, faces)
            end = time.perf_counter()
            return len(faces), {"faces": 1000 * (detected - start), "classify": 1000 * (end - detected)}

        return process

    return create


def fer_model(**options):
    """Load fer; with MTCNN the last version that has it without PyTorch, from the folder in FER_WITH_MTCNN."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if options.get("mtcnn"):
        sys.path.insert(0, os.environ["FER_WITH_MTCNN"])
    from fer.fer import FER

    return FER(**options)


CONTENDERS = {
    "emotion_ros, float32": emotion_ros("emotion_resnet18", False),
    "emotion_ros, float32, hands": emotion_ros("emotion_resnet18", True),
    "emotion_ros, int8": emotion_ros("emotion_resnet18_int8", False),
    "emotion_ros, int8, hands": emotion_ros("emotion_resnet18_int8", True),
    "emotion_ros, int8, all intervals 0": emotion_ros("emotion_resnet18_int8", False, **NO_INTERVALS),
    "fer 25.10.3, Haar, TFLite": fer(),
    "fer 25.10.3, Haar, Keras": fer(use_tflite=False),
    "fer 22.4.0, MTCNN, Keras": fer(mtcnn=True),
    "MediaPipe, faces only": mediapipe,
}
"""Name to a factory of a function: image to number of faces and milliseconds per stage."""


def measure(process, frames, seconds):
    """Measure a contender on frames, repeated for ``seconds``.

    Returns:
        ``frames/s``; median ``ms`` per frame; mean milliseconds of ``stages``; mean ``cpu ms`` and ``faces`` per frame.
    """
    for image in frames[:WARM_UP_FRAMES]:
        process(image)
    durations, stages, faces = [], [], 0
    start, cpu_start = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds or len(durations) < MIN_FRAMES:
        frame_start = time.perf_counter()
        count, timings = process(frames[len(durations) % len(frames)])
        durations.append(1000 * (time.perf_counter() - frame_start))
        faces += count
        stages.append({stage: ms for stage, ms in timings.items() if stage != "total"})
    return {
        "frames/s": len(durations) / (time.perf_counter() - start),
        "ms": statistics.median(durations),
        "stages": {stage: statistics.fmean(times.get(stage, 0.0) for times in stages) for stage in sorted(stages[-1])},
        "cpu ms": 1000 * (time.process_time() - cpu_start) / len(durations),
        "faces": faces / len(durations),
    }


def peak_memory_mib():
    """Return the peak resident memory of this process. getrusage's value includes the parent's memory at the fork."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


def fer_accuracy(name, pictures, labels):
    """Return fer's share of correct labels.

    Args:
        name: contender.
        pictures: n × 48 × 48, uint8; resized and normalised as in fer.
        labels: n names of classes.
    """
    import cv2

    model = fer_model(use_tflite="TFLite" in name)
    if not hasattr(model, "_get_labels"):
        raise SystemExit("fer: expected a model with _get_labels, got none; install fer 25.10.3 (make compare)")
    classes, size = model._get_labels(), (FER_INPUT_SIZE_PX, FER_INPUT_SIZE_PX)
    inputs = np.stack([cv2.resize(picture, size) for picture in pictures]).astype(np.float32) / 127.5 - 1
    starts = range(0, len(inputs), FER_BATCH_SIZE)
    outputs = [np.asarray(model._classify_emotions(inputs[start : start + FER_BATCH_SIZE])) for start in starts]
    predictions = [classes[index] for index in np.concatenate(outputs).argmax(1)]
    return float(np.mean([prediction == label for prediction, label in zip(predictions, labels, strict=True)]))


def main(name, *files):
    """Serve requests from standard input; see the top of this file."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    if files:
        print(json.dumps(fer_accuracy(name, np.load(files[0]), np.load(files[1]).tolist())))
        return
    process, max_frame_bytes = CONTENDERS[name](), 0
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        file, seconds = line.split()
        frames = np.load(file)
        max_frame_bytes = max(max_frame_bytes, frames.nbytes)
        figures = measure(process, frames, float(seconds))
        figures["peak MiB"] = peak_memory_mib() - max_frame_bytes / 2**20
        del frames
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
