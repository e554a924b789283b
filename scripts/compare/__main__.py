"""This package beside what people use today, in one run on the same frames and the same two cores, as tables.

compare PEERS OUT.json [--clip FILE_OR_FOLDER] [--data FER2013] [--seconds 1] [--minutes 10] [--only PART...]

PEERS is the folder that `make compare` sets up. Parts: library, classification, floors, layers, node, ros, accuracy.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import contender
import floors
import layers
import node
import numpy as np
from sequence import COUNTS, SIZES, clip, sequence

from emotion_ros.cli.benchmark_pipeline import CROWDS, crowd_image
from emotion_ros.config import PipelineConfig
from emotion_ros.inference.catalog import find_model
from emotion_ros.nodes import graph_benchmark as ros
from emotion_ros.perception.pipeline import Pipeline

OURS = ("emotion_resnet18", "emotion_resnet18_int8")
ROUNDS, ROUNDS_OF_ALL = 200, 3
HERE = Path(__file__).parent


def main():
    """Run what is asked for, print tables and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clip", default="")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    figures = json.loads(asked.out.read_text()) if asked.out.is_file() else {}
    for part in asked.only:
        if part == "accuracy" and not asked.data:
            print("accuracy: not measured; give FER2013's folder (DATA=folder)")
            continue
        figures[part] = PARTS[part](asked)
        asked.out.write_text(json.dumps(figures, indent=2) + "\n")
        print(TABLES[part](figures[part]), flush=True)


def library(asked):
    """Each contender on each sequence, in turn, several times: medians, so that what else runs here hits all alike."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, frames in sequences(asked.clip):
            paths[name] = f"{folder}/{len(paths)}.npy"
            np.save(paths[name], frames)
        running = {name: Running(asked.peers, name) for name in contender.CONTENDERS}
        rounds = []
        for number in range(ROUNDS_OF_ALL):
            print(f"{time.strftime('%H:%M:%S')} round {number + 1} of {ROUNDS_OF_ALL}", file=sys.stderr, flush=True)
            rounds.append(
                {
                    (name, sequence): each.ask(f"{path} {asked.seconds}")
                    for sequence, path in paths.items()
                    for name, each in running.items()
                }
            )
        for each in running.values():
            each.close()
    return {name: {one: middle([turn[name, one] for turn in rounds]) for one in paths} for name in running}


def sequences(source):
    """Names and frames."""
    for size in SIZES:
        for count in COUNTS:
            yield f"{size[0]}×{size[1]}, {count} faces", sequence(count, size)
    if source:
        yield f"{Path(source).name}, 640×480", clip(source)


def middle(figures):
    """Median of each figure."""
    first = figures[0]
    return {
        key: middle([each[key] for each in figures])
        if isinstance(first[key], dict)
        else statistics.median(each[key] for each in figures)
        for key in first
    }


class Running:
    """A contender in the environment it needs."""

    def __init__(self, peers, name, *arguments):
        theirs = name.startswith("fer")
        python = peers.absolute() / "bin" / "python" if theirs else sys.executable
        settings = {**os.environ, "FER_WITH_MTCNN": str(peers / "mtcnn")}
        if theirs:  # its packages are not ours
            settings = {key: value for key, value in settings.items() if key not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
        command = [str(python), str(HERE / "contender.py"), name, *arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._name, self._process = name, subprocess.Popen(command, env=settings, text=True, **pipes)
        self.ready = self._answer()

    def ask(self, line):
        """What it answers to a line."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self):
        """Let it end."""
        self._process.stdin.close()
        self._process.wait()

    def _answer(self):
        for line in self._process.stdout:
            if line.startswith(("{", "[", '"', "0", "1")):
                return json.loads(line)
        raise SystemExit(f"{self._name} ended without an answer; run {HERE / 'contender.py'} by hand to see why")


def classification(_):
    """Crops, preprocessing, the model and what is made of its answer beside the bare call of ONNX Runtime, in turn."""
    import onnxruntime as ort

    figures = {}
    for model in OURS:
        everything = PipelineConfig(model=model, hands=False, **contender.ALL)
        pipeline = Pipeline(everything)
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = PipelineConfig.threads
        bare = ort.InferenceSession(str(find_model(model)), settings, providers=["CPUExecutionProvider"])
        for count in CROWDS:
            image, pixels = crowd_image(count), np.zeros((count, 1, 48, 48), np.float32)
            ours, theirs, cadence = [], [], []
            for number in range(ROUNDS):
                seen = pipeline.perceive(image, number / 30)
                ours.append(seen.timings["classify"])
                begin = time.perf_counter()
                bare.run(["output_0"], {"input_0": pixels})
                theirs.append(1000 * (time.perf_counter() - begin))
            pipeline.configure(PipelineConfig(hands=False))
            for number in range(ROUNDS, 2 * ROUNDS):
                cadence.append(pipeline.perceive(image, number / 30).timings["classify"])
            pipeline.configure(everything)
            medians = [float(np.median(each)) for each in (ours, theirs)]
            figures[f"{model}, {count} faces"] = {
                "found": len(seen.people), "ours ms": medians[0], "bare ms": medians[1],
                "ratio": medians[0] / medians[1], "by default ms": float(np.mean(cadence)),
            }  # fmt: skip
        pipeline.close()
    return figures


