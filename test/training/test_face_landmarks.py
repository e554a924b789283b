"""The network of face landmarks and head pose: labels, turned faces, crops, training, export, evaluation."""

import dataclasses
import json
import math

import numpy as np
import pytest

from emotion_ros.config import FaceTrainConfig, PipelineConfig
from emotion_ros.errors import DatasetError
from emotion_ros.perception.head_pose import angle_between, to_pose, to_rotation
from emotion_ros.training.faces.mean_face import mean_face, points_of, rotation_of
from emotion_ros.training.faces.mesh_labels import LABELS, MIRRORED_POINTS, MeshTeacher, read_labels
from emotion_ros.types import HeadPose

pytest.importorskip("mediapipe", reason="the teacher is MediaPipe Face Mesh")
pytest.importorskip("torch")


@pytest.fixture(scope="module")
def data(photos, command_line):
    result = command_line("label-meshes", photos)
    assert "face_meshes.npz" in result.stdout, result.stderr
    return photos


@pytest.fixture(scope="module")
def labels(data):
    return read_labels(data / LABELS)


@pytest.fixture(scope="module")
def head(labels):
    from emotion_ros.training.faces.face_patches import head_model

    return head_model([labels])


@pytest.fixture(scope="module")
def patches(data, labels, head):
    from emotion_ros.training.faces.face_patches import read_patches

    return list(read_patches(data, labels, head, 2))


@pytest.fixture(scope="module")
def run_folder(data, tmp_path_factory):
    from emotion_ros.training.faces.face_training import train_face_landmarks

    folder = tmp_path_factory.mktemp("run")
    config = FaceTrainConfig(epochs=2, crops=64, batch_size=16)
    assert train_face_landmarks([data], folder, config).epochs == 2
    return folder


def test_portraits_are_labelled_with_the_eyes_of_the_detector(labels):
    assert len(labels.names) >= 50
    pupils = points_of(labels.meshes)[:, 68:, :2]
    assert np.abs(pupils - labels.landmarks[:, :2]).max() < 10


def test_other_files_are_no_labels(tmp_path):
    (tmp_path / LABELS).write_bytes(b"none")
    with pytest.raises(DatasetError, match="expected a file of emotion-ros label-meshes"):
        read_labels(tmp_path / LABELS)


@pytest.mark.parametrize("array", ["landmarks", "meshes"])
def test_labels_with_values_that_are_not_finite_are_refused(labels, array, tmp_path):
    arrays = {field.name: getattr(labels, field.name).copy() for field in dataclasses.fields(labels)}
    arrays[array][0] = math.nan
    np.savez(tmp_path / LABELS, **arrays)
    with pytest.raises(DatasetError, match="not finite"):
        read_labels(tmp_path / LABELS)


def test_mean_face_is_symmetric_and_looks_at_the_viewer(labels, head):
    assert head.points[list(MIRRORED_POINTS)] * (-1, 1, 1) == pytest.approx(head.points)
    poses = [to_pose(rotation_of(points, head.points)) for points in points_of(labels.meshes)]
    assert abs(np.median([pose.pitch for pose in poses])) < 0.02
    turn = to_rotation(HeadPose(0.3, 0.0, 0.1))
    again = mean_face([points @ turn.T for points in points_of(labels.meshes[:3])])
    assert angle_between(rotation_of(again, head.points), np.eye(3)) < 0.1


@pytest.mark.parametrize(("yaw", "pitch"), [(30, 0), (-30, 0), (0, 15), (0, -15)])
def test_teacher_sees_the_turn_of_a_turned_portrait(portrait, labels, head, yaw, pitch):
    from emotion_ros.training.faces.turned_faces import turned

    landmarks = np.array([(335, 155), (380, 150), (358, 175), (359, 193)], np.float32)
    teacher = MeshTeacher()
    mesh = teacher(portrait, landmarks)
    before = rotation_of(points_of(mesh), head.points)
    turn = to_rotation(HeadPose(math.radians(yaw), math.radians(pitch), 0.0))
    image, moved = turned(portrait, mesh, turn, head.triangles)
    points = points_of(moved)
    seen = teacher(image, np.stack([points[68], points[69], points[30], points[[48, 54]].mean(0)])[:, :2])
    assert math.degrees(angle_between(rotation_of(points_of(seen), head.points), turn @ before)) < 12


def test_expression_of_a_person_who_turns_away_has_less_weight(portrait, head):
    from emotion_ros.perception.pipeline import Pipeline
    from emotion_ros.training.faces.turned_faces import turned

    mesh = MeshTeacher()(portrait, np.array([(335, 155), (380, 150), (358, 175), (359, 193)], np.float32))
    qualities = []
    pipeline = Pipeline(PipelineConfig(hands=False, provider="cpu"))
    for yaw in (0, 40, 50):
        image, _ = turned(portrait, mesh, to_rotation(HeadPose(math.radians(yaw), 0.0, 0.0)), head.triangles)
        pipeline.reset()
        (person,) = pipeline.perceive(image, 0.0).people
        qualities.append(person.quality)
    pipeline.close()
    assert qualities[0] == 1.0
    assert 0.1 < qualities[1] < 0.7
    assert qualities[2] < 0.2


