"""The hand landmark network of this package: labels, training, export, evaluation."""

import csv
import json
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest

from emotion_ros.config import HandTrainConfig
from emotion_ros.errors import DatasetError, ModelError
from emotion_ros.inference.catalog import default_face_model
from emotion_ros.perception.detection.hand_crop import CROP_SIZE_PX, HandCrop
from emotion_ros.perception.detection.hand_networks import LANDMARK_KIND, PRESENCE, HandLandmarkNetwork
from emotion_ros.types import Box, Hand

UPRIGHT = np.array(
    [(100, 180), (75, 165), (60, 145), (50, 130), (42, 118)]
    + [(x + dx, y) for x, dx in ((80, -4), (95, -1), (110, 2), (124, 6)) for y in (110, 80, 60, 42)],
    np.float32,
)
"""Landmarks of the back of a right hand in a photo of 200 × 200."""

COLOURS = np.array([(60 + 45 * (n % 5), 60 + 45 * (n // 5), 255 - 45 * (n % 4)) for n in range(21)], np.uint8)


def drawn_hand(shift=(0, 0), size=(200, 200)):
    """A photo with a hand whose landmarks are dots of 21 colours, and the landmarks."""
    photo, points = np.zeros((size[1], size[0], 3), np.uint8), UPRIGHT + np.array(shift, np.float32)
    for point, colour in zip(points, COLOURS, strict=True):
        cv2.circle(photo, np.round(point).astype(int).tolist(), 5, colour.tolist(), -1)
    return photo, points


class DotTeacher:
    """Finds the dots of a drawn hand; if ``only_upright``, only where the hand is not mirrored."""

    def __init__(self, only_upright=False):
        self.only_upright = only_upright

    def detect(self, image, tracked=()):
        y, x = np.nonzero(image.max(2))
        drawn, points = image[y, x].astype(int), []
        for colour in COLOURS.astype(int):
            dot = (np.abs(drawn - colour) <= 12).all(1)
            if not dot.any():
                return []
            points.append((np.median(x[dot]) + 0.5, np.median(y[dot]) + 0.5))
        landmarks = np.array(points, np.float32)
        along, across = landmarks[9] - landmarks[0], landmarks[17] - landmarks[5]
        side = "right" if along[0] * across[1] - along[1] * across[0] > 0 else "left"
        if side == "left" and self.only_upright:
            return []
        return [Hand(side, Box(0, 0, *image.shape[1::-1]), 0.9, landmarks)]

    def close(self):
        pass


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with 60 labelled photos of a drawn hand."""
    from emotion_ros.training.hands.hand_labels import label_photos

    folder, random = tmp_path_factory.mktemp("hands"), np.random.default_rng(0)
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for number in range(60):
            photo = drawn_hand(random.integers(0, 60, 2), (260, 260))[0]
            archive.writestr(f"drawn/{number:02}.png", cv2.imencode(".png", photo)[1].tobytes())
    label_photos(folder, folder / "hands.csv", DotTeacher())
    return folder


@pytest.fixture(scope="module")
def checkpoint(data, tmp_path_factory):
    """A small network that was trained for a few steps."""
    from emotion_ros.training.hands.landmark_training import train_hands

    folder = tmp_path_factory.mktemp("run")
    config = HandTrainConfig(epochs=2, crops=64, batch_size=16, width=8, workers=0, precision="32-true")
    train_hands([data], folder, config)
    return folder / "last.ckpt"


@pytest.fixture(scope="module")
def model(checkpoint, tmp_path_factory):
    from emotion_ros.training.hands.landmark_export import export_landmarks

    path = tmp_path_factory.mktemp("landmarks") / "landmarks.onnx"
    export_landmarks(checkpoint, path, {"data": "drawn hands", "licence": "public domain"})
    return path


def test_hand_that_the_teacher_finds_in_all_views_is_reliable_and_others_are_not():
    from emotion_ros.training.hands.hand_labels import label_hands

    photo, points = drawn_hand()
    (reliable,) = label_hands(photo, DotTeacher())
    assert (reliable.side, reliable.score) == ("right", 1.0)
    assert np.abs(reliable.points - points).max() < 3
    (doubtful,) = label_hands(photo, DotTeacher(only_upright=True))
    assert doubtful.score < 1
    assert label_hands(np.zeros((90, 120, 3), np.uint8), DotTeacher()) == []


def test_labels_have_the_columns_of_both_trainings(data):
    with (data / "hands.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    for row in rows:
        assert (row["wrist_x"], row["middle_knuckle_y"]) == (row["x0"], row["y9"])
        assert float(row["w"]) == pytest.approx(88, abs=4)


def test_crops_follow_the_hand_and_mirrored_ones_change_their_side(data):
    from emotion_ros.perception.detection.hand_networks import PRESENCE, RIGHT
    from emotion_ros.training.hands.hand_crops import plain_crop, pose_shares, training_crop
    from emotion_ros.training.hands.hand_photos import read_patches

    patches, random = read_patches(data), np.random.default_rng(0)
    hands = [patch for patch in patches if len(patch.points)]
    empty = [patch for patch in patches if not len(patch.points)]
    assert len(hands) == 60
    image, target = plain_crop(hands[0], random)
    x, y = target[:2]
    assert np.abs(image[int(y), int(x)].astype(int) - COLOURS[0]).max() < 60
    shares = pose_shares(hands)
    targets = np.array([training_crop(hands, shares, empty, random)[1] for _ in range(300)])
    present = targets[targets[:, PRESENCE] == 1]
    assert 0.6 < len(present) / 300 < 0.9
    assert 0.35 < present[:, RIGHT].mean() < 0.65
    across = present[:, 2 * 17] - present[:, 2 * 5]
    upright = present[:, 2 * 9 + 1] < present[:, 1] - 10  # the knuckle is above the wrist
    assert ((across > 0) == (present[:, RIGHT] == 1))[upright].mean() > 0.95


def test_hands_of_rare_poses_are_drawn_more_often_than_they_occur(data):
    from emotion_ros.training.hands.hand_crops import pose_shares
    from emotion_ros.training.hands.hand_photos import read_patches

    hands = [patch for patch in read_patches(data) if len(patch.points)][:1]
    points = hands[0].points.copy()
    points[8] = points[5]  # the tip of the index finger at its knuckle
    rare = replace(hands[0], points=points)
    shares = pose_shares([*hands * 9, rare])
    assert shares.sum() == pytest.approx(1)
    assert shares[-1] == pytest.approx(9**0.25 * shares[0])


def test_training_resumes_and_writes_curves(data, checkpoint):
    from emotion_ros.training.hands.landmark_training import train_hands

    folder = checkpoint.parent
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert all(float(row["train_loss"]) > 0 for row in rows)
    assert {"batch.png", "best.ckpt", "last.ckpt"} <= {path.name for path in folder.iterdir()}
    assert train_hands([data], folder, HandTrainConfig(), resume=True).epochs == 2  # both are finished


def test_folders_of_the_archive_can_be_left_out(data, tmp_path):
    from emotion_ros.training.hands.landmark_training import train_hands

    with pytest.raises(DatasetError, match="labelled hands, got 0"):
        train_hands([data], tmp_path, HandTrainConfig(without="drawn", workers=0))


def test_losses_vanish_only_at_the_target():
    torch = pytest.importorskip("torch")
    from emotion_ros.training.hands.landmark_training import landmark_errors, landmark_losses

    target = torch.cat([torch.from_numpy(UPRIGHT * CROP_SIZE_PX / 200).flatten(), torch.tensor([1.0, 1.0])])[None]
    right = target.clone()
    right[:, 42:] = 20.0
    wrong = right.clone()
    wrong[:, 0] += 10
    heatmaps = torch.zeros(1, 21, 24, 24)
    shifted = right.clone()
    shifted[:, :42] += 2
    for name in ("points", "bones"):
        assert float(landmark_losses(right, heatmaps, target)[name]) == 0
    assert float(landmark_losses(wrong, heatmaps, target)["points"]) > 0
    assert float(landmark_losses(shifted, heatmaps, target)["points"]) > 0
    assert float(landmark_losses(shifted, heatmaps, target)["bones"]) == pytest.approx(0, abs=1e-8)
    bent = right.clone()
    bent[:, 16] += 2  # x of the index finger's tip
    assert float(landmark_losses(bent, heatmaps, target)["bones"]) > 0
    assert float(landmark_errors(right, target).max()) == 0
    absent = torch.zeros_like(target)
    losses = landmark_losses(right, heatmaps, absent)
    assert float(losses["points"]) == float(losses["side"]) == 0
    assert float(losses["presence"]) > 1


def test_exported_network_finds_landmarks_in_pixels_of_the_image(model):
    network = HandLandmarkNetwork(model, "cpu", 1, 4)
    photo, _ = drawn_hand()
    results = network(photo, [HandCrop(100, 100, 160, angle) for angle in (0.0, 2.0)])
    assert network(photo, []) == []
    for result in results:
        assert result.points.shape == (21, 2)
        assert np.abs(result.points - 100).max() < 160
        assert 0 <= result.presence <= 1
        assert 0 <= result.right <= 1


def with_presence(model, logit, path):
    """Write a model whose logit of presence is higher by ``logit``."""
    changed = onnx.load(model)
    (output,) = changed.graph.output
    added = np.zeros(44, np.float32)
    added[PRESENCE] = logit
    changed.graph.initializer.append(onnx.numpy_helper.from_array(added, "added"))
    for node in changed.graph.node:
        node.output[:] = ["before" if name == output.name else name for name in node.output]
    changed.graph.node.append(onnx.helper.make_node("Add", ["before", "added"], [output.name]))
    onnx.save(changed, path)
    return path


def test_mirror_image_has_mirrored_landmarks_and_the_other_side(model, tmp_path):
    network = HandLandmarkNetwork(with_presence(model, 5, tmp_path / "sure.onnx"), "cpu", 1, 4)
    photo = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    crops = [HandCrop(48, 48, 96, 0.0)]
    (seen,), (mirrored,) = network(photo, crops), network(np.ascontiguousarray(photo[:, ::-1]), crops)
    assert np.abs(seen.points - np.array([96, 0]) - mirrored.points * (-1, 1)).max() < 0.01
    assert mirrored.right == pytest.approx(1 - seen.right, abs=1e-4)
    assert mirrored.presence == pytest.approx(seen.presence, abs=1e-4)


@pytest.mark.parametrize(("logit", "runs"), [(-5, 1), (5, 2)])
def test_only_crops_that_show_a_hand_are_mirrored(model, tmp_path, monkeypatch, logit, runs):
    network = HandLandmarkNetwork(with_presence(model, logit, tmp_path / "changed.onnx"), "cpu", 1, 4)
    run, inputs = network.session.run, []
    monkeypatch.setattr(network.session, "run", lambda names, feed: inputs.append(feed) or run(names, feed))
    results = network(drawn_hand()[0], [HandCrop(100, 100, 160, 0.0), HandCrop(60, 60, 80, 0.0)])
    assert [len(feed["pixels"]) for feed in inputs] == [2] * runs
    assert all((result.presence > 0.5) == (logit > 0) for result in results)


def test_file_of_another_kind_is_refused(model, tmp_path):
    from emotion_ros.training.hands.landmark_training import load_landmarks

    with pytest.raises(ModelError, match="kind hand_landmarks"):
        HandLandmarkNetwork(default_face_model(), "cpu", 1, 4)
    old = onnx.load(model)
    for dim in old.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = 32
    onnx.save(old, tmp_path / "old.onnx")
    with pytest.raises(
        ModelError, match=r"expected an input of n × 3 × .*, it has batch × 3 × 32 × 32; .*train it again"
    ):
        HandLandmarkNetwork(tmp_path / "old.onnx", "cpu", 1, 4)
    with pytest.raises(ModelError, match="train-hands"):
        load_landmarks(tmp_path / "none.ckpt")


def test_training_starts_from_an_exported_file(data, checkpoint, model):
    import torch

    from emotion_ros.training.checkpoints import start_from_file
    from emotion_ros.training.hands.landmark_training import HandLandmarks, load_landmarks

    pixels = torch.rand(16, 3, CROP_SIZE_PX, CROP_SIZE_PX) * 255
    started = HandLandmarks(load_landmarks(checkpoint).hparams.config)
    wanted = LANDMARK_KIND, "hand landmarks, width 8", "train-hands", pixels
    start_from_file(started, model, *wanted)
    with torch.no_grad():
        expected = load_landmarks(checkpoint).network.eval()(pixels)
        assert float((started.network.eval()(pixels) - expected).abs().max()) < 0.05
    with pytest.raises(ModelError, match="expected the ONNX file of hand landmarks"):
        start_from_file(started, default_face_model(), *wanted)


def test_export_command_recognizes_the_checkpoint(checkpoint, tmp_path, command_line):
    result = command_line("export", checkpoint, tmp_path / "landmarks.onnx", "--licence", "MIT")
    assert json.loads(result.stdout)["kind"] == "hand_landmarks", result.stderr


def test_export_refuses_options_without_effect(checkpoint, tmp_path, command_line):
    options = ["--margin", "0.3", "--calibrate", tmp_path]
    result = command_line("export", checkpoint, tmp_path / "landmarks.onnx", *options)
    assert result.returncode == 2
    assert "--margin, --calibrate has no effect on a hand landmark network" in result.stderr


def test_own_networks_are_evaluated(data, model, command_line):
    from emotion_ros.inference.catalog import default_hand_models

    detector = f"emotion_hands={default_hand_models()[0]}+{model}"
    result = command_line("evaluate", detector, data, "--json")
    figures = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert figures[detector]["empty_photos"] == 0, result.stderr
    assert figures[detector]["false_per_100"] is None


def test_evaluation_counts_found_hands_errors_and_false_hands(data, tmp_path):
    from emotion_ros.training.hands.hand_evaluation import measure_hands, table

    empty = tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(empty / "photos.zip", "w") as archive:
        archive.writestr("a.png", cv2.imencode(".png", drawn_hand()[0])[1].tobytes())
    figures = measure_hands(DotTeacher(), [data, empty], "drawn").summary()
    assert (figures["hands"], figures["found"], figures["right_side"]) == (60, 1.0, 1.0)
    assert figures["same_gesture"] > 0.9
    assert figures["landmark_error"] < 0.05
    assert (figures["empty_photos"], figures["false_per_100"]) == (1, 100.0)
    held_out = measure_hands(DotTeacher(only_upright=True), [data]).summary()
    assert 0 < held_out["hands"] < 20
    assert "| teacher | 60 | 1.000 |" in table({"teacher": figures})
    assert figures["gestures"] == {}


def test_evaluation_of_a_whole_folder_counts_the_gestures_by_hint(data, tmp_path):
    from emotion_ros.training.hands.hand_evaluation import measure_hands

    for name in ("photos.zip", "hands.csv"):
        (tmp_path / name).symlink_to(data / name)
    (tmp_path / "sources.csv").write_text("file,source,hint\ndrawn/00.png,drawn,stop\ndrawn/01.png,drawn,stop\n")
    assert measure_hands(DotTeacher(), [tmp_path], "drawn").summary()["gestures"] == {"stop": {"open_palm": 2}}
    assert measure_hands(DotTeacher(), [tmp_path]).summary()["gestures"] == {}
    (tmp_path / "sources.csv").write_text("file\ndrawn/00.png\n")
    with pytest.raises(DatasetError, match="expected columns file and hint"):
        measure_hands(DotTeacher(), [tmp_path], "drawn")
