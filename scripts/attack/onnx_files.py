"""ONNX files with hostile graphs, tried as a detector tries them."""

import json
import os
import resource
import traceback

import onnx
from mutation import EXTREMES, mutate_bytes
from onnx import TensorProto, helper
from target import Target, mutations, temporary_folder

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import EmotionRosError
from emotion_ros.inference.ort_session import METADATA_KEY
from emotion_ros.perception.emotion.emotion_model import EmotionModel
from emotion_ros.perception.model_trial import try_models

FILE = temporary_folder() / "model.onnx"
REASON = FILE.with_name("reason.txt")

MAX_CPU_S = 20
"""Processor time of a child, four times the bound of an input: no child outlives a worker that is killed."""

OPERATORS = (
    "Identity",
    "Expand",
    "Tile",
    "Gather",
    "Reshape",
    "Conv",
    "MatMul",
    "Resize",
    "Pad",
    "Loop",
    "NonZero",
    "Exp",
)


def classifier():
    """Return a tiny classifier with metadata, as bytes."""
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("MatMul", ["column", "weights"], ["plain"]),
        helper.make_node("Expand", ["plain", "shape"], ["logits"]),
    ]
    tensors = [
        helper.make_tensor("weights", TensorProto.FLOAT, (1, 2), [1.0, 1.0]),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("shape", TensorProto.INT64, [2], [1, 2]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ("batch", 1, 8, 8))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: json.dumps({"labels": ["no", "yes"], "size": 8})})
    return model.SerializeToString()


def mutate_model(content, random):
    """Return a model with one to three changes of its graph, or of its bytes."""
    if random.random() < 0.3:
        return mutate_bytes(content, random)
    model = onnx.load_from_string(content)
    for _ in range(random.randint(1, 3)):
        random.choice(CHANGES)(model.graph, random)
    return model.SerializeToString()


def _change_operator(graph, random):
    random.choice(graph.node).op_type = random.choice(OPERATORS)


def _change_names(graph, random):
    node = random.choice(graph.node)
    names = random.choice((node.input, node.output))
    if names:
        names[random.randrange(len(names))] = random.choice(
            ("pixels", "mean", "plain", "logits", "weights", "nothing", "")
        )


def _change_shape(graph, random):
    value = random.choice((graph.input[0], graph.output[0])).type.tensor_type
    value.elem_type = random.choice((1, 1, 7, 8, 9, 11))
    if value.shape.dim:
        random.choice(value.shape.dim).dim_value = random.choice((0, -1, 1, 30_000, *EXTREMES))


def _change_tensor(graph, random):
    tensor = random.choice(graph.initializer)
    if tensor.data_type == TensorProto.INT64:
        tensor.int64_data[random.randrange(len(tensor.int64_data))] = random.choice(
            (-1, 0, 20_000, 10**6, 2**40, 2**62)
        )
    else:
        tensor.float_data[0] = random.choice((float("nan"), float("inf"), 1e38, 0.0))
    if random.random() < 0.3:
        tensor.dims[0] = random.choice((0, 2, 10**6, 2**40))


def _move_tensor_out(graph, random):
    """Let a tensor be in another file, which the model may not read."""
    tensor = random.choice(graph.initializer)
    tensor.data_location = TensorProto.EXTERNAL
    place = random.choice(("/etc/passwd", "../../../etc/passwd", "/dev/zero", "none"))
    for key, value in (("location", place), ("offset", "0"), ("length", str(random.choice(EXTREMES)))):
        tensor.external_data.add(key=key, value=value)


def _repeat_node(graph, random):
    graph.node.add().CopyFrom(random.choice(graph.node))


CHANGES = (_change_operator, _change_names, _change_shape, _change_tensor, _move_tensor_out, _repeat_node)


def models(number):
    """Yield the classifier and changes of it."""
    yield from mutations(mutate_model, [classifier()], number)


CRASH = 2
"""Exit code of a child in which an exception is raised that is none of this package."""


def _load_in_child(content):
    """Load a model in a child, as a trial does, without the start of a Python. A child that ends is a refusal."""
    FILE.write_bytes(content)
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
        os._exit(_load())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == CRASH:
        raise AssertionError(REASON.read_text())
    return code == 0


def _load():
    """Load the model; return the exit code of the child."""
    try:
        EmotionModel(PipelineConfig(model=str(FILE), provider="cpu"))
        return 0
    except EmotionRosError as error:
        if len(str(error).splitlines()) == 1:
            return 1
        REASON.write_text(f"several lines: {error!r}")
    except BaseException:
        REASON.write_text(traceback.format_exc())
    return CRASH


def _try(content):
    FILE.write_bytes(content)
    try_models(PipelineConfig(model=str(FILE)), {"model"})


TARGETS = {
    "load ONNX models (in children)": Target(models, _load_in_child, (), 2_000, 5.0, None),
    "try ONNX models as the detector does": Target(models, _try, (EmotionRosError,), 40, 10.0, None),
}
