"""Time of each kernel of the networks, by ONNX Runtime's profiler."""

import json
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime as ort

from emotion_ros.inference.catalog import default_face_model, find_model

PROFILED_RUNS = 50
"""Runs over which kernel times are averaged."""

SHOWN_KERNELS = 6
"""Kernels per network in the table."""


def kernel_times(model, shape):
    """Profile a model on one thread.

    Args:
        model: path of the ONNX file.
        shape: of its input.

    Returns:
        Operator, shape of the output and mean milliseconds of each kernel, slowest first.
    """
    total_ms, kernels = defaultdict(float), {}
    for event in profile(model, shape):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name, outputs = event["name"], event["args"]["output_type_shape"]
            total_ms[name] += event["dur"] / 1000
            kernels[name] = event["args"]["op_name"], next(iter(outputs[0].values())) if outputs else []
    slowest_first = sorted(total_ms.items(), key=lambda item: -item[1])
    return [(*kernels[name], total / PROFILED_RUNS) for name, total in slowest_first]


def profile(model, shape):
    """Return the profiler's events of :data:`PROFILED_RUNS` runs on random pixels of 0…255.

    ``shape``: of the input; None: one picture of the model's own shape.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = 1
        settings.enable_profiling = True
        settings.profile_file_prefix = f"{folder}/profile"
        session = ort.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
        model_input = session.get_inputs()[0]
        pixels = np.random.default_rng(0).random(shape or (1, *model_input.shape[1:]), np.float32) * 255
        for _ in range(PROFILED_RUNS):
            session.run(None, {model_input.name: pixels})
        return json.loads(Path(session.end_profiling()).read_text())


def measure():
    """Return the kernel times of the face network and both classifiers."""
    classifiers = {name: (find_model(name), None) for name in ("emotion_resnet18", "emotion_resnet18_int8")}
    models = {"emotion_faces, 640×480": (default_face_model(), (1, 3, 480, 640)), **classifiers}
    return {name: kernel_times(model, shape) for name, (model, shape) in models.items()}


def table(figures):
    """Return a Markdown table: total time and slowest kernels of each network."""
    lines = ["", "| network | total, ms | slowest kernels: output, ms |", "| --- | --- | --- |"]
    for name, kernels in figures.items():
        slowest = "; ".join(
            f"{operator} {'×'.join(map(str, shape[1:]))}: {ms:.2f}" for operator, shape, ms in kernels[:SHOWN_KERNELS]
        )
        lines.append(f"| {name} | {sum(ms for _, _, ms in kernels):.2f} | {slowest} |")
    return "\n".join(lines)
