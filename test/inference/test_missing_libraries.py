"""Errors of inference on a machine without an optional library."""

import subprocess
import sys

import pytest


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


@pytest.mark.parametrize("error", ["ImportError", "TypeError"])  # TypeError: another version of protobuf
def test_hands_are_detected_without_a_mediapipe_that_works(tmp_path, error):
    (tmp_path / "mediapipe").mkdir()
    (tmp_path / "mediapipe" / "__init__.py").write_text(f"raise {error}('broken')")
    script = """
from emotion_ros.config import PipelineConfig
from emotion_ros.perception.loaded_models import create_hand_detector
print(type(create_hand_detector(PipelineConfig())).__name__)
"""
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}){script}"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == ("EmotionHands", "")
