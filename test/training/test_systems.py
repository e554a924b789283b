"""What people build with the toolkit, from pictures to the robot."""

import json
import zipfile

import cv2
import numpy as np
import onnx
import pytest
from emotion_ros.msg import EmotionArray
from onnx import TensorProto, helper
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emotion_ros.config import PipelineConfig
from emotion_ros.nodes.image_conversion import to_message
from emotion_ros.perception.emotion.preprocess import region_crop
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.training.data.region_crop import RegionCrop, View
from emotion_ros.training.evaluation.classifier_evaluation import evaluate

RANDOM = np.random.default_rng(0)


@pytest.fixture
def jetson_model(tmp_path):
    """A model as onnx_export.py of jetson-inference leaves it: no metadata, input_0 and output_0, 1 × 3 × 224 × 224.

    Of what the ImageNet normalisation makes of an image it takes the mean of red less that of blue.
    """
    weights = np.array([[3.0, -3.0], [0.0, 0.0], [-3.0, 3.0]], np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["input_0"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["output_0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "torch-jit-export",
        [helper.make_tensor_value_info("input_0", TensorProto.FLOAT, (1, 3, 224, 224))],
        [helper.make_tensor_value_info("output_0", TensorProto.FLOAT, (1, 2))],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    path = tmp_path / "resnet18.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), str(path))
    (tmp_path / "names.txt").write_text("red\nblue\n")
    return path, tmp_path / "names.txt"


def coloured(name):
    image = np.full((480, 640, 3), 60, np.uint8)
    image[..., 2 if name == "red" else 0] = 200
    return image


def test_jetson_inference_model_does_what_imagenet_py_did(jetson_model, tmp_path, command_line):
    model, labels = jetson_model
    for name in ("red", "blue"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), coloured(name))
    video = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (640, 480))
    for name in ["red"] * 5 + ["blue"] * 5:
        video.write(coloured(name))
    video.release()
    sources = [tmp_path / "red.png", tmp_path / "blue.png", tmp_path / "clip.mp4"]
    options = ["--model", model, "--labels", labels, "--smoothing", "0"]
    result = command_line("detect", *sources, *options, "--out", tmp_path / "out", "--json")
    assert result.returncode == 0, result.stderr
    labels_found = [json.loads(line)["people"][0]["label"] for line in result.stdout.splitlines()]
    assert labels_found == ["red", "blue", *["red"] * 5, *["blue"] * 5]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["blue.png", "clip.mp4", "red.png"]
    # as imagenet.py, with a file for the result
    result = command_line(
        "detect", tmp_path / "red.png", "--model", model, "--labels", labels, "--out", tmp_path / "o.jpg"
    )
    assert result.returncode == 0, result.stderr
    assert (cv2.imread(str(tmp_path / "o.jpg")) != coloured("red")).any()


def test_labels_file_that_is_not_there(jetson_model, tmp_path, command_line):
    cv2.imwrite(str(tmp_path / "red.png"), coloured("red"))
    result = command_line("detect", tmp_path / "red.png", "--model", jetson_model[0])
    assert result.returncode == 1
    assert "--labels" in result.stderr


def seen_by_the_node(listener, start, image, **parameters):
    """What the detector node says of an image."""
    node = start("detector", **parameters)
    publisher = listener.node.create_publisher(Image, "image_raw", 5)
    heard = listener.hear(EmotionArray, "emotions")

    def answered():  # each end finds the other in its own time, so the first images may be lost
        publisher.publish(to_message(image, Header()))
        return listener.until(lambda: heard, 1)

    assert listener.until(answered), (node.poll(), publisher.get_subscription_count())
    return heard[0]


def test_jetson_inference_model_runs_in_the_node(jetson_model, listener, start):
    model, labels = jetson_model
    answer = seen_by_the_node(listener, start, coloured("blue"), model=str(model), labels=str(labels))
    assert [each.label for each in answer.emotions] == ["blue"]
    face = answer.emotions[0].face
    assert (face.x_offset, face.y_offset, face.width, face.height) == (0, 0, 640, 480)


@pytest.fixture
def masks(tmp_path, portrait):
    """Camera pictures of two classes: a face that is covered below the eyes, and one that is not."""
    random, face = np.random.default_rng(0), portrait[60:330, 230:480]
    for label in ("bare", "covered"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for number in range(24):
            scene = cv2.resize(random.integers(0, 255, (6, 8, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
            person = cv2.convertScaleAbs(
                face, alpha=float(random.uniform(0.7, 1.2)), beta=float(random.uniform(-20, 20))
            )
            if label == "covered":
                person[150:230, 60:190] = random.integers(0, 255, 3)
            x, y = int(random.integers(0, 640 - 250)), int(random.integers(0, 480 - 270))
            scene[y : y + 270, x : x + 250] = person
            cv2.imwrite(str(tmp_path / "mine" / label / f"{label}{number:04}.jpg"), scene)
    return tmp_path / "mine"


def test_own_pictures_become_a_model_in_the_node(masks, tmp_path, command_line, listener, start):
    """Split, train, export, quantize and run with nothing but the commands of the documentation."""
    data, model = tmp_path / "mine-split", tmp_path / "mine.onnx"
    options = ["--region", "face_hands", "--epochs", "12", "--batch-size", "8", "--lr", "0.003", "--ema", "0.8"]
    for command in (
        ["split", masks, "--ratios", "50/25/25"],
        ["train", data, "--model-dir", tmp_path / "run", *options],
        ["export", tmp_path / "run" / "best.ckpt", model, "--calibrate", data, "--data", "my own pictures"],
        ["quantize", model, data, tmp_path / "mine_int8.onnx", "--max-drop", "10"],
    ):
        result = command_line(*command, timeout=110)
        assert result.returncode == 0, result.stderr[-2000:]
    for file in (model, tmp_path / "mine_int8.onnx"):
        assert evaluate(file, data, "test")["accuracy"] >= 0.9
    picture = next((data / "test" / "covered").iterdir())
    answer = seen_by_the_node(listener, start, cv2.imread(str(picture)), model=str(tmp_path / "mine_int8.onnx"))
    assert list(answer.labels) == ["bare", "covered"]
    assert [each.label for each in answer.emotions] == ["covered"]


def test_hands_are_in_the_crop_as_at_run_time(shared):
    """The crop of a real picture that a model is trained on holds the hand, and is the crop of the pipeline."""
    with zipfile.ZipFile(shared("data/hands/images.zip")) as archive:
        names = sorted(name for name in archive.namelist() if "victory/" in name and name.endswith(".jpg"))[:6]
        images = [cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR) for name in names]
    pipeline = Pipeline(PipelineConfig())
    with RegionCrop(View(96, "rgb", "face_hands", 0.1, -0.05)) as crop:
        assert len(images) == 6
        alone = [pipeline.perceive(image, 0.0).people for image in images]
        assert sum(len(people) == 1 for people in alone) >= 5  # in one of them the hand is taken for a face too
        for image, people in zip(images, alone, strict=True):
            if len(people) > 1:
                continue
            (person,) = people
            assert person.hands
            expected = region_crop(image, "face_hands", person.face, person.hands, 0.1, -0.05)
            assert np.array_equal(crop(image), expected)
            assert expected.shape[0] > 1.5 * person.face.box.height
    pipeline.close()
