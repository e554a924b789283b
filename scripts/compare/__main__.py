"""Compare this package with others: one run on the same frames and the same two cores, printed as Markdown tables.

compare PEERS OUT.json [--clip FILE_OR_FOLDER] [--data FER2013] [--seconds 1] [--minutes 10] [--only PART...]

PEERS is the folder of the compared packages, which `make compare` installs. Parts: library, classification, floors,
layers, node, ros, accuracy.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import floors
import layers
import library
import node
import numpy as np
from contender import NO_INTERVALS
from contender_process import ContenderProcess

from emotion_ros.cli.benchmark_pipeline import CROWDS, crowd_image
from emotion_ros.config import PipelineConfig
from emotion_ros.inference.catalog import find_model
from emotion_ros.nodes import graph_benchmark
from emotion_ros.perception.pipeline import Pipeline

MODELS = ("emotion_resnet18", "emotion_resnet18_int8")
CLASSIFICATION_FRAMES = 200


def main():
    """Measure the requested parts, print their tables and write the figures to a JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clip", default="")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    figures = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
    for part in arguments.only:
        if part == "accuracy" and not arguments.data:
            print("accuracy: skipped; it needs FER2013's folder (DATA=folder)")
            continue
        figures[part] = PARTS[part](arguments)
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
        print(TABLES[part](figures[part]), flush=True)


def classification(_):
    """Return the time of classification in the pipeline beside the bare call of ONNX Runtime, for each model."""
    import onnxruntime as ort

    figures = {}
    for model in MODELS:
        no_intervals = PipelineConfig(model=model, hands=False, **NO_INTERVALS)
        pipeline = Pipeline(no_intervals)
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = PipelineConfig.threads
        session = ort.InferenceSession(str(find_model(model)), settings, providers=["CPUExecutionProvider"])
        for count in CROWDS:
            pipeline.configure(no_intervals)
            figures[f"{model}, {count} {plural(count)}"] = crowd_figures(pipeline, session, count)
        pipeline.close()
    return figures


def plural(count):
    """Return the noun for a number of faces."""
    return "face" if count == 1 else "faces"


def crowd_figures(pipeline, session, count):
    """Measure a pipeline without intervals and the bare call alternately, then the pipeline with default intervals.

    Returns:
        Detected ``faces``; median milliseconds of classification with crops and preprocessing (``pipeline ms``) and of
        the bare call (``onnxruntime ms``), their ``ratio``; mean milliseconds with default intervals (``defaults ms``).
    """
    image, pixels = crowd_image(count), np.zeros((count, *session.get_inputs()[0].shape[1:]), np.float32)
    pipeline_ms, bare_ms, defaults_ms = [], [], []
    for number in range(CLASSIFICATION_FRAMES):
        perception = pipeline.perceive(image, number / 30)
        pipeline_ms.append(perception.timings["classify"])
        start = time.perf_counter()
        session.run(["output_0"], {"input_0": pixels})
        bare_ms.append(1000 * (time.perf_counter() - start))
    pipeline.configure(PipelineConfig(hands=False))
    for number in range(CLASSIFICATION_FRAMES, 2 * CLASSIFICATION_FRAMES):
        defaults_ms.append(pipeline.perceive(image, number / 30).timings["classify"])
    medians = statistics.median(pipeline_ms), statistics.median(bare_ms)
    return {
        "faces": len(perception.people),
        "pipeline ms": medians[0],
        "onnxruntime ms": medians[1],
        "ratio": medians[0] / medians[1],
        "defaults ms": statistics.fmean(defaults_ms),
    }


def ros(arguments):
    """Return latency and losses of the transport alone and of the graph at 30 Hz, briefly and for some minutes."""
    title = "image to EmotionArray, 640×480"
    return {
        "raw image, 640×480": graph_benchmark.transport((640, 480), use_profile=True),
        "raw image, 1280×720": graph_benchmark.transport((1280, 720), use_profile=True),
        title: graph_benchmark.graph("sample", graph_benchmark.RATE_HZ),
        f"{title}, {arguments.minutes:g} minutes": graph_benchmark.graph(
            "sample", graph_benchmark.RATE_HZ, 60 * arguments.minutes
        ),
    }


def accuracy(arguments):
    """Return the accuracy of this package's models and of fer's classifiers on FER2013's test split."""
    from emotion_ros.training.data.readers import pictures
    from emotion_ros.training.evaluation.classifier_evaluation import evaluate

    accuracies = {
        f"emotion_ros, {model}": evaluate(find_model(model), arguments.data, "test")["accuracy"] for model in MODELS
    }
    named = list(pictures(arguments.data, "test"))
    with tempfile.TemporaryDirectory() as folder:
        files = f"{folder}/pictures.npy", f"{folder}/labels.npy"
        np.save(files[0], np.stack([image[..., 0] for _, image in named]))
        np.save(files[1], np.array([name.split("/")[0] for name, _ in named]))
        for name in ("fer 25.10.3, Haar, TFLite", "fer 25.10.3, Haar, Keras"):
            accuracies[name] = ContenderProcess(arguments.peers, name, *files).first_response
    return accuracies


def classification_table(figures):
    """Return a Markdown table with one row per model and number of faces."""
    lines = [
        "",
        "| classification | all intervals 0, ms | bare ONNX Runtime, ms | ratio | default intervals, mean ms |",
        "| --- |" + " --- |" * 4,
    ]
    for name, results in figures.items():
        keys = "pipeline ms", "onnxruntime ms", "ratio", "defaults ms"
        lines.append(f"| {name} | " + " | ".join(f"{results[key]:.2f}" for key in keys) + " |")
    return "\n".join(lines)


def ros_table(figures):
    """Return a Markdown table of latencies and losses."""
    lines = [
        "",
        "| ROS, 30 Hz | p50 ms | p95 ms | pipeline: p50, p95 ms | images | lost |",
        "| --- |" + " --- |" * 5,
    ]
    for name, results in figures.items():
        pipeline = [f"{results[key]:.1f}" for key in graph_benchmark.PIPELINE_FIGURES if key in results]
        latencies = f"{results['p50_ms']:.1f}", f"{results['p95_ms']:.1f}", ", ".join(pipeline)
        cells = (name, *latencies, results["published"], results["dropped"])
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def accuracy_table(figures):
    """Return a Markdown table with one row per classifier."""
    lines = ["", "| FER2013 test | accuracy |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {value:.3f} |" for name, value in figures.items())])


PARTS = {
    "library": library.measure,
    "classification": classification,
    "floors": lambda _: floors.measure(),
    "layers": lambda _: layers.measure(),
    "node": lambda _: node.measure(),
    "ros": ros,
    "accuracy": accuracy,
}
TABLES = {
    "library": library.table,
    "classification": classification_table,
    "floors": floors.table,
    "layers": layers.table,
    "node": node.table,
    "ros": ros_table,
    "accuracy": accuracy_table,
}

if __name__ == "__main__":
    main()
