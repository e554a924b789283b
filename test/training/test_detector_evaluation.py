"""Figures of face detectors: loss, matching, average precision, labels of YOLO, comparison."""

import cv2
import numpy as np
import pytest

from emotion_ros.errors import DatasetError
from emotion_ros.perception.detection.cells import cell_centres, decode_cells, values_per_cell
from emotion_ros.training.detector import detector_comparison
from emotion_ros.training.detector.detector_evaluation import LabelledImage, measure, read_yolo
from emotion_ros.training.detector.matching import average_precision, match_faces
from emotion_ros.types import Box, Face


def test_values_of_cells_become_boxes_and_landmarks():
    values = np.full((40 * 40 + 20 * 20 + 10 * 10, values_per_cell(5)), 0, np.float32)
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


def test_minimum_of_the_loss_is_at_the_labelled_faces():
    torch = pytest.importorskip("torch")
    from emotion_ros.training.detector.detection_loss import decode, loss

    points, strides = (torch.from_numpy(values) for values in cell_centres(160, 160))
    faces = torch.full((2, 3, 15), -1.0)
    faces[0, 0] = torch.tensor([40.0, 50, 30, 40, 45, 60, 62, 60, 54, 70, 46, 80, 62, 80, 1])
    faces[1, :2] = torch.tensor(
        [[10.0, 10, 9, 11, 12, 13, 16, 13, 14, 16, 12, 18, 16, 18, 1], [80.0, 0, 90, 120, *[90] * 10, 0]]
    )
    values = torch.zeros(2, len(points), values_per_cell(5))
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


def test_figures_of_a_detector_with_known_detections():
    class KnownDetector:
        """Detects one face exactly, one inexactly, one that is none, and one that is ignored."""

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
    figures = measure(KnownDetector(), [LabelledImage(np.zeros((500, 500, 3), np.uint8), faces)], 0.5)
    assert figures.recall == {96: 0.0, 48: 0.5, 24: pytest.approx(2 / 3), 16: pytest.approx(2 / 3)}
    assert figures.faces == {96: 1, 48: 2, 24: 3, 16: 3}
    assert figures.precision == {96: 0.0, 48: 0.5, 24: pytest.approx(2 / 3), 16: pytest.approx(2 / 3)}
    assert figures.false == 1
    assert figures.average_precision == pytest.approx(2 / 3)
    assert figures.landmark_error == pytest.approx(0.1)


def test_average_precision_is_the_area_under_the_curve():
    faces = np.ones((2, 15), np.float32)
    faces[:, :4] = (0, 0, 10, 10), (50, 50, 10, 10)
    found = np.zeros((3, 15), np.float32)
    found[:, :4] = (0, 0, 10, 10), (90, 90, 10, 10), (50, 50, 10, 10)
    found[:, 14] = 0.9, 0.8, 0.7
    match = match_faces(found, faces, 0.5)
    assert average_precision([match]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([]) == 0.0


def test_labels_of_yolo(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((100, 200, 3), np.uint8))
    with pytest.raises(DatasetError, match="labels"):
        list(read_yolo(tmp_path))
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.2\n")
    (picture,) = read_yolo(tmp_path)
    assert picture.faces[0, :4].tolist() == pytest.approx([90, 40, 20, 20])
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 x\n")
    with pytest.raises(DatasetError, match="expected lines"):
        list(read_yolo(tmp_path))


def test_face_found_twice_counts_once_and_ignored_faces_do_not_count():
    faces = np.zeros((2, 15), np.float32)
    faces[:, :4], faces[:, 14] = [(0, 0, 10, 10), (50, 50, 10, 10)], [1, 0]
    detections = np.zeros((4, 15), np.float32)
    detections[:, :4] = (1, 0, 10, 10), (0, 0, 10, 10), (50, 50, 10, 10), (90, 90, 5, 5)
    detections[:, 14] = 0.6, 0.9, 0.8, 0.7
    match = match_faces(detections, faces, 0.4)
    assert match.detections[:, 14] == pytest.approx([0.9, 0.7, 0.6])
    assert match.is_face.tolist() == [True, False, False]
    assert match.face_index.tolist() == [0, -1, -1]
    assert match.face_count == 1


def test_comparison_has_a_row_per_detector_and_kind_of_image(photos, monkeypatch):
    monkeypatch.setattr(detector_comparison, "SCENE_COUNT", 5)
    rows = detector_comparison.compare(["mediapipe"], [photos], "", 0.5)
    assert [(row["detector"], row["pictures"]) for row in rows] == [("mediapipe", photos.name), ("mediapipe", "scenes")]
    assert rows[0]["recall"][96] == 1.0
    lines = detector_comparison.table(rows).splitlines()
    assert len(lines) == 4
    assert lines[0].strip("| ").split(" | ")[:4] == ["pictures", "detector", "≥ 96 px", "≥ 48 px"]
    assert len({line.count("|") for line in lines}) == 1
