"""The command capture: labelled pictures from a camera, a video or a folder."""

import csv

import cv2
import numpy as np
import pytest

from emotion_ros.cli.capture_session import capture
from emotion_ros.errors import ConfigError, SourceError
from emotion_ros.io.dataset_writer import CAPTURES_CSV, CaptureRequest
from emotion_ros.perception.requirements import MIN_PICTURE_SHARPNESS, create_check, picture_sharpness


def test_each_capture_continues_the_numbers_and_is_one_burst(tmp_path, portrait, capsys):
    cv2.imwrite(str(tmp_path / "face.png"), portrait)
    request = CaptureRequest("happy", tmp_path / "mine", count=1)
    for _ in range(2):
        assert capture(request, str(tmp_path / "face.png")) == 1
    (tmp_path / "mine" / "sad").mkdir()
    assert capture(request, "sample") == 1
    names = sorted(path.name for path in (tmp_path / "mine" / "happy").iterdir())
    assert names == ["happy0001.jpg", "happy0002.jpg", "happy0003.jpg"]
    with (tmp_path / "mine" / CAPTURES_CSV).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == names
    assert len({row["burst"] for row in rows}) == 3
    assert rows[0]["time"].endswith("+00:00")
    assert "happy 3 (147 to go), sad 0 (150 to go)" in capsys.readouterr().out


def test_interval_is_kept(tmp_path):
    assert capture(CaptureRequest("happy", tmp_path, count=100, every=1.0), "sample") == 6


def test_blurred_pictures_and_those_without_a_face_are_rejected(tmp_path, portrait, capsys):
    cv2.imwrite(str(tmp_path / "1.png"), cv2.blur(portrait, (25, 25)))
    cv2.imwrite(str(tmp_path / "2.png"), np.roll(portrait[280:], 7, 1))
    cv2.imwrite(str(tmp_path / "3.png"), portrait)
    assert capture(CaptureRequest("happy", tmp_path / "mine", every=0), str(tmp_path), ("sharp", "face")) == 1
    errors = capsys.readouterr().err
    assert "rejected: blurred" in errors
    assert "rejected: no face" in errors


def test_sharpness_falls_with_blur_but_not_with_light(portrait):
    rows = np.zeros((25, 25), np.float32)
    rows[12] = 1 / 25
    blurred = (cv2.blur(portrait, (5, 5)), cv2.blur(portrait, (25, 25)), cv2.filter2D(portrait, -1, rows))
    assert all(picture_sharpness(image) < MIN_PICTURE_SHARPNESS for image in blurred)
    assert all(picture_sharpness(image) > MIN_PICTURE_SHARPNESS for image in (portrait, portrait // 4))
    assert picture_sharpness(np.full_like(portrait, 90)) == 0.0


def test_webcam_pictures_are_sharp_until_they_are_blurred(shared):
    import zipfile

    with zipfile.ZipFile(shared("data/hands/images.zip")) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][::20]
        images = [cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR) for name in names]
    assert min(picture_sharpness(image) for image in images) > 1.5 * MIN_PICTURE_SHARPNESS
    assert max(picture_sharpness(cv2.blur(image, (9, 9))) for image in images) < 0.5 * MIN_PICTURE_SHARPNESS


def test_unknown_requirement_is_refused():
    with pytest.raises(ConfigError, match="expected sharp, face, hand, got tail"):
        create_check(("sharp", "tail"))


def test_source_that_cannot_be_read_leaves_no_class(tmp_path):
    with pytest.raises(SourceError):
        capture(CaptureRequest("sad", tmp_path), str(tmp_path / "missing.mp4"))
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_created_is_one_clear_error(command_line):
    result = command_line("capture", "--label", "happy", "--out", "/proc/none", "--source", "sample")
    assert result.returncode == 1
    assert "can be written to" in result.stderr
