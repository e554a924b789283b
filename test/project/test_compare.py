"""Parts of `make compare`: image sequences, a contender in its own process, counted operations, profiled kernels."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS / "compare"))


def test_contender_detects_the_faces_of_a_sequence_and_measures_their_cost(tmp_path):
    from sequence import FACE_COUNTS, SIZES, sequence

    assert FACE_COUNTS == (0, 1, 2, 4, 8)
    frames = sequence(2, SIZES[0])
    assert frames.shape == (30, 480, 640, 3)
    assert not np.array_equal(frames[0], frames[10])
    np.save(tmp_path / "two.npy", frames)
    command = [sys.executable, str(SCRIPTS / "compare" / "contender.py"), "emotion_ros, int8"]
    request = f"{tmp_path / 'two.npy'} 0.1\n"
    completed = subprocess.run(command, input=request, capture_output=True, text=True, timeout=60, check=True)
    ready, figures = (json.loads(line) for line in completed.stdout.splitlines())
    assert ready == "ready"
    assert figures["faces"] == pytest.approx(2, abs=0.1)
    assert 0.5 < 1000 / figures["frames/s"] / figures["ms"] < 5  # a mean, with the pauses of the machine, and a median
    assert set(figures["stages"]) >= {"faces", "classify", "people"}
    assert figures["cpu ms"] > 1
    assert 100 < figures["peak MiB"] < 500


def test_operations_of_a_network_are_counted():
    script, model = SCRIPTS / "count_operations.py", SCRIPTS.parent / "models" / "emotion_resnet18.onnx"
    command = [sys.executable, str(script), str(model), "2", "3", "96", "96"]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert completed.stdout.startswith("666.2 million multiply-accumulates, 44.81 MB")


def test_kernels_of_a_network_are_timed():
    from layers import kernel_times, table

    kernels = kernel_times(SCRIPTS.parent / "models" / "emotion_faces.onnx", (1, 3, 96, 128))
    times = [ms for _, _, ms in kernels]
    assert times == sorted(times, reverse=True)
    assert times[-1] > 0
    assert sum(operator == "Conv" for operator, _, _ in kernels) == 40
    assert [1, 16, 48, 64] in [shape for _, shape, _ in kernels]
    assert table({"faces": kernels}).splitlines()[-1].startswith(f"| faces | {sum(times):.2f} | ")
