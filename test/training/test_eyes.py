"""The eye network: labels, patches, crops, training, export, evaluation."""

import json
from dataclasses import replace

import numpy as np
import pytest

from emotion_ros.config import EyeTrainConfig, PipelineConfig
from emotion_ros.perception.eyes import EyelidNetwork
from emotion_ros.perception.loaded_models import create_face_points
from emotion_ros.training.faces.mesh_labels import LABELS, read_labels
from emotion_ros.types import HeadPose

pytest.importorskip("mediapipe", reason="the teacher is MediaPipe Face Mesh")
pytest.importorskip("torch")

from emotion_ros.training.eyes.eye_labels import LEFT, RIGHT, VALUES, eye_values

AHEAD = HeadPose(0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def data(photos, command_line):
    result = command_line("label-meshes", photos)
    assert "face_meshes.npz" in result.stdout, result.stderr
    return photos


@pytest.fixture(scope="module")
def labels(data):
    return read_labels(data / LABELS)


@pytest.fixture(scope="module")
def pairs(data, labels):
    from emotion_ros.training.eyes.eye_patches import read_eyes

    return list(read_eyes(data, labels, create_face_points(PipelineConfig(provider="cpu"))))


@pytest.fixture(scope="module")
def run_folder(data, tmp_path_factory):
    from emotion_ros.training.eyes.eye_training import train_eyes

    folder = tmp_path_factory.mktemp("run")
    assert train_eyes([data], folder, EyeTrainConfig(epochs=2, crops=64, batch_size=16)).epochs == 2
    return folder


def test_open_eyes_have_their_lids_on_both_sides_of_the_corners(labels):
    for mesh in labels.meshes:
        for eye in (RIGHT, LEFT):
            upper, lower, iris_x, iris_y = eye_values(mesh, eye)
            assert 0.08 < upper < 0.3
            assert -0.2 < lower < 0.0
            assert abs(iris_x) < 0.2
            assert lower < iris_y < upper


def test_values_do_not_depend_on_size_and_tilt_and_follow_a_lowered_lid(labels):
    mesh = labels.meshes[0]
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    for eye in (RIGHT, LEFT):
        before = eye_values(mesh, eye)
        assert eye_values(2 * mesh @ turn.T, eye) == pytest.approx(before, abs=1e-4)
        closed = mesh.copy()
        closed[list(eye.upper)] = closed[list(eye.lower)]
        lid = VALUES.index("upper_lid")
        assert eye_values(closed, eye)[lid] == pytest.approx(before[VALUES.index("lower_lid")], abs=1e-4)


def test_crops_are_the_same_for_the_same_numbers_and_plain_ones_lie_in_the_middle(pairs):
    from emotion_ros.training.eyes.eye_patches import plain_crop, training_crop

    eye = pairs[0].eyes[0]
    crops = [training_crop(eye, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert crops[0].shape == plain_crop(eye).shape == (32, 32)
    assert (crops[0] == crops[1]).all()
    assert (crops[0] != crops[2]).any()
    assert (plain_crop(eye) == eye.image[10:42, 10:42]).all()


def test_rare_heights_of_lids_are_drawn_more_often():
    from emotion_ros.training.eyes.eye_training import probabilities

    lids = [0.16] * 900 + [-0.04] * 100
    even, plain = probabilities(lids, 1.0), probabilities(lids, 0.0)
    assert (even.sum(), plain.sum()) == pytest.approx((1, 1))
    assert even[900:].sum() == pytest.approx(0.5)
    assert plain[900:].sum() == pytest.approx(0.1)


def test_training_writes_its_files_and_resumes(run_folder, data):
    from emotion_ros.training.eyes.eye_training import train_eyes

    assert {"batch.png", "best.ckpt", "last.ckpt", "metrics.csv"} <= {path.name for path in run_folder.iterdir()}
    assert train_eyes([data], run_folder, EyeTrainConfig(), resume=True).epochs == 2


def test_exported_file_is_recognized_runs_and_is_evaluated(run_folder, data, portrait, command_line, tmp_path):
    file = tmp_path / "eyes.onnx"
    result = command_line("export", run_folder / "best.ckpt", file, "--licence", "MIT")
    metadata = json.loads(result.stdout)
    assert (metadata["kind"], metadata["licence"], metadata["values"]) == ("eyes", "MIT", list(VALUES)), result.stderr
    random = np.random.default_rng(0).integers(0, 255, (3, 32, 32), np.uint8)
    assert EyelidNetwork(file, "cpu").values([*random]).shape == (3, 4)
    result = command_line("evaluate", f"emotion_eyes={file}", data, "--json")
    figures = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    ((name, sizes),) = figures["data"].items()
    assert name == data.name
    assert sizes["full size"]["faces"] > 0, result.stderr
    assert sizes["12 px"]["faces"] > 0
    assert 0 <= sizes["full size"]["lost"] <= 1


def test_share_of_lost_faces_and_the_gap_between_groups_are_in_the_table():
    from emotion_ros.training.eyes.eye_evaluation import SeenFace, figures_of, table

    attending, lost = SeenFace(20.0, AHEAD, 0.2, 0.19), SeenFace(20.0, AHEAD, -0.05, -0.04)
    wrongly_lost = SeenFace(20.0, AHEAD, -0.05, 0.2)
    row = figures_of([attending] * 30 + [lost] * 9 + [wrongly_lost])
    assert (row["faces"], row["lost"], row["open_lost"]) == (40, 0.25, pytest.approx(1 / 31))
    assert row["median"] == pytest.approx(0.01)
    assert row["correlation"] > 0.9
    few = figures_of([replace(lost, label=None)])
    assert few["correlation"] is few["median"] is few["open_lost"] is None
    groups = {"race": {"groups": {"White": row}, "gaps": {"lost": 0.1, "open_lost": 0.02}}}
    text = table({"data": {"photos": {"full size": row, "12 px": row, "8 px": few}}, "groups": groups, "face_ms": 0.3})
    assert "| photos | full size | 40 | 0.250 (0.142 to 0.402) | 0.032 | 0.9" in text
    assert "| photos | 12 px | 40 |" in text
    assert "| photos | 8 px |" not in text  # too few faces
    assert "| White | 40 | 0.250 (0.142 to 0.402) | 0.032 |" in text
    assert "| **largest gap** |  | **0.100** | **0.020** |" in text
