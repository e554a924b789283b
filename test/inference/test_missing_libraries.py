"""Errors of inference on a machine without an optional library."""

import subprocess
import sys


def test_missing_litert_is_named_with_how_to_install_it(tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(b"not read without LiteRT")
    script = f"""
import pathlib, sys
sys.modules["ai_edge_litert"] = None  # as if it were not installed
from emotion_ros.errors import ModelError
from emotion_ros.perception.emotion.classifier import EmotionClassifier
try:
    EmotionClassifier(pathlib.Path({str(model)!r}))
except ModelError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "pip install ai-edge-litert, or use an ONNX model" in result.stdout, result.stderr
    assert len(result.stdout.splitlines()) == 1
