"""Which layers of the networks take the time, by ONNX Runtime's profiler."""

import json
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime as ort

from emotion_ros.inference.catalog import default_face_model, find_model

RUNS, SHOWN = 50, 6


def layers(model, shape):
    """Kernels of a model for an input of that shape, one thread, slowest first: operator, output's shape, mean ms."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = 1
        settings.enable_profiling = True
        settings.profile_file_prefix = f"{folder}/profile"
        session = ort.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: np.random.default_rng(0).random(shape, np.float32) * 255}
        for _ in range(RUNS):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    spent, about = defaultdict(float), {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["name"]] += event["dur"] / 1000 / RUNS
            shapes = [next(iter(each.values())) for each in event["args"]["output_type_shape"]]
            about[event["name"]] = event["args"]["op_name"], shapes[0] if shapes else []
    return [(*about[name], ms) for name, ms in sorted(spent.items(), key=lambda pair: -pair[1])]


def measure():
    """Of each network that the robot may run."""
    classifiers = {name: (find_model(name), (1, 1, 48, 48)) for name in ("emotion_resnet18", "emotion_resnet18_int8")}
    models = {"emotion_faces, 640×480": (default_face_model(), (1, 3, 480, 640)), **classifiers}
    return {name: layers(*of) for name, of in models.items()}


def table(figures):
    """The slowest of each, and all."""
    lines = ["", "| network | all, ms | slowest kernels: output, ms |", "| --- | --- | --- |"]
    for name, found in figures.items():
        slow = "; ".join(f"{op} {'×'.join(map(str, shape[1:]))}: {ms:.2f}" for op, shape, ms in found[:SHOWN])
        lines.append(f"| {name} | {sum(ms for _, _, ms in found):.2f} | {slow} |")
    return "\n".join(lines)
