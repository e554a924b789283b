"""Our own face detector: its data, its training, its file, and how it is compared."""

import csv
import json
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest

from emotion_ros.config import FaceTrainConfig, PipelineConfig
from emotion_ros.errors import DatasetError, ModelError
from emotion_ros.inference.catalog import default_model
from emotion_ros.perception.detection import FACE_DETECTORS, FaceSettings
from emotion_ros.perception.detection.cells import VALUES_PER_CELL, cell_centres, decode_cells
from emotion_ros.perception.loaded_models import load_models
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.training.detector.detector_evaluation import average_precision, matches, measure, yolo
from emotion_ros.training.detector.photos import COLUMNS, Backgrounds, Photo, read_backgrounds, read_photos
from emotion_ros.training.detector.scenes import scene
from emotion_ros.types import Box, Face

FACE = (305, 112, 110, 115, 335, 155, 380, 150, 358, 175, 338, 195, 380, 192)
"""Box and landmarks of the sample's face at 640×480."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory, portrait):
    """A folder with the sample's face in sixty photos, a little different each."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    with (folder / "faces.csv").open("w", newline="") as file, zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        writer = csv.writer(file)
        writer.writerow(["file", *COLUMNS])
        for number in range(60):
            x, y, side = 275 + int(random.integers(20)), 70 + int(random.integers(20)), 180
            photo = cv2.convertScaleAbs(portrait[y : y + side, x : x + side], alpha=random.uniform(0.6, 1.2))
            archive.writestr(f"{number:02}.png", cv2.imencode(".png", photo)[1].tobytes())
            writer.writerow(
                [f"{number:02}.png", *(v - (x, y)[i % 2] if i not in (2, 3) else v for i, v in enumerate(FACE))]
            )
        archive.writestr("empty.png", cv2.imencode(".png", np.zeros((40, 40, 3), np.uint8))[1].tobytes())
        writer.writerow(["empty.png", *[""] * len(COLUMNS)])
    return folder


@pytest.fixture(scope="module")
def checkpoint(photos, tmp_path_factory):
    """A small network that was trained for a few steps."""
    from emotion_ros.training.detector import train

    folder = tmp_path_factory.mktemp("run")
    config = FaceTrainConfig(epochs=2, scenes=64, batch_size=16, width=8, workers=0, precision="32-true")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(train, "VAL_SCENES", 16)
        train.train_detector(photos, folder, config)
    return folder / "last.ckpt"


@pytest.fixture(scope="module")
def model(checkpoint, tmp_path_factory):
    from emotion_ros.training.detector.detector_export import export_detector

    path = tmp_path_factory.mktemp("faces") / "faces.onnx"
    export_detector(checkpoint, path, {"data": "the sample", "licence": "public domain"})
    return path


def test_cells_become_faces_where_they_say():
    values = np.full((40 * 40 + 20 * 20 + 10 * 10, VALUES_PER_CELL), 0, np.float32)
    values[:, 0] = -9
    points, strides = cell_centres(320, 320)
    wanted = {100: (50.0, 60.0, 24.0, 30.0), 1700: (200.0, 90.0, 80.0, 90.0)}
    for cell, (x, y, width, height) in wanted.items():
        middle = (np.array([x + width / 2, y + height / 2]) - points[cell]) / strides[cell]
        values[cell, :5] = 4, *middle, *np.log(np.array([width, height]) / strides[cell])
        values[cell, 5:] = np.tile((np.array([x, y]) - points[cell]) / strides[cell], 5)
    values[101] = values[100]
    values[101, 1] -= 1  # the same box, seen by the neighbour, less sure
    values[101, 0] = 3
    found = decode_cells(values, 320, 320, 0.5)
    assert found[:, :4] == pytest.approx(np.array(list(wanted.values())), abs=1e-3)
    assert found[:, 4:14] == pytest.approx(np.array([[50, 60] * 5, [200, 90] * 5]), abs=1e-3)
    assert found[:, 14] == pytest.approx(1 / (1 + np.exp(-4)))
    assert decode_cells(values, 320, 320, 0.99).shape == (0, 15)


