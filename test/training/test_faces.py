"""The face detector of this package: training, export, and the exported file."""

import csv
import json
from dataclasses import replace

import numpy as np
import onnx
import pytest

from emotion_ros.config import DetectorTrainConfig, PipelineConfig
from emotion_ros.errors import DatasetError, ModelError
from emotion_ros.inference.catalog import default_model
from emotion_ros.perception.detection import FACE_DETECTORS, FaceSettings
from emotion_ros.perception.detection.cells import values_per_cell
from emotion_ros.perception.loaded_models import load_models
from emotion_ros.perception.pipeline import Pipeline


@pytest.fixture(scope="module")
def checkpoint(photos, tmp_path_factory):
    """A small network that was trained for a few steps."""
    from emotion_ros.training.detector import detector_training

    folder = tmp_path_factory.mktemp("run")
    config = DetectorTrainConfig(epochs=2, images=64, batch_size=16, width=8, workers=0, precision="32-true")
    detector_training.train_detector([photos], folder, config)
    return folder / "last.ckpt"


@pytest.fixture(scope="module")
def model(checkpoint, tmp_path_factory):
    from emotion_ros.training.detector.detector_export import export_detector

    path = tmp_path_factory.mktemp("faces") / "faces.onnx"
    export_detector(checkpoint, path, {"data": "the sample", "licence": "public domain"})
    return path


def test_training_resumes_and_writes_curves(photos, checkpoint):
    from emotion_ros.training.detector import detector_training

    folder = checkpoint.parent
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert all(float(row["train_loss"]) > 0 for row in rows)
    assert {"batch.png", "Loss.png", "Precision.png", "best.ckpt"} <= {path.name for path in folder.iterdir()}
    assert (
        detector_training.train_detector([photos], folder, DetectorTrainConfig(), resume=True).epochs == 2
    )  # both are finished


def test_exported_detector_takes_images_of_any_size(model):
    detector = FACE_DETECTORS["emotion_faces"](FaceSettings(model, "cpu"))
    random = np.random.default_rng(0)
    for height, width in ((1, 1), (31, 33), (480, 640), (5, 900), (4320, 7680)):
        for face in detector.detect(random.integers(0, 256, (height, width, 3), np.uint8), 0.0, 1):
            assert face.box == face.box.clipped(width, height)
            assert face.landmarks.shape == (6, 2)
    detector.close()


def test_network_sees_the_same_when_its_weights_are_divided_instead_of_pixels():
    torch = pytest.importorskip("torch")
    from emotion_ros.training.detector.network import DetectionNetwork

    torch.manual_seed(0)
    network, pixels = DetectionNetwork().eval(), torch.rand(1, 3, 64, 96) * 255
    with torch.no_grad():
        before = network(pixels)
        for _ in range(2):  # once and for good
            network.absorb_division()
            torch.testing.assert_close(network(pixels), before)


def test_files_that_are_no_face_detector_are_refused(model, tmp_path):
    for path in (default_model(), tmp_path / "bad.onnx", tmp_path / "none.onnx"):
        if path.stem == "bad":
            path.write_bytes(b"nothing")
        with pytest.raises(ModelError, match=path.name):
            FACE_DETECTORS["emotion_faces"](FaceSettings(path))
    other = onnx.load(str(model))
    onnx.helper.set_model_props(other, {"emotion_ros": json.dumps({"kind": "hands"})})
    onnx.save(other, str(tmp_path / "hands.onnx"))
    with pytest.raises(ModelError, match="of this package of the kind faces"):
        FACE_DETECTORS["emotion_faces"](FaceSettings(tmp_path / "hands.onnx"))


def test_command_line_exports_and_evaluates(command_line, checkpoint, photos, tmp_path):
    made = command_line("export", checkpoint, tmp_path / "faces.onnx", "--data", "the sample")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["kind"] == "faces"
    wrong = command_line("export", checkpoint, tmp_path / "faces.tflite", "--format", "tflite")
    assert (wrong.returncode, "--format onnx for a detector" in wrong.stderr) == (2, True)