def over_ros(asked):
    """The transport alone, the graph at 30 Hz, and for how long no image is lost."""
    return {
        "raw image, 640×480": ros.transport((640, 480), use_profile=True),
        "raw image, 1280×720": ros.transport((1280, 720), use_profile=True),
        "image to EmotionArray, 640×480": ros.graph("sample", 30.0),
        f"the same for {asked.minutes:g} minutes": ros.graph("sample", 30.0, 60 * asked.minutes),
    }


def accuracy(asked):
    """On FER2013's test split: ours as the robot runs it, and fer's classifiers on the same pictures."""
    from emotion_ros.training.data.readers import pictures
    from emotion_ros.training.evaluation.classifier_evaluation import evaluate

    found = {f"emotion_ros, {model}": evaluate(find_model(model), asked.data, "test")["accuracy"] for model in OURS}
    named = list(pictures(asked.data, "test"))
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/pictures.npy", np.stack([image[..., 0] for _, image in named]))
        np.save(f"{folder}/labels.npy", np.array([name.split("/")[0] for name, _ in named]))
        for name in ("fer 25.10.3, Haar, TFLite", "fer 25.10.3, Haar, Keras"):
            found[name] = Running(asked.peers, name, f"{folder}/pictures.npy", f"{folder}/labels.npy").ready
    return found


def library_table(found):
    """Frames per second, and what one frame costs where one face is in view."""
    sequences = list(next(iter(found.values())))
    lines = ["", "Frames/s:", "", "| | " + " | ".join(sequences) + " |", "| --- |" + " --- |" * len(sequences)]
    for name, figures in found.items():
        lines.append(f"| {name} | " + " | ".join(f"{figures[each]['frames/s']:.1f}" for each in sequences) + " |")
    one, many = "640×480, 1 faces", "640×480, 8 faces"
    lines += [
        "",
        "| 640×480 | ms of each stage, one face | CPU ms per frame, 1 and 8 faces | faces found of 8 | peak MiB |",
    ]
    lines += ["| --- | --- | --- | --- | --- |"]
    for name, figures in found.items():
        stages = ", ".join(f"{stage} {span:.1f}" for stage, span in figures[one]["stages"].items())
        lines.append(
            f"| {name} | {stages or format(figures[one]['ms'], '.1f')} | {figures[one]['cpu ms']:.1f}, "
            f"{figures[many]['cpu ms']:.1f} | {figures[many]['faces']:.1f} | {figures[many]['peak MiB']:.0f} |"
        )
    return "\n".join(lines)


def classification_table(figures):
    """Ours beside the bare call."""
    lines = [
        "",
        "| classification | classified: all, ms | bare ONNX Runtime, ms | ratio | by default, mean ms |",
    ]
    lines += ["| --- | --- | --- | --- | --- |"]
    for name, each in figures.items():
        spans = f"{each['ours ms']:.2f} | {each['bare ms']:.2f} | {each['ratio']:.2f} | {each['by default ms']:.2f}"
        lines.append(f"| {name} | {spans} |")
    return "\n".join(lines)


def ros_table(figures):
    """Milliseconds and losses."""
    lines = [
        "",
        "| ROS, 30 Hz | p50 ms | p95 ms | the pipeline in it: p50, p95 ms | images | lost |",
        "| --- |" + " --- |" * 5,
    ]
    for name, each in figures.items():
        alone = [f"{each[key]:.1f}" for key in ("pipeline_p50_ms", "pipeline_p95_ms") if key in each]
        spans = f"{each['p50_ms']:.1f}", f"{each['p95_ms']:.1f}", ", ".join(alone)
        row = (name, *spans, each["published"], each["dropped"])
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def accuracy_table(figures):
    """One line each."""
    lines = ["", "| FER2013 test | accuracy |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {value:.3f} |" for name, value in figures.items())])


PARTS = {
    "library": library,
    "classification": classification,
    "floors": lambda _: floors.measure(),
    "layers": lambda _: layers.measure(),
    "node": lambda _: node.measure(),
    "ros": over_ros,
    "accuracy": accuracy,
}
TABLES = {
    "library": library_table,
    "classification": classification_table,
    "floors": floors.table,
    "layers": layers.table,
    "node": node.table,
    "ros": ros_table,
    "accuracy": accuracy_table,
}

if __name__ == "__main__":
    main()