def test_crops_follow_the_face_and_mirroring_swaps_its_sides(patches):
    from emotion_ros.perception.face_points import rotation_of_columns
    from emotion_ros.training.faces.face_crops import ROTATION, plain_crop, training_crop

    image, target = plain_crop(next(patch for patch in patches if not patch.held_out))
    assert image.shape == (64, 64)
    random = np.random.default_rng(0)
    for _ in range(50):
        image, target = training_crop(patches, random)
        points, rotation = target[:ROTATION].reshape(-1, 2), rotation_of_columns(target[ROTATION:])
        yaw = to_pose(rotation).yaw
        nose = points[30, 0] - points[[68, 69], 0].mean()
        if abs(yaw) > 0.6:
            assert np.sign(nose) == np.sign(yaw)
        assert (points[8] - points[27])[1] > 0
        if abs(yaw) < 0.6:
            assert points[69, 0] > points[68, 0]


def test_only_faces_of_training_photos_are_turned(patches):
    held_out = [patch.name for patch in patches if patch.held_out]
    assert len(held_out) == len(set(held_out)) > 0
    assert max(abs(to_pose(patch.rotation).yaw) for patch in patches) > 0.8


def test_face_beyond_the_left_border_is_turned_too(data, labels, head):
    from emotion_ros.training.faces.face_patches import read_patches

    left = labels.landmarks[..., 0].max() + 20
    beyond = dataclasses.replace(
        labels, landmarks=labels.landmarks - np.float32((left, 0)), meshes=labels.meshes - np.float32((left, 0, 0))
    )
    patches = [patch for patch in read_patches(data, beyond, head, 1) if not patch.held_out]
    assert len(patches) == 2 * len({patch.name for patch in patches}) > 0


def test_labels_of_photos_that_are_missing_are_refused(data, labels, head):
    from emotion_ros.training.faces.face_patches import read_patches

    other = dataclasses.replace(labels, names=np.array([f"other-{name}" for name in labels.names]))
    with pytest.raises(DatasetError, match=r"photos that face_meshes.npz names, \d+ are missing"):
        list(read_patches(data, other, head, 0))


def test_training_writes_its_files_and_resumes(run_folder, data):
    from emotion_ros.training.faces.face_training import train_face_landmarks

    assert {"batch.png", "best.ckpt", "last.ckpt", "metrics.csv"} <= {path.name for path in run_folder.iterdir()}
    assert train_face_landmarks([data], run_folder, FaceTrainConfig(), resume=True).epochs == 2


def test_losses_vanish_only_at_the_target(patches):
    import torch

    from emotion_ros.training.faces.face_crops import plain_crop
    from emotion_ros.training.faces.face_training import landmark_losses, pose_errors

    target = torch.from_numpy(plain_crop(patches[0])[1])[None]
    wrong = target.clone()
    wrong[:, 0] += 10
    wrong[:, 140:] = torch.tensor([0.0, 1, 0, -1, 0, 0])
    assert [float(loss) for loss in landmark_losses(target, target).values()] == pytest.approx([0, 0], abs=1e-6)
    assert all(float(loss) > 0.01 for loss in landmark_losses(wrong, target).values())
    assert math.degrees(float(pose_errors(wrong, target))) > 60


def test_losses_are_computed_on_any_device():
    import torch

    from emotion_ros.training.faces.face_training import landmark_losses

    values = torch.zeros(2, 146, device="meta")  # as any GPU, it refuses tensors of the CPU
    assert {loss.device.type for loss in landmark_losses(values, values).values()} == {"meta"}


def test_exported_file_is_recognized_and_evaluated(run_folder, data, command_line, tmp_path):
    file = tmp_path / "landmarks.onnx"
    result = command_line("export", run_folder / "best.ckpt", file, "--licence", "MIT")
    metadata = json.loads(result.stdout)
    assert (metadata["kind"], metadata["licence"], len(metadata["shape"])) == ("face_landmarks", "MIT", 70)
    result = command_line("evaluate", f"emotion_face_landmarks={file}", data, "--json")
    figures = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert set(figures) == {"network", "detector's landmarks", "teacher"}, result.stderr
    assert figures["network"]["labels"]["all"]["faces"] > 0
    assert figures["network"]["turns"]["yaw"]["30"]["found"] > 0.5


def test_table_shows_errors_of_labels_and_of_turns():
    from emotion_ros.training.faces.face_evaluation import PoseFigures, table

    figures = PoseFigures()
    figures.labels["under 64 px"] = [(1.0, -2.0, 3.0), (3.0, 2.0, -1.0)]
    figures.turns["yaw"][30] = [(-2.0, 0.4), (float("nan"), float("nan"))]
    text = table({"network": figures.summary()})
    assert "| network | under 64 px | 2 | 2.0 / 2.8 | 2.0 / 2.0 | 2.0 / 2.8 |" in text
    assert "| network | yaw 30° | 0.50 | -2.0 | 2.0 / 2.0 | 0.00 |" in text
