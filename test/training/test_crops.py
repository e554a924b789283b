"""Random crops of photos, labels of people and of a teacher, and the teacher's cells."""

import csv
import zipfile

import cv2
import numpy as np
import pytest

from emotion_ros.errors import ConfigError, DatasetError, ModelError
from emotion_ros.inference.catalog import default_face_model
from emotion_ros.perception.detection.cells import decode_cells
from emotion_ros.training.detector.crops import random_crop
from emotion_ros.training.detector.object_kinds import FACES, HANDS
from emotion_ros.training.detector.photos import Photo, intersection_over_union, is_held_out, read_photos
from emotion_ros.training.photo_archive import read_groups

YUNET = "models/face_detection_yunet_2026may.onnx"
DOTS = ((60, 50), (90, 50), (75, 70), (62, 90), (88, 90))


@pytest.fixture(scope="module")
def dots():
    """A photo with a face of five red dots, one at each landmark."""
    image = np.full((200, 300, 3), 90, np.uint8)
    for x, y in DOTS:
        cv2.circle(image, (x, y), 3, (0, 0, 255), -1)
    face = np.array([[45, 30, 60, 80, *np.ravel(DOTS), 1]], np.float32)
    return Photo("dots.png", image, face, face)


def redness(image, x, y):
    """How much redder a place is than the image."""
    difference = image[..., 2].astype(float) - image[..., 1]
    patch = difference[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2]
    return patch.mean() - difference.mean() if patch.size else np.nan


def test_landmarks_follow_the_pixels_through_mirroring_rotation_and_scale(dots):
    reds = []
    for seed in range(60):
        image, labels = random_crop(dots, FACES, 192, np.random.default_rng(seed))
        if not len(labels) or np.ptp(image[..., 2].astype(int) - image[..., 1]) < 40:  # a grey crop
            continue
        for x, y in labels[0, 4:14].reshape(5, 2):
            if 2 < x < 189 and 2 < y < 189:
                reds.append(redness(image, x, y))
    assert len(reds) > 60
    assert np.median(reds) > 20


def test_mirrored_landmarks_keep_the_side_of_the_person(dots):
    upright = 0
    for seed in range(60):
        _, labels = random_crop(dots, FACES, 192, np.random.default_rng(seed))
        for row in labels:
            if abs(row[5] - row[7]) < 0.2 * row[2]:
                assert row[4] < row[6], "the right eye is on the left of the image"
                upright += 1
    assert upright > 20


def test_objects_half_outside_or_tiny_are_ignored(dots):
    faces = np.concatenate([dots.faces, dots.faces])
    faces[1, :4] = 250, 150, 40, 40
    states = set()
    for seed in range(200):
        _, labels = random_crop(Photo("two.png", dots.image, faces, faces), FACES, 192, np.random.default_rng(seed))
        for x, y, width, height, *_, state in labels:
            inside = max(min(x + width, 192) - max(x, 0), 0) * max(min(y + height, 192) - max(y, 0), 0)
            assert state == float(inside / (width * height) >= 0.5 and min(width, height) >= 5.6)
            states.add(state)
    assert states == {0.0, 1.0}


def test_labels_and_pixels_have_the_same_middle_at_any_scale(dots, monkeypatch):
    from emotion_ros.training.detector import crops

    monkeypatch.setattr(crops, "simulate_camera", lambda image, _: image)
    image = np.zeros((200, 300, 3), np.uint8)
    image[60:80, 100:110] = 255
    face = np.array([[100, 60, 10, 20, *([105, 70] * 5), 1]], np.float32)
    differences = []
    for seed in range(80):
        crop, labels = random_crop(Photo("a.png", image, face, face), FACES, 256, np.random.default_rng(seed))
        bright = crop[..., 1].astype(float) * (crop[..., 1] == crop[..., 2])
        if len(labels) and labels[0, -1] and (labels[0, :2] > 2).all() and (labels[0, :2] + labels[0, 2:4] < 250).all():
            inside = np.zeros_like(bright)
            low, high = labels[0, :2].astype(int) - 2, (labels[0, :2] + labels[0, 2:4]).astype(int) + 3
            inside[low[1] : high[1], low[0] : high[0]] = bright[low[1] : high[1], low[0] : high[0]]
            y, x = np.indices(inside.shape)
            middle = np.array([(inside * x).sum(), (inside * y).sum()]) / inside.sum() + 0.5
            differences.append(middle - labels[0, 4:6])
    assert len(differences) > 15
    assert np.abs(np.median(differences, 0)).max() < 0.1