def test_scenes_are_the_same_for_the_same_seed_and_landmarks_lie_in_their_boxes(photos):
    kept = read_photos(photos)
    assert len(kept) == 61
    assert [len(each.faces) for each in kept if each.name == "empty.png"] == [0]
    summarize = [scene(kept, Backgrounds(), 320, np.random.default_rng((1, number))) for number in range(40)]
    again = scene(kept, Backgrounds(), 320, np.random.default_rng((1, 7)))
    assert (again[0] == summarize[7][0]).all()
    assert (again[1] == summarize[7][1]).all()
    faces = np.concatenate([each for _, each in summarize])
    assert set(faces[:, 14]) == {0.0, 1.0}
    heights = faces[faces[:, 14] == 1, 3]
    assert heights.min() < 16
    assert heights.max() > 200
    inside = (faces[:, 4:14].reshape(-1, 5, 2) - faces[:, None, :2]) / faces[:, None, 2:4]
    assert ((inside > -0.1) & (inside < 1.1)).all()


def test_mirrored_faces_have_their_right_eye_on_the_left_of_the_image(photos):
    kept = [each for each in read_photos(photos) if len(each.faces)]
    for number in range(40):
        _, faces = scene(kept, Backgrounds(), 320, np.random.default_rng((2, number)))
        upright = faces[np.abs(faces[:, 5] - faces[:, 7]) < 0.2 * faces[:, 2]]
        assert (upright[:, 4] < upright[:, 6]).all()


def test_loss_falls_when_answers_come_nearer_to_the_faces():
    torch = pytest.importorskip("torch")
    from emotion_ros.training.detector.detection_loss import decode, loss

    points, strides = (torch.from_numpy(each) for each in cell_centres(160, 160))
    faces = torch.full((2, 3, 15), -1.0)
    faces[0, 0] = torch.tensor([40.0, 50, 30, 40, 45, 60, 62, 60, 54, 70, 46, 80, 62, 80, 1])
    faces[1, :2] = torch.tensor(
        [[10.0, 10, 9, 11, 12, 13, 16, 13, 14, 16, 12, 18, 16, 18, 1], [80.0, 0, 90, 120, *[90] * 10, 0]]
    )
    values = torch.zeros(2, len(points), VALUES_PER_CELL)
    values[..., 0] = -3
    values.requires_grad_()
    optimizer = torch.optim.Adam([values], 0.05)
    history = []
    for _ in range(300):
        parts = loss(decode(values, points, strides), faces, points, strides)
        optimizer.zero_grad()
        sum(parts.values()).backward()
        optimizer.step()
        history.append({name: value.item() for name, value in parts.items()})
    assert all(history[-1][name] < 0.3 * history[0][name] for name in history[0])
    for index, wanted in ((0, faces[0, :1]), (1, faces[1, :1])):
        (row,) = decode_cells(values[index].detach().numpy(), 160, 160, 0.5)
        assert row[:14] == pytest.approx(wanted[0, :14].numpy(), abs=2)


def test_training_resumes_and_writes_curves(photos, checkpoint):
    from emotion_ros.training.detector import train

    folder = checkpoint.parent
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert all(float(row["train_loss"]) > 0 for row in rows)
    assert {"batch.png", "Loss.png", "Precision.png", "best.ckpt"} <= {each.name for each in folder.iterdir()}
    assert train.train_detector(photos, folder, FaceTrainConfig(), resume=True).epochs == 2  # all of them are done


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
    from emotion_ros.training.detector.network import FaceNetwork

    torch.manual_seed(0)
    network, pixels = FaceNetwork().eval(), torch.rand(1, 3, 64, 96) * 255
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
    with pytest.raises(ModelError, match="expected a face detector"):
        FACE_DETECTORS["emotion_faces"](FaceSettings(tmp_path / "hands.onnx"))


def test_command_line_exports_and_evaluates(command_line, checkpoint, photos, tmp_path):
    made = command_line("export", checkpoint, tmp_path / "faces.onnx", "--data", "the sample")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["kind"] == "faces"
    wrong = command_line("export", checkpoint, tmp_path / "faces.tflite", "--format", "tflite")
    assert (wrong.returncode, "becomes onnx" in wrong.stderr) == (2, True)


