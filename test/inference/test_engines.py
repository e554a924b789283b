"""TensorRT engines on a simulated GPU: providers, cache, the session in use during a build, failed builds."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import onnxruntime as ort
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from fake_gpu import FakeGpu
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from emotion_ros.cli.benchmark_networks import DeviceSpec, min_time_ms
from emotion_ros.config import PipelineConfig
from emotion_ros.errors import OutputError, ProviderError
from emotion_ros.inference import ort_session
from emotion_ros.inference.cache_folder import create_engine_folder, default_cache
from emotion_ros.inference.catalog import default_model
from emotion_ros.nodes.detector_node import Detector
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.pipeline import Pipeline


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """A function that replaces this machine by one with a GPU."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    machines = []

    def replace(**options):
        machines.append(FakeGpu(**options))
        monkeypatch.setattr(ort_session, "ort", machines[-1])
        return machines[-1]

    yield replace
    for machine in machines:
        machine.may_build.set()


def test_the_model_runs_on_cuda_until_the_engine_is_ready(gpu, portrait, classifier):
    machine = gpu()
    ours = EmotionClassifier(default_model(), "tensorrt")
    expected = classifier.classify([portrait])
    assert ours.provider == "cuda"
    assert ours.engine_status.startswith("building TensorRT engine for 0 s")
    assert ours.classify([portrait]) == pytest.approx(expected, abs=1e-4)
    machine.may_build.set()
    ours.wait_until_ready(20)
    assert (ours.provider, ours.engine_status) == ("tensorrt", "")
    assert ours.classify([portrait] * 3) == pytest.approx(np.repeat(expected, 3, 0), abs=1e-4)


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_cuda_whose_libraries_are_missing_is_refused_or_reported(monkeypatch):
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]  # as listed by onnxruntime-gpu without its libraries
    monkeypatch.setattr(ort, "get_available_providers", lambda: providers)
    with pytest.raises(ProviderError, match="CUDA could not be loaded"):
        EmotionClassifier(default_model(), "cuda")
    ours = EmotionClassifier(default_model(), "auto")
    assert ours.provider == "cpu"
    assert ours.engine_status.startswith("running on cpu: CUDA could not be loaded")


def test_an_engine_is_kept_per_model_device_and_version_for_all_numbers_of_faces(gpu, tmp_path):
    machine = gpu()
    ours = EmotionClassifier(default_model(), "auto")
    machine.may_build.set()
    ours.wait_until_ready(20)
    options = dict(machine.opened[-1])["TensorrtExecutionProvider"]
    assert options["trt_engine_cache_enable"] == options["trt_fp16_enable"] == options["trt_timing_cache_enable"] == "1"
    assert options["trt_engine_cache_path"].startswith(str(tmp_path / "cache" / "emotion_ros"))
    assert os.path.isdir(options["trt_engine_cache_path"])
    assert ort.__version__ in options["trt_engine_cache_path"]
    shapes = [options[f"trt_profile_{name}_shapes"] for name in ("min", "opt", "max")]
    assert shapes == ["input_0:1x3x96x96", "input_0:2x3x96x96", "input_0:16x3x96x96"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"failure": RuntimeError("out of GPU memory\nmore")}, "out of GPU memory"),
        ({"left_out": True}, "library path"),
    ],
)
def test_a_failed_engine_build_leaves_the_model_on_cuda(gpu, options, reason, portrait, classifier):
    gpu(**options).may_build.set()
    ours = EmotionClassifier(default_model(), "tensorrt")
    ours.wait_until_ready(20)
    assert ours.provider == "cuda"
    assert ours.engine_status.startswith("TensorRT engine could not be built, running on cuda: ")
    assert reason in ours.engine_status
    assert "more" not in ours.engine_status
    assert ours.classify([portrait]) == pytest.approx(classifier.classify([portrait]), abs=1e-4)


def test_a_cache_that_cannot_be_written_leaves_the_model_on_cuda(gpu, monkeypatch, portrait):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    gpu().may_build.set()
    ours = EmotionClassifier(default_model(), "tensorrt")
    ours.wait_until_ready(20)
    assert ours.provider == "cuda"
    assert "set XDG_CACHE_HOME" in ours.engine_status
    assert ours.classify([portrait]).shape == (1, 7)


def test_gpu_memory_is_allocated_once_per_number_of_faces(gpu, portrait, classifier):
    machine = gpu(left_out=True)
    ours = EmotionClassifier(default_model(), "cuda")
    machine.allocations.clear()
    bright = np.full_like(portrait, 200)
    for crops in ([portrait] * 3, [portrait] * 5, [bright] * 3, [bright] * 5):
        assert ours.classify(crops) == pytest.approx(classifier.classify(crops), abs=1e-4)
    assert machine.allocations == [(3, 3, 96, 96), (5, 3, 96, 96)]


