import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from emotion_ros.config import PipelineConfig
from emotion_ros.config.user_text import read_text_file
from emotion_ros.errors import ConfigError, ModelError, ProviderError
from emotion_ros.inference.providers import prefers_int8, select_providers
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.emotion.emotion_model import EmotionModel
from emotion_ros.perception.emotion.metadata import METADATA_KEY, ModelMetadata
from emotion_ros.perception.gesture_rules import read_gestures

SHAPES = (1, 1, 48, 48), (2, 1, 48, 48), (16, 1, 48, 48)
ALL = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


def write(path, metadata, outputs=2, shape=("batch", 1, 8, 8), value=1.0):
    """A tiny real model: the mean of the pixels, times one weight per output."""
    weights = np.full((1, outputs), value, np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=list(range(1, len(shape))), keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("MatMul", ["column", "weights"], ["logits"]),
    ]
    constants = [
        helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel()),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", outputs])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if metadata:
        helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    onnx.save(model, str(path))
    return path


TINY = ModelMetadata(("no", "yes"), size=8)


def test_model_without_a_flaw_loads(tmp_path):
    classifier = EmotionClassifier(write(tmp_path / "tiny.onnx", TINY), "cpu")
    crops = [np.zeros((5, 9, 3), np.uint8)] * 3
    assert classifier.classify(crops) == pytest.approx(np.full((3, 2), 0.5))
    assert classifier.classify([]).shape == (0, 2)
    assert classifier.name.startswith("tiny@")


def test_label_that_the_prior_does_not_list_has_the_weight_one():
    assert replace(TINY, prior={"yes": 3.0}).class_weights == (1.0, 3.0)


def test_prior_weighs_the_probabilities(tmp_path):
    path, crops = write(tmp_path / "m.onnx", replace(TINY, prior={"yes": 3.0})), [np.zeros((8, 8, 3), np.uint8)]
    assert EmotionClassifier(path, "cpu").classify(crops)[0] == pytest.approx([0.25, 0.75])
    assert EmotionClassifier(path, "cpu", prior={}).classify(crops)[0] == pytest.approx([0.5, 0.5])
    assert EmotionClassifier(path, "cpu", prior={"no": 4}).classify(crops)[0] == pytest.approx([0.8, 0.2])


@pytest.mark.parametrize("prior", [{"maybe": 1.0}, {"yes": 0.0}, {"yes": float("nan")}, {"no": float("inf")}])
def test_prior_of_other_labels_or_no_frequency_is_refused(tmp_path, prior):
    path = write(tmp_path / "m.onnx", TINY)
    with pytest.raises(ModelError, match="prior"):
        EmotionClassifier(path, "cpu", prior=prior)


def test_missing_file(tmp_path):
    with pytest.raises(ModelError, match="cannot read it"):
        EmotionClassifier(tmp_path / "none.onnx")


@pytest.mark.parametrize("name", ["a\0b.onnx", "a\0b", "\0", "a\0b.tflite"])
def test_model_with_a_nul_in_its_path_is_refused_in_one_line(name):
    with pytest.raises(ModelError, match="found no such file") as refused:
        EmotionModel(PipelineConfig(model=name))
    assert len(str(refused.value).splitlines()) == 1
    assert "\0" not in str(refused.value)


def test_labels_of_a_windows_editor_are_read_without_their_byte_order_mark(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfhappy\r\nsad\r\n")
    assert read_text_file(tmp_path / "labels.txt").splitlines() == ["happy", "sad"]


@pytest.mark.parametrize("read", [read_text_file, read_gestures])
def test_file_with_a_nul_in_its_path_is_refused(read):
    with pytest.raises(ConfigError, match="expected a text file, found none"):
        read(Path("a\0b"))


def test_file_that_is_not_onnx(tmp_path):
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelError, match="ONNX Runtime can load"):
        EmotionClassifier(path)


def test_model_with_texts_that_are_no_utf_8_is_refused(tmp_path):
    path = write(tmp_path / "m.onnx", TINY)
    path.write_bytes(path.read_bytes().replace(b'"labels"', b'"label\xff"'))
    with pytest.raises(ModelError, match=r"can load.*utf-8"):
        EmotionClassifier(path)


@pytest.mark.parametrize("place", ["/etc/passwd", "../secret", "none"])
def test_model_whose_weights_are_in_a_file_elsewhere_is_refused_without_quoting_it(tmp_path, place):
    (tmp_path / "secret").write_text("hunter2!" * 100)
    (tmp_path / "models").mkdir()
    path = write(tmp_path / "models" / "m.onnx", TINY)
    model = onnx.load(path)
    (weights,) = (each for each in model.graph.initializer if each.name == "weights")
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", place), ("offset", "0"), ("length", "8")):
        weights.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError) as refused:
        EmotionClassifier(path, "cpu")
    assert len(str(refused.value).splitlines()) == 1
    assert "hunter2" not in str(refused.value)


def test_model_for_no_pictures_is_refused(tmp_path):
    with pytest.raises(ModelError, match="expected one input of batch"):
        EmotionClassifier(write(tmp_path / "m.onnx", TINY, shape=(0, 1, 8, 8)))


def test_wrong_input_rank(tmp_path):
    with pytest.raises(ModelError, match="expected one input of batch"):
        EmotionClassifier(write(tmp_path / "m.onnx", TINY, shape=("batch", 8)))


def test_labels_that_do_not_match_the_outputs(tmp_path):
    with pytest.raises(ModelError, match="one output per label"):
        EmotionClassifier(write(tmp_path / "m.onnx", TINY, outputs=3))


