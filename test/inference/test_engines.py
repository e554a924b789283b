"""TensorRT without a GPU: what it is asked for, what runs meanwhile, what is said, and what happens when it fails."""

import json
import time

import numpy as np
import onnxruntime as ort
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from fake_gpu import FakeGpu
from rclpy.executors import SingleThreadedExecutor

from emotion_ros.cli.benchmark_networks import DeviceSpec, floor_ms
from emotion_ros.config import PipelineConfig
from emotion_ros.inference import ort_session as inference
from emotion_ros.inference.catalog import default_model
from emotion_ros.inference.ort_session import Session
from emotion_ros.nodes.detector_node import Detector
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.pipeline import Pipeline


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """A function that puts a machine with a GPU in the place of this one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = inference._Running._placed
    made = []

    def on_cpu(running, name, values):  # the only device that is here
        running._device = "cpu"
        return place(running, name, values)

    monkeypatch.setattr(inference._Running, "_placed", on_cpu)

    def put(**how):
        made.append(FakeGpu(**how))
        monkeypatch.setattr(inference, "ort", made[-1])
        return made[-1]

    yield put
    for each in made:
        each.may_build.set()


def test_the_model_runs_on_cuda_until_the_engine_is_ready(gpu, portrait, classifier):
    fake = gpu()
    ours = EmotionClassifier(default_model(), "tensorrt")
    expected = classifier.classify([portrait])
    assert ours.provider == "cuda"
    assert ours.engine.startswith("TensorRT engine in the making for 0 s")
    assert ours.classify([portrait]) == pytest.approx(expected, abs=1e-4)
    fake.may_build.set()
    ours._session.session.wait(20)
    assert (ours.provider, ours.engine) == ("tensorrt", "")
    assert ours.classify([portrait] * 3) == pytest.approx(np.repeat(expected, 3, 0), abs=1e-4)


def test_an_engine_is_kept_per_model_device_and_version_for_all_numbers_of_faces(gpu, tmp_path):
    fake = gpu()
    EmotionClassifier(default_model(), "auto")
    fake.may_build.set()
    options = dict(fake.opened[-1])["TensorrtExecutionProvider"]
    assert options["trt_engine_cache_enable"] == options["trt_fp16_enable"] == options["trt_timing_cache_enable"] == "1"
    assert options["trt_engine_cache_path"].startswith(str(tmp_path / "cache" / "emotion_ros"))
    assert ort.__version__ in options["trt_engine_cache_path"]
    shapes = [options[f"trt_profile_{name}_shapes"] for name in ("min", "opt", "max")]
    assert shapes == ["input_0:1x1x48x48", "input_0:2x1x48x48", "input_0:16x1x48x48"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"failure": RuntimeError("out of GPU memory\nmore")}, "out of GPU memory"),
        ({"left_out": True}, "library path"),
    ],
)
def test_where_no_engine_can_be_made_the_model_goes_on_where_it_is(gpu, how, reason, portrait, classifier):
    gpu(**how).may_build.set()
    ours = EmotionClassifier(default_model(), "tensorrt")
    ours._session.session.wait(20)
    assert ours.provider == "cuda"
    assert ours.engine.startswith("no TensorRT engine could be made, cuda instead: ")
    assert reason in ours.engine
    assert "more" not in ours.engine
    assert ours.classify([portrait]) == pytest.approx(classifier.classify([portrait]), abs=1e-4)


def test_inputs_are_copied_to_the_same_place_again_and_again(portrait, classifier):
    real = ort.InferenceSession(str(default_model()), providers=["CPUExecutionProvider"])
    running = inference._Running(real, "cpu")
    rng = np.random.default_rng(0)
    for count in (1, 2, 1, 2):
        pixels = rng.standard_normal((count, 1, 48, 48)).astype(np.float32)
        (bound,), (plain,) = running.run(["output_0"], {"input_0": pixels}), real.run(["output_0"], {"input_0": pixels})
        assert np.array_equal(bound, plain)
    assert len(running._places) == 2


def test_a_pipeline_never_waits_for_an_engine_and_loses_nothing(gpu, portrait):
    fake = gpu()
    pipeline = Pipeline(PipelineConfig(hands=False, provider="tensorrt"))
    (before,) = pipeline.perceive(portrait, 0.0).people
    assert set(pipeline.engines) == {"classifier", "faces"}
    fake.may_build.set()
    for session in (pipeline.classifier._session.session, pipeline._loaded.faces._session):
        assert isinstance(session, Session)
        session.wait(20)
    assert pipeline.engines == {}
    (after,) = pipeline.perceive(portrait, 0.1).people
    assert (after.id, after.label) == (before.id, "happy")
    pipeline.close()


def test_node_tells_of_the_engine_while_it_serves(gpu, listener):
    fake = gpu()
    told = listener.hear(DiagnosticArray, "/diagnostics")
    detector = Detector()
    executor = SingleThreadedExecutor()
    executor.add_node(detector)

    def until(condition):
        deadline = time.monotonic() + 20
        while not condition() and time.monotonic() < deadline:
            executor.spin_once(0.02)
            rclpy.spin_once(listener.node, timeout_sec=0.02)
        return condition()

    try:
        detector.start()
        assert until(lambda: told and "in the making" in told[-1].status[0].message)
        assert told[-1].status[0].level == DiagnosticStatus.WARN
        fake.may_build.set()
        assert until(lambda: told[-1].status[0].level == DiagnosticStatus.OK)
        values = {each.key: each.value for each in told[-1].status[0].values}
        assert values["provider"] == "tensorrt"
        assert not any(name.startswith("engine of") for name in values)
    finally:
        detector.stop()
        detector.destroy_node()


def test_benchmark_of_a_provider_is_a_table_with_what_devices_could_do(command_line, tmp_path):
    result = command_line("benchmark", "--provider", "cpu", "--out", tmp_path / "gpu.json")
    assert result.returncode == 0, result.stderr
    rows = [line.split(" | ") for line in result.stdout.splitlines() if line.startswith("| emotion_resnet18 ")]
    assert rows[0][1] == "cpu"
    figures = json.loads((tmp_path / "gpu.json").read_text())
    assert 0 < figures["emotion_resnet18"]["1 faces ms"] < figures["emotion_resnet18"]["16 faces ms"]
    assert figures["emotion_faces"]["640×480 ms"] > 0
    assert "Jetson Orin Nano" in result.stdout
    refused = command_line("benchmark", "--provider", "tensorrt")
    assert refused.returncode == 1
    assert "onnxruntime-gpu" in refused.stderr


def test_no_device_is_faster_than_its_memory_or_its_arithmetic():
    slow, fast = DeviceSpec(0.001, 1000.0), DeviceSpec(1000.0, 1.0)
    assert floor_ms(slow, 2) == pytest.approx(2 * floor_ms(slow, 1)) == pytest.approx(1252.8)
    assert floor_ms(fast, 8) == floor_ms(fast, 1) == pytest.approx(22.345)