def test_figures_of_a_detector_that_is_known():
    class KnownDetector:
        """Finds one face where it is, one a little aside, one that is none; named for what it is."""

        def detect(self, image, confidence, minimum):
            points = np.array([(10, 10), (20, 10), (15, 15), (15, 20)], np.float32)
            return [
                Face(Box(0, 0, 40, 50), 0.9, points),
                Face(Box(100, 100, 30, 30), 0.8, points),
                Face(Box(200, 200, 100, 100), 0.7, points),
                Face(Box(300, 300, 20, 20), 0.6, points),
            ]

    faces = np.full((4, 15), np.nan, np.float32)
    faces[:, :4] = (0, 0, 40, 50), (104, 100, 30, 30), (400, 400, 30, 100), (300, 300, 20, 20)
    faces[:, 14] = 1, 1, 1, 0
    faces[0, 4:10] = 10, 10, 20, 10, 15, 18
    from emotion_ros.training.detector.detector_evaluation import Picture

    figures = measure(KnownDetector(), [Picture(np.zeros((500, 500, 3), np.uint8), faces)], 0.5)
    assert figures.recall == {96: 0.0, 48: 0.5, 24: pytest.approx(2 / 3), 16: pytest.approx(2 / 3)}
    assert figures.faces == {96: 1, 48: 2, 24: 3, 16: 3}
    assert figures.precision == {96: 0.0, 48: 0.5, 24: pytest.approx(2 / 3), 16: pytest.approx(2 / 3)}
    assert figures.false == 1
    assert figures.average_precision == pytest.approx(2 / 3)
    assert figures.landmark_error == pytest.approx(0.1)