def test_a_pipeline_runs_while_engines_are_built_and_keeps_its_people(gpu, portrait):
    machine = gpu()
    pipeline = Pipeline(PipelineConfig(hands=False, provider="tensorrt"))
    (before,) = pipeline.perceive(portrait, 0.0).people
    assert set(pipeline.models.engine_status) == {"classifier", "faces", "face landmarks", "eyes"}
    machine.may_build.set()
    deadline = time.monotonic() + 20
    while pipeline.models.engine_status and time.monotonic() < deadline:
        time.sleep(0.02)
    assert pipeline.models.engine_status == {}
    (after,) = pipeline.perceive(portrait, 0.1).people
    assert (after.id, after.label) == (before.id, "happy")
    pipeline.close()


def test_a_user_without_a_home_folder_caches_engines_in_a_temporary_folder(tmp_path):
    """A container may run as a user id that has no entry in the password database."""
    code = "from emotion_ros.inference.cache_folder import default_cache; print(default_cache())"
    hidden = "import pwd\ndef missing(uid):\n    raise KeyError(uid)\npwd.getpwuid = missing\n"
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    environment["TMPDIR"] = str(tmp_path)
    result = subprocess.run(
        [sys.executable, "-c", hidden + code], env=environment, capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == f"{tmp_path}/emotion_ros-{os.getuid()}", result.stderr


def test_a_temporary_cache_is_private_and_named_in_the_log(tmp_path, monkeypatch, caplog):
    cache = tmp_path / f"emotion_ros-{os.getuid()}"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    create_engine_folder(cache / "engine")
    assert (cache / "engine").is_dir()
    assert cache.stat().st_mode & 0o777 == 0o700
    assert str(cache) in caplog.text


def test_a_temporary_cache_that_others_can_write_to_is_refused(tmp_path, monkeypatch):
    """Its engines would run as this user."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache = tmp_path / f"emotion_ros-{os.getuid()}"
    cache.mkdir()
    cache.chmod(0o777)
    with pytest.raises(OutputError, match="nobody else"):
        create_engine_folder(cache / "engine")


def test_the_usual_cache_is_in_the_users_cache_folder(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/robot")
    assert str(default_cache()) == "/home/robot/.cache/emotion_ros"


@pytest.fixture
def detector(gpu, listener):
    """A node of this process on a simulated GPU that waits with its engines."""
    gpu()
    # The first import of mediapipe keeps an error, in whose traceback the node would live on.
    node = Detector(parameter_overrides=[Parameter("hands", value=False)])
    node.start()
    yield node
    node.stop()
    node.destroy_node()


@pytest.fixture
def until(detector, listener):
    """A function that spins the detector and the listener until a condition is true."""
    executor = SingleThreadedExecutor()
    executor.add_node(detector)

    def spin(condition):
        deadline = time.monotonic() + 20
        while not condition() and time.monotonic() < deadline:
            executor.spin_once(0.02)
            rclpy.spin_once(listener.node, timeout_sec=0.02)
        return condition()

    return spin


def test_diagnostics_report_the_engine_build_while_the_node_runs(detector, until, listener, capfd):
    reports = listener.hear(DiagnosticArray, "/diagnostics")
    assert until(lambda: reports and "building TensorRT engine" in reports[-1].status[0].message)
    assert reports[-1].status[0].level == DiagnosticStatus.WARN
    ort_session.ort.may_build.set()
    assert until(lambda: reports[-1].status[0].level == DiagnosticStatus.OK)
    values = {entry.key: entry.value for entry in reports[-1].status[0].values}
    assert values["provider"] == "tensorrt"
    assert not any(name.startswith("engine of") for name in values)
    assert "classifier: the TensorRT engine runs" in capfd.readouterr().err


def test_an_engine_whose_network_is_gone_is_not_said_to_run(detector, until, listener, capfd):
    reports = listener.hear(DiagnosticArray, "/diagnostics")

    def report_without_engines():
        reports.clear()
        return until(lambda: reports and "TensorRT" not in reports[-1].status[0].message)

    assert until(lambda: reports and "building TensorRT engine" in reports[-1].status[0].message)
    assert detector.set_parameters([Parameter("provider", value="cuda")])[0].successful
    assert report_without_engines()
    assert detector.set_parameters([Parameter("provider", value="tensorrt")])[0].successful
    assert until(lambda: "building TensorRT engine" in reports[-1].status[0].message)
    detector.trigger_deactivate()
    detector.trigger_cleanup()
    assert report_without_engines()
    assert "engine runs" not in capfd.readouterr().err


@pytest.mark.timeout(300)
def test_benchmark_of_a_provider_is_a_table_with_what_devices_could_do(command_line, tmp_path):
    result = command_line("benchmark", "--provider", "cpu", "--out", tmp_path / "gpu.json", timeout=240)
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
    assert min_time_ms(slow, 2) == pytest.approx(2 * min_time_ms(slow, 1)) == pytest.approx(1332.4)
    assert min_time_ms(fast, 8) == min_time_ms(fast, 1) == pytest.approx(22.405)
