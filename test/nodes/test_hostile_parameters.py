"""Parameter requests that try to end, block or blind a detector that runs."""

import json
import signal
import sys
import time

import onnx
import pytest
from emotion_ros.msg import EmotionArray
from onnx import TensorProto, helper
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically

from emotion_ros.inference.ort_session import METADATA_KEY
from emotion_ros.nodes.graph import Process
from emotion_ros.perception.model_trial import TRIAL_TIMEOUT_S

BASE = {"labels": ["no", "yes"], "size": 8}

TRIAL_S = 40
"""Time for a response. A repeated request would be refused while the first one is tried."""


def write_model(path, metadata, nodes=(), constants=(), shape=("batch", 1, 8, 8)):
    """A tiny classifier; ``nodes`` come between its logits, ``plain``, and its output, ``logits``."""
    chain = [
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("MatMul", ["column", "weights"], ["plain" if nodes else "logits"]),
        *nodes,
    ]
    tensors = [
        helper.make_tensor("weights", TensorProto.FLOAT, (1, 2), [1.0, 1.0]),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        *constants,
    ]
    graph = helper.make_graph(
        chain,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, path)
    return str(path)


def endless(path):
    """A model that runs 10^15 steps."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        ],
    )
    constants = [
        helper.make_tensor("count", TensorProto.INT64, [], [10**15]),
        helper.make_tensor("true", TensorProto.BOOL, [], [True]),
    ]
    return write_model(
        path, BASE, [helper.make_node("Loop", ["count", "true", "plain"], ["logits"], body=body)], constants
    )


def expanding(path):
    """A model whose output passes through 3.2 GB."""
    nodes = [
        helper.make_node("Expand", ["plain", "shape"], ["large"]),
        helper.make_node("ReduceMax", ["large"], ["logits"], axes=[0], keepdims=0),
    ]
    return write_model(path, BASE, nodes, [helper.make_tensor("shape", TensorProto.INT64, [3], [20_000, 20_000, 2])])


def request(name, value):
    values = {"string_value": value, "type": ParameterType.PARAMETER_STRING}
    return SetParameters.Request(parameters=[Parameter(name=name, value=ParameterValue(**values))])


@pytest.fixture
def running(listener, start):
    """A detector that processes five images per second; its process, and the list of its messages."""
    detector = start("detector", hands=False)
    start("image_source", source="sample", loop=True, rate=5.0)
    heard = listener.hear(EmotionArray, "emotions", depth=500)
    assert listener.until(lambda: len(heard) > 2, 40)
    return detector, heard


def cases(folder):
    """Parameter, value, and a part of the reason with which the value is refused."""
    (folder / "deep.yaml").write_text("[" * 5000)
    (folder / "secret.yaml").write_text("user: [hunter2]\n")
    yield "no_such", "", "expected a parameter of /detector, got 'no_such'"
    yield "label_map", "{a: 2024-99-99}", "expected classes of the model"
    yield "label_map", '{"\\ud800": [happy]}', "printable"
    yield "gesture_emotions", '{"\\ud800": happy}', "expected one of"
    yield "prior", "!!int x", "tag"
    yield "model", "m" * 300, "found no such file"
    yield "model", "m" * 100_000, "at most 16384 characters"
    yield "model", "no\0model", "found no such file"  # ROS ends a text at a NUL
    yield "gestures", str(folder / "deep.yaml"), "levels"
    yield "gestures", str(folder / "secret.yaml"), "expected some of fingers"
    yield "gestures", "/dev/zero", "expected a text file"
    yield "model", write_model(folder / "integers.onnx", {**BASE, "labels": [1, 2]}), "list of texts"
    yield "model", write_model(folder / "null.onnx", "null"), "expected an object"
    yield "model", write_model(folder / "texts.onnx", {**BASE, "mean": ["0.5"]}), "finite numbers"
    yield "model", write_model(folder / "margin.onnx", {**BASE, "margin": 1e9}), "margin"
    yield "model", write_model(folder / "huge.onnx", BASE, shape=("batch", 1, 30_000, 30_000)), "30000 × 30000"
    yield "model", expanding(folder / "expand.onnx"), "ONNXRuntimeError"


@pytest.mark.timeout(300)
def test_values_that_cannot_be_used_are_refused_in_one_line_while_images_are_processed(listener, running, tmp_path):
    detector, heard = running
    for name, value, reason in cases(tmp_path):
        heard.clear()
        (result,) = listener.call(SetParameters, "detector/set_parameters", request(name, value), TRIAL_S).results
        assert not result.successful, (name, value[:80])
        assert reason in result.reason
        assert len(result.reason.splitlines()) == 1
        assert "hunter2" not in result.reason
        assert listener.until(lambda: heard and heard[-1].emotions), f"silent after {name}: {value[:80]}"
        assert heard[-1].emotions[0].label == "happy"
    assert detector.poll() is None


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("hands", "maybe", "to 'maybe' of type 'STRING', expecting type 'BOOL'"), ("threads", -5, "(-5)")],
)
def test_node_that_starts_with_a_value_that_cannot_be_used_ends_with_one_line(spawn, name, value, text):
    node = spawn(*Process("detector", {name: value}).command())
    assert node.wait(60) == 1
    (line,) = node.stderr.read().splitlines()
    assert line.startswith(f"emotion_ros: parameter {name} (")
    assert text in line


def test_request_of_a_type_that_does_not_exist_is_refused(listener, running):
    detector, heard = running
    bad = Parameter(name="model", value=ParameterValue(type=99))
    (result,) = listener.call(
        SetParameters, "detector/set_parameters", SetParameters.Request(parameters=[bad]), TRIAL_S
    ).results
    assert not result.successful
    both = SetParametersAtomically.Request(parameters=[request("label_map", "{joy: [happy]}").parameters[0], bad])
    assert not listener.call(
        SetParametersAtomically, "detector/set_parameters_atomically", both, TRIAL_S
    ).result.successful
    heard.clear()
    assert listener.until(lambda: heard and heard[-1].emotions)
    assert heard[-1].emotions[0].label == "happy"
    assert detector.poll() is None


def test_other_nodes_too_survive_a_request_of_a_type_that_does_not_exist(listener, start):
    source = start("image_source", source="sample", loop=True, rate=5.0)
    client = listener.node.create_client(SetParameters, "image_source/set_parameters")
    assert client.wait_for_service(20)
    listener.settle()
    bad = Parameter(name="rate", value=ParameterValue(type=99))
    client.call_async(SetParameters.Request(parameters=[bad]))
    listener.until(lambda: False, 1)
    assert listener.call(SetParameters, "image_source/set_parameters", request("rate", "fast")).results
    assert source.poll() is None


@pytest.mark.timeout(120)
def test_model_that_never_ends_is_given_up_while_images_are_processed(listener, running, tmp_path):
    _, heard = running
    client = listener.node.create_client(SetParameters, "detector/set_parameters")
    assert client.wait_for_service(20)
    answer = client.call_async(request("model", endless(tmp_path / "endless.onnx")))
    listener.until(lambda: False, 2)
    heard.clear()
    (other,) = listener.call(
        SetParameters, "detector/set_parameters", request("label_map", "{joy: [happy]}"), TRIAL_S
    ).results
    assert "another change of the models is being tried" in other.reason
    assert listener.until(answer.done, TRIAL_TIMEOUT_S + 10)
    (result,) = answer.result().results
    assert not result.successful
    assert "within 30 s" in result.reason
    assert len(heard) > TRIAL_TIMEOUT_S  # of five per second


SINGLE_THREADED = """
import sys
from emotion_ros.nodes import spin
from emotion_ros.perception import model_trial
model_trial.TRIAL_TIMEOUT_S = 6.0
spin.EventsExecutor = None  # as in Humble and Jazzy
from emotion_ros.nodes.detector_node import main
sys.exit(main())
"""


def test_images_are_processed_during_a_trial_with_the_executor_of_older_distributions(listener, spawn, start, tmp_path):
    spawn(sys.executable, "-c", SINGLE_THREADED, "--ros-args", "-p", "hands:=false")
    start("image_source", source="sample", loop=True, rate=5.0)
    heard = listener.hear(EmotionArray, "emotions", depth=500)
    assert listener.until(lambda: len(heard) > 2, 40)
    client = listener.node.create_client(SetParameters, "detector/set_parameters")
    assert client.wait_for_service(20)
    answer = client.call_async(request("model", endless(tmp_path / "endless.onnx")))
    listener.until(lambda: False, 1)
    heard.clear()
    assert listener.until(answer.done, 20)
    assert "expected models that load and run within" in answer.result().results[0].reason
    assert len(heard) > 5  # of 25


def test_node_that_is_interrupted_during_a_trial_ends_at_once(listener, running, tmp_path):
    detector, _ = running
    client = listener.node.create_client(SetParameters, "detector/set_parameters")
    assert client.wait_for_service(20)
    client.call_async(request("model", endless(tmp_path / "endless.onnx")))
    listener.until(lambda: False, 2)
    detector.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    assert detector.wait(20) == 0
    assert time.monotonic() - begin < 10  # within 3 s on a free machine; the trial would take 30