def test_face_detector_is_changed_while_the_pipeline_runs(model, portrait):
    pipeline = Pipeline(PipelineConfig(hands=False, face_detector="mediapipe"))
    (before,) = pipeline.perceive(portrait, 0.0).people
    emotion = pipeline.models.emotion
    config = PipelineConfig(hands=False, face_detector="mediapipe_full")
    pipeline.configure(config, load_models(config, pipeline.models, {"face_detector"}))
    (after,) = pipeline.perceive(portrait, 0.1).people
    assert pipeline.models.emotion is emotion
    assert after.face.box != before.face.box
    assert after.id == before.id
    with pytest.raises(ModelError):
        load_models(replace(config, face_detector="emotion_faces", face_model=str(default_model())), pipeline.models)
    assert pipeline.perceive(portrait, 0.2).people[0].face.box == after.face.box
    pipeline.close()


def test_calibrated_score_of_one_half_means_a_face():
    torch = pytest.importorskip("torch")
    from emotion_ros.training.detector import detector_export
    from emotion_ros.training.detector.detector_evaluation import LabelledImage

    class KnownNetwork(torch.nn.Module):
        """Detects three faces in each image, one of them wrongly."""

        def __init__(self):
            super().__init__()
            self.heads = [[None, torch.nn.Conv2d(1, values_per_cell(5), 1)]]
            self.before = self.score()

        def score(self):
            return self.heads[0][1].weight[0].sum().item(), self.heads[0][1].bias[0].item()

        def forward(self, pixels):
            values = torch.zeros(1, 16 + 4 + 1, values_per_cell(5))
            values[..., 0] = -9
            values[0, [0, 3, 12], 0] = torch.tensor([2.0, 1.0, 0.2])
            return values

    faces = np.zeros((2, 15), np.float32)
    faces[:, :4], faces[:, 14] = [(0, 0, 8, 8), (24, 0, 8, 8)], 1  # cells 0 and 3; the third, of 0.2, is none
    network = KnownNetwork()
    picture = LabelledImage(np.zeros((32, 32, 3), np.uint8), faces)
    detector_export.calibrate(network, [picture] * 5)
    weight, bias = network.score()
    spread = weight / network.before[0]
    assert 1 < spread <= 8
    assert bias == pytest.approx(spread * (network.before[1] - 1.0), abs=1e-4)  # what had 1.0 has one half now
    stricter = KnownNetwork()
    detector_export.calibrate(stricter, [*[picture] * 5, *[LabelledImage(picture.image, faces[:0])] * 100])
    weight, bias = stricter.score()
    assert bias == pytest.approx(weight / stricter.before[0] * (stricter.before[1] - 2.0), abs=1e-4)
    with pytest.raises(DatasetError, match="train longer"):
        detector_export.calibrate(network, [LabelledImage(picture.image, faces[:0])] * 5)


def test_training_starts_from_what_an_onnx_file_does(model, checkpoint, tmp_path):
    """A network filled from the file answers as the network did that the file was made of."""
    import torch

    from emotion_ros.training.detector.detector_training import Detection, load_detector, start_detector

    first = load_detector(checkpoint).eval()
    again = Detection({**first.hparams["config"], "seed": 9}).eval()
    pixels = torch.randint(0, 256, (4, 3, 96, 96), generator=torch.Generator().manual_seed(1))
    before = again(pixels)
    start_detector(again, model, pixels)
    assert not torch.allclose(before, first(pixels), atol=0.1)
    assert torch.allclose(again.eval()(pixels), first(pixels), atol=1e-2)
    (tmp_path / "none.onnx").write_bytes(b"none")
    with pytest.raises(ModelError, match="expected the ONNX file of a detector of faces, --width 8"):
        start_detector(again, tmp_path / "none.onnx", pixels)


def test_each_epoch_has_images_of_its_own(photos, tmp_path, monkeypatch):
    """A network that saw the same images in each epoch would memorise them."""
    from emotion_ros.training.detector import detector_training, training_images

    numbers = []
    get = training_images.TrainingImages.__getitem__

    def record(images, key):
        numbers.append(key[0])
        return get(images, key)

    monkeypatch.setattr(training_images.TrainingImages, "__getitem__", record)
    config = DetectorTrainConfig(epochs=2, images=32, batch_size=16, width=8, workers=0, precision="32-true", seed=6)
    detector_training.train_detector([photos], tmp_path, config)
    assert sorted(numbers[detector_training.SHOWN_IMAGES :]) == list(range(64))