def test_average_precision_is_the_area_under_the_curve():
    truth = np.zeros((2, 15), np.float32)
    truth[:, :4] = (0, 0, 10, 10), (50, 50, 10, 10)
    found = np.zeros((3, 15), np.float32)
    found[:, :4] = (0, 0, 10, 10), (90, 90, 10, 10), (50, 50, 10, 10)
    found[:, 14] = 0.9, 0.8, 0.7
    tried = matches(found, truth, 0.5, truth[:0])
    assert average_precision([tried]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([]) == 0.0


def test_labels_of_yolo(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((100, 200, 3), np.uint8))
    with pytest.raises(DatasetError, match="labels"):
        list(yolo(tmp_path))
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.2\n")
    (picture,) = yolo(tmp_path)
    assert picture.faces[0, :4].tolist() == pytest.approx([90, 40, 20, 20])
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 x\n")
    with pytest.raises(DatasetError, match="expected lines"):
        list(yolo(tmp_path))


def test_photos_that_are_not_there(tmp_path):
    with pytest.raises(DatasetError, match=r"photos\.zip"):
        read_photos(tmp_path)
    (tmp_path / "photos.zip").write_bytes(b"broken")
    (tmp_path / "faces.csv").write_text("file,x\na.png,1\n")
    with pytest.raises(DatasetError, match="cannot read"):
        read_photos(tmp_path)


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


def test_photo_keeps_out_of_training_what_its_name_says():
    image, none = np.zeros((4, 4, 3), np.uint8), np.zeros((0, 14), np.float32)
    held_out = [Photo(f"{number}.png", image, none).held_out for number in range(2000)]
    assert 150 < sum(held_out) < 250


def test_scores_are_shifted_until_what_is_found_are_faces():
    torch = pytest.importorskip("torch")
    from emotion_ros.training.detector import export
    from emotion_ros.training.detector.detector_evaluation import Picture

    class InferenceBackend(torch.nn.Module):
        """Stands in for a network: sees three faces in every scene, one of them where none is."""

        def __init__(self):
            super().__init__()
            self.heads = [[None, torch.nn.Conv2d(1, VALUES_PER_CELL, 1)]]
            self.before = self.score()

        def score(self):
            return self.heads[0][1].weight[0].sum().item(), self.heads[0][1].bias[0].item()

        def forward(self, pixels):
            values = torch.zeros(1, 16 + 4 + 1, VALUES_PER_CELL)
            values[..., 0] = -9
            values[0, [0, 3, 12], 0] = torch.tensor([2.0, 1.0, 0.2])
            return values

    faces = np.zeros((2, 15), np.float32)
    faces[:, :4], faces[:, 14] = [(0, 0, 8, 8), (24, 0, 8, 8)], 1  # cells 0 and 3; the third, of 0.2, is none
    network = InferenceBackend()
    picture = Picture(np.zeros((32, 32, 3), np.uint8), faces)
    export._calibrate(network, [picture] * 5)
    weight, bias = network.score()
    spread = weight / network.before[0]
    assert 1 < spread <= 8
    assert bias == pytest.approx(spread * (network.before[1] - 1.0), abs=1e-4)  # what had 1.0 has one half now
    with pytest.raises(DatasetError, match="train longer"):
        export._calibrate(network, [Picture(picture.image, faces[:0])] * 5)


def test_pictures_with_transparent_parts_are_things_of_scenes(photos, tmp_path):
    """A thing is seen where it is opaque alone."""
    thing = np.zeros((60, 60, 4), np.uint8)
    thing[:30] = (0, 255, 0, 255)
    thing[30:] = (0, 0, 255, 0)
    cv2.imwrite(str(tmp_path / "thing.png"), thing)
    cv2.imwrite(str(tmp_path / "picture.png"), np.full((60, 60), 128, np.uint8))
    around = read_backgrounds(str(tmp_path))
    assert [each.shape for each in around.pictures] == [(60, 60, 3)]
    assert [each.shape for each in around.things] == [(60, 60, 4)]
    empty = [each for each in read_photos(photos) if not len(each.faces)]
    images = [scene(empty, around, 160, np.random.default_rng((3, number)))[0].astype(int) for number in range(60)]
    green = [(image[..., 1] - image[..., [0, 2]].max(-1)).max() for image in images]
    assert 10 < sum(each > 60 for each in green) < 50


def test_backgrounds_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(DatasetError, match="got none"):
        read_backgrounds(str(tmp_path))
    (tmp_path / "broken.png").write_bytes(b"none")
    with pytest.raises(DatasetError, match=r"broken\.png"):
        read_backgrounds(str(tmp_path))


def test_training_starts_from_what_an_onnx_file_does(model, checkpoint, tmp_path):
    """A network filled from the file answers as the network did that the file was made of."""
    import torch

    from emotion_ros.training.detector.detector_training import FaceDetection, _start_from, load_detector

    first = load_detector(checkpoint).eval()
    again = FaceDetection({**first.hparams["config"], "seed": 9}).eval()
    pixels = torch.randint(0, 256, (4, 3, 96, 96), generator=torch.Generator().manual_seed(1))
    before = again(pixels)
    _start_from(again, model, pixels)
    assert not torch.allclose(before, first(pixels), atol=0.1)
    assert torch.allclose(again.eval()(pixels), first(pixels), atol=1e-2)
    (tmp_path / "none.onnx").write_bytes(b"none")
    with pytest.raises(ModelError, match="expected the ONNX file of a detector of width 8"):
        _start_from(again, tmp_path / "none.onnx", pixels)


def test_each_epoch_has_scenes_of_its_own(photos, tmp_path, monkeypatch):
    """Else the network learns eight thousand scenes by heart."""
    from emotion_ros.training.detector import train

    asked = []
    compose = train._Scenes.__getitem__
    monkeypatch.setattr(
        train._Scenes, "__getitem__", lambda self, which: asked.append((self._seed, which)) or compose(self, which)
    )
    monkeypatch.setattr(train, "VAL_SCENES", 8)
    config = FaceTrainConfig(epochs=2, scenes=32, batch_size=16, width=8, workers=0, precision="32-true", seed=6)
    train.train_detector(photos, tmp_path, config)
    trained = [number for seed, (number, _) in asked if seed == 6][64:]  # the first are those of batch.png
    assert sorted(trained) == list(range(64))