def test_crops_of_a_photo_without_objects_and_of_one_pixel():
    for shape in ((40, 60, 3), (1, 1, 3)):
        none = np.zeros((0, 9), np.float32)
        image, labels = random_crop(
            Photo("a.png", np.zeros(shape, np.uint8), none, none), HANDS, 96, np.random.default_rng(1)
        )
        assert image.shape == (96, 96, 3)
        assert labels.shape == (0, 9)


@pytest.fixture
def folder(tmp_path):
    """A folder with one photo, three faces of a teacher, and two boxes drawn by people."""
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.png", cv2.imencode(".png", np.zeros((100, 200, 3), np.uint8))[1].tobytes())
    faces = [(10, 10, 20, 20, 0.9), (100, 10, 20, 20, 0.6), (150, 60, 30, 30, 0.95)]
    with (tmp_path / "faces.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *FACES.columns, "score"])
        writer.writerows(["a.png", x, y, w, h, *range(10), score] for x, y, w, h, score in faces)
    return tmp_path


def test_doubtful_faces_of_a_teacher_are_ignored_in_training_and_count_in_evaluation(folder):
    (photo,) = read_photos(folder)
    assert photo.faces[:, -1].tolist() == [1, 0, 1]
    assert photo.truth[:, -1].tolist() == [1, 1, 1]


def test_boxes_drawn_by_people_decide_what_is_a_face(folder):
    (folder / "boxes.csv").write_text("file,x,y,w,h\na.png,101,11,20,20\na.png,50,50,10,12\n")
    (photo,) = read_photos(folder)
    states = {row[0]: row[-1] for row in photo.faces.tolist()}
    assert states == {10.0: 0, 100.0: 1, 150.0: 0, 50.0: 1}
    assert photo.truth[:, :4].tolist() == [[101, 11, 20, 20], [50, 50, 10, 12]]
    assert photo.truth[0, 4:14].tolist() == [*range(10)]
    assert np.isnan(photo.truth[1, 4:14]).all()


def test_large_photos_are_reduced_together_with_their_labels(folder):
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        archive.writestr("a.png", cv2.imencode(".png", np.zeros((2560, 1000, 3), np.uint8))[1].tobytes())
    (folder / "boxes.csv").write_text("file,x,y,w,h\na.png,101,11,20,20\n")
    (photo,) = read_photos(folder)
    assert photo.image.shape == (1280, 500, 3)
    assert photo.truth[0].tolist() == [50.5, 5.5, 10, 10, *(value / 2 for value in range(10)), 1]
    assert [50, 5, 10, 10] in photo.faces[:, :4].tolist()


def test_boxes_of_faces_are_none_of_hands(folder):
    (folder / "boxes.csv").write_text("file,x,y,w,h\na.png,101,11,20,20\n")
    (folder / "hands.csv").write_text(f"file,{','.join(HANDS.columns)}\na.png,50,50,20,20,60,70,60,55\n")
    (photo,) = read_photos(folder, HANDS)
    assert photo.faces.tolist() == photo.truth.tolist() == [[50, 50, 20, 20, 60, 70, 60, 55, 1]]


def test_photos_with_labels_of_other_objects_only_are_refused(folder):
    with pytest.raises(DatasetError, match=r"labels of hands; these columns are missing: wrist_x"):
        read_photos(folder, HANDS)
    labels = folder / "faces.csv"
    labels.write_text(labels.read_text().replace("mouth_left_y", "mouth_left_Y"))
    with pytest.raises(DatasetError, match=r"these columns are missing: mouth_left_y$"):
        read_photos(folder)


@pytest.mark.parametrize("damage", ["empty picture", "damaged data", "encrypted"])
def test_damaged_archive_is_one_clear_error(folder, damage):
    archive = folder / "photos.zip"
    if damage == "empty picture":
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr("a.png", b"")
    else:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr("a.png", bytes(range(256)) * 40)
        content = bytearray(archive.read_bytes())
        if damage == "encrypted":
            content[6] |= 1
            content[content.index(b"PK\x01\x02") + 8] |= 1
        else:
            content[35:60] = b"\xff" * 25
        archive.write_bytes(content)
    with pytest.raises(DatasetError, match=r"photos|a\.png"):
        read_photos(folder)


def test_group_of_a_short_row_is_empty(folder):
    (folder / "groups.csv").write_text("file,age,sex\na.png,20-29\n")
    assert read_groups(folder) == {"a.png": {"age": "20-29", "sex": ""}}


def test_folder_without_labels_has_photos_without_faces(folder):
    (folder / "faces.csv").unlink()
    (photo,) = read_photos(folder)
    assert len(photo.faces) == len(photo.truth) == 0
    assert read_groups(folder) == {}
    (folder / "groups.csv").write_text("file,age\na.png,20-29\n")
    assert read_groups(folder) == {"a.png": {"age": "20-29"}}
    (folder / "groups.csv").write_text("name,age\na.png,20-29\n")
    with pytest.raises(DatasetError, match="a column file"):
        read_groups(folder)


def test_imitation_is_best_where_the_teacher_is_matched_and_ignores_its_false_faces():
    torch = pytest.importorskip("torch")
    from emotion_ros.training.detector.detection_loss import Cells, imitation_loss

    boxes = torch.tensor([[[10.0, 10, 30, 30], [60, 60, 80, 80]]])
    teacher = Cells(torch.tensor([[4.0, 4.0]]), boxes, torch.zeros(1, 2, 10))
    faces = torch.tensor([[[10.0, 10, 20, 20, *[0.0] * 10, 1]]])  # the second is a false one

    def loss(scores, shift=0.0):
        return imitation_loss(
            Cells(torch.tensor([scores]), boxes + shift, torch.zeros(1, 2, 10)), teacher, faces
        ).item()

    assert loss([4.0, -6.0]) < loss([4.0, 4.0])
    assert loss([4.0, -6.0]) < loss([-6.0, -6.0])
    assert loss([4.0, -6.0]) < loss([4.0, -6.0], 5.0)


def test_teacher_sees_the_face_in_its_cells(shared, portrait):
    from emotion_ros.training.detector.teacher import YuNetTeacher

    rows = decode_cells(YuNetTeacher(shared(YUNET))(portrait), 480, 640, 0.5)
    assert len(rows) == 1
    assert intersection_over_union(rows, np.array([[305, 112, 110, 115]], np.float32))[0, 0] > 0.6
    right, left, nose = rows[0, 4:10].reshape(3, 2)
    assert right[0] < nose[0] < left[0]


def test_file_that_is_no_yunet_is_refused_as_a_teacher(tmp_path):
    pytest.importorskip("torch")
    from emotion_ros.training.detector.teacher import YuNetTeacher

    for path in (default_face_model(), tmp_path / "none.onnx"):
        with pytest.raises(ModelError, match="expected"):
            YuNetTeacher(path)


@pytest.mark.parametrize("command", ["label-faces", "label-hands"])
def test_missing_archive_is_named(command, tmp_path, command_line):
    detector = command.replace("label", "emotion").replace("-", "_")
    result = command_line(command, tmp_path, "--teacher", detector)
    assert result.returncode == 1
    assert f"{tmp_path}: expected photos.zip, found none" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_teacher_of_faces_is_refused_for_hands(folder):
    pytest.importorskip("torch")
    from emotion_ros.config import DetectorTrainConfig
    from emotion_ros.training.detector.training_images import read_training_photos

    with pytest.raises(ConfigError, match="expected none for hands, got yunet_2026may"):
        read_training_photos([folder], DetectorTrainConfig(kind="hands", teacher="yunet_2026may"))


def test_evaluation_needs_photos_that_are_held_out(folder, command_line):
    with zipfile.ZipFile(folder / "photos.zip") as archive:
        assert not any(is_held_out(name) for name in archive.namelist())
    result = command_line("evaluate", "emotion_faces", folder)
    assert result.returncode == 1
    assert "expected photos that are held out" in result.stderr


def test_faces_are_labelled_at_a_larger_size_and_written_in_pixels_of_the_photo(photos, tmp_path):
    from emotion_ros.training.detector.face_labels import label_photos
    from emotion_ros.types import Box, Face

    class Known:
        """Finds one face in each photo that is not black."""

        def detect(self, image, confidence, minimum):
            points = np.array([(16, 16), (32, 16), (24, 24), (24, 32), (20, 32), (28, 32)], np.float32)
            return [Face(Box(8, 8, 32, 48), 0.8, points)] * bool(image.any())

    assert label_photos(photos, tmp_path / "faces.csv", Known()) == (61, 60)
    with (tmp_path / "faces.csv").open() as file:
        rows = list(csv.DictReader(file))
    (empty,) = [row for row in rows if not row["x"]]
    assert empty["file"] == "empty.png"
    assert [float(rows[0][name]) for name in ("x", "y", "w", "h", "nose_x", "mouth_right_x")] == [
        5,
        5,
        20,
        30,
        15,
        12.5,
    ]