def test_size_that_contradicts_the_input(tmp_path):
    with pytest.raises(ModelError, match="its metadata give"):
        EmotionClassifier(write(tmp_path / "m.onnx", ModelMetadata(("no", "yes"), size=9)))


def test_outputs_that_are_not_numbers(tmp_path):
    with pytest.raises(ModelError, match="NaN"):
        EmotionClassifier(write(tmp_path / "m.onnx", TINY, value=float("nan")))


def test_metadata_with_a_field_that_is_not_known(tmp_path):
    path = write(tmp_path / "m.onnx", TINY)
    file = onnx.load(path)
    helper.set_model_props(file, {METADATA_KEY: TINY.to_json().replace('"licence"', '"outputs": [], "licence"')})
    onnx.save(file, path)
    with pytest.raises(ModelError, match=r"fields that.*not know.*emotion-ros export"):
        EmotionClassifier(path)


def test_no_metadata_and_no_labels(tmp_path):
    with pytest.raises(ModelError, match=r"labels\.txt"):
        EmotionClassifier(write(tmp_path / "m.onnx", None))


@pytest.mark.parametrize(
    ("flags", "provider", "available", "pays"),
    [
        ("fpu avx512_vnni", "auto", ["CPUExecutionProvider"], True),
        ("fpu avx_vnni", "cpu", ["CUDAExecutionProvider", "CPUExecutionProvider"], True),
        ("fpu avx512_vnni", "auto", ["CUDAExecutionProvider", "CPUExecutionProvider"], False),
        ("fpu avx512_vnni", "tensorrt", ["CPUExecutionProvider"], False),
        ("fpu avx2", "auto", ["CPUExecutionProvider"], False),
        (None, "auto", ["CPUExecutionProvider"], False),
    ],
)
def test_int8_is_chosen_where_the_processor_is_made_for_it(flags, provider, available, pays, tmp_path):
    processor = tmp_path / "cpuinfo"
    if flags is not None:
        processor.write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: {flags}\n")
    assert prefers_int8(provider, available, processor) is pays


def test_jetson_inference_model_loads_with_its_labels(tmp_path):
    (tmp_path / "labels.txt").write_text("dislike\nlike\n")
    metadata = EmotionClassifier(write(tmp_path / "m.onnx", None, shape=(1, 3, 8, 8))).metadata
    assert (metadata.labels, metadata.region, metadata.color) == (("dislike", "like"), "frame", "rgb")


@pytest.mark.parametrize(
    "flaw", [{"labels": ("a", "a")}, {"region": "foot"}, {"mean": (1.0, 2.0)}, {"std": (0.0,)}, {"temperature": 0.0}]
)
def test_metadata_that_contradict_themselves(flaw):
    with pytest.raises(ModelError, match="expected"):
        ModelMetadata(**{"labels": ("a", "b"), **flaw})


@pytest.mark.parametrize(
    "flaw",
    [
        {"mean": [float("nan")]}, {"std": [float("inf")]}, {"std": [1e-9]}, {"margin": 1e9}, {"shift": "down"},
        {"temperature": float("inf")}, {"labels": [1, 2]}, {"labels": ["\ud800", "b"]}, {"labels": ["a\n", "b"]},
        {"size": 8.0}, {"size": 30_000}, {"size": True}, {"mean": ["0.5"]}, {"mean": 0.5}, {"prior": ["no"]},
        {"prior": {"a": 1e300}}, {"accuracy": None}, {"activated": "no"}, {"region": ["face"]}, {"data": 7},
    ],
)  # fmt: skip
def test_metadata_of_wrong_types_or_beyond_their_bounds_are_refused_without_quoting_texts(tmp_path, flaw):
    text = json.dumps({"labels": ["a", "b"], "size": 8, "licence": "hunter2", **flaw})
    with pytest.raises(ModelError, match="expected") as refused:
        ModelMetadata.from_json(text, tmp_path / "m.onnx")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("text", ["null", "[1, 2]", "7", "{", "{}", '{"labels": ' + "[" * 100_000])
def test_metadata_that_are_no_object_are_refused(tmp_path, text):
    with pytest.raises(ModelError, match="cannot read its metadata"):
        ModelMetadata.from_json(text, tmp_path / "m.onnx")


def test_labels_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        EmotionClassifier(write(tmp_path / "m.onnx", None, shape=(1, 3, 8, 8)))


def test_plan_takes_the_best_that_is_there_and_falls_back(tmp_path):
    def names(wanted, available):
        return [name for name, _ in select_providers(wanted, available, tmp_path, "hash", "gpu", "pixels", SHAPES)]

    assert names("auto", ALL) == ALL
    assert names("auto", ALL[2:]) == ALL[2:]
    assert names("cuda", ALL) == ALL[1:]
    with pytest.raises(ProviderError, match="tensorrt"):
        names("tensorrt", ALL[1:])


def test_engines_of_another_model_or_device_are_never_met(tmp_path):
    def folder(model, device):
        plan = select_providers("auto", ALL, tmp_path, model, device, "pixels", SHAPES)
        return plan[0][1]["trt_engine_cache_path"]

    assert len({folder("a", "x"), folder("b", "x"), folder("a", "y")}) == 3


def test_profile_spans_one_to_sixteen_faces(tmp_path):
    options = select_providers("tensorrt", ALL, tmp_path, "a", "x", "pixels", SHAPES)[0][1]
    assert options["trt_profile_min_shapes"] == "pixels:1x1x48x48"
    assert options["trt_profile_max_shapes"] == "pixels:16x1x48x48"


def test_shipped_model_explains_itself(classifier):
    assert classifier.metadata.labels == ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    assert classifier.metadata.data
    assert classifier.metadata.licence
