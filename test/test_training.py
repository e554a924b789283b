import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from emotion_ros.config import TrainConfig
from emotion_ros.errors import DatasetError, ModelError, OutputError
from emotion_ros.training.datasets import read_split
from emotion_ros.training.evaluate import evaluate
from emotion_ros.training.export import export
from emotion_ros.training.train import train
from emotion_ros.training.votes import Votes

SMALL = TrainConfig(epochs=3, batch_size=8, precision="32-true", lr=0.02, size=32)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two classes that anybody tells apart: dark and bright."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split, count in (("train", 24), ("val", 8), ("test", 8)):
        for label, low in (("bright", 160), ("dark", 0)):
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                image = random.integers(low, low + 90, (48, 48, 3), np.uint8)
                cv2.imwrite(str(folder / split / label / f"{number}.png"), image)
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    train(data, folder, SMALL)
    return folder


def test_trained_model_is_exported_and_right(data, trained, tmp_path):
    about = export(trained / "best.ckpt", tmp_path / "m.onnx", {"data": "made up"}, calibrate_on=data)
    assert about.labels == ("bright", "dark")
    figures = evaluate(tmp_path / "m.onnx", data, "test")
    assert figures["accuracy"] >= 0.9
    assert np.sum(figures["confusion"]) == figures["pictures"] == 16


def test_resume_goes_on_from_the_last_checkpoint(data, trained):
    assert train(data, trained, SMALL, resume=True)["train"] == 48


def test_resume_without_a_checkpoint(data, tmp_path):
    with pytest.raises(OutputError, match="resume"):
        train(data, tmp_path, SMALL, resume=True)


def test_file_that_is_no_checkpoint(tmp_path):
    (tmp_path / "x.ckpt").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="expected a checkpoint"):
        export(tmp_path / "x.ckpt", tmp_path / "m.onnx")


def test_data_that_is_not_there_or_broken(tmp_path):
    with pytest.raises(DatasetError, match="found neither"):
        read_split(tmp_path, "train", 48, "grey")
    (tmp_path / "train" / "one").mkdir(parents=True)
    (tmp_path / "train" / "one" / "a.png").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"a\.png: not a picture"):
        read_split(tmp_path, "train", 48, "grey")


def test_votes_count_for_their_weight_and_only_where_there_are_some():
    votes = Votes(np.array([[0, 1], [0, 0]], np.float32), np.zeros(2, bool))
    targets = votes.mixed_into(np.array([[1, 0], [1, 0]], np.float32), 0.25)
    assert targets.tolist() == [[0.75, 0.25], [1.0, 0.0]]
