"""Labelled pictures on disk: none is overwritten, none is half written."""

import csv
import multiprocessing
import resource

import cv2
import numpy as np
import pytest

from emotion_ros.errors import ConfigError, OutputError
from emotion_ros.io.dataset_writer import CAPTURES_CSV, CaptureRequest, DatasetWriter

RANDOM = np.random.default_rng(0)


def picture(value=128):
    return np.full((24, 32, 3), value, np.uint8)


def rows(folder):
    with (folder / CAPTURES_CSV).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("label", ["happy", "happy[1]", "what?", "*", "[!a]", "1", "très bien"])
def test_second_writer_of_a_label_overwrites_nothing(tmp_path, label):
    values = (10, 90, 170, 250)
    for value in values:
        DatasetWriter(CaptureRequest(label, tmp_path)).add(picture(value), "test")
    paths = sorted((tmp_path / label).iterdir())
    assert [path.name for path in paths] == [f"{label}{number:04}.jpg" for number in range(1, 5)]
    assert [int(cv2.imread(str(path))[0, 0, 0]) for path in paths] == pytest.approx(values, abs=2)
    assert [row["file"] for row in rows(tmp_path)] == [path.name for path in paths]


def test_numbers_of_deleted_pictures_are_not_used_again(tmp_path):
    writer = DatasetWriter(CaptureRequest("happy", tmp_path))
    first, second = (writer.add(picture(), "test") for _ in range(2))
    first.unlink()
    assert DatasetWriter(CaptureRequest("happy", tmp_path)).add(picture(), "test").name == "happy0003.jpg"
    assert second.is_file()


def add_many(folder, barrier, value):
    writer = DatasetWriter(CaptureRequest("happy", folder))
    barrier.wait()
    for _ in range(50):
        writer.add(picture(value), str(value))


def test_two_writers_at_once_lose_no_picture(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    writers = [context.Process(target=add_many, args=(tmp_path, barrier, value)) for value in (40, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    written = {row["file"]: int(row["source"]) for row in rows(tmp_path)}
    assert len(written) == len(rows(tmp_path)) == 100
    for name, value in written.items():
        assert cv2.imread(str(tmp_path / "happy" / name))[0, 0, 0] == pytest.approx(value, abs=2)
    assert len(list((tmp_path / "happy").iterdir())) == 100


def test_dangling_link_with_the_next_name_is_not_followed(tmp_path):
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / "happy0000.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    (tmp_path / "happy" / "happy0001.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    assert DatasetWriter(CaptureRequest("happy", tmp_path)).add(picture(), "test").name == "happy0002.jpg"
    assert not (tmp_path / "elsewhere.jpg").exists()


def test_picture_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path):
    writer = DatasetWriter(CaptureRequest("happy", tmp_path))
    kept = writer.add(picture(), "test")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            writer.add(RANDOM.integers(0, 255, (480, 640, 3), np.uint8), "test")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((tmp_path / "happy").iterdir()) == [kept]
    assert [row["file"] for row in rows(tmp_path)] == [kept.name]
    assert writer.add(picture(), "test").is_file()


def test_class_without_a_picture_leaves_no_folder(tmp_path):
    first, second = (DatasetWriter(CaptureRequest("happy", tmp_path)) for _ in range(2))
    first.close()
    assert not list(tmp_path.iterdir())
    kept = second.add(picture(), "test")
    second.close()
    assert kept.is_file()


def test_summary_counts_pictures_of_each_class_and_no_other_files(tmp_path):
    writer = DatasetWriter(CaptureRequest("happy", tmp_path))
    writer.add(picture(), "test")
    (tmp_path / "sad").mkdir()
    for name in ("a.png", "b.JPG", "notes.txt", ".c.partial.jpg"):
        (tmp_path / "sad" / name).touch()
    assert writer.summary() == "happy 1 (149 to go), sad 2 (148 to go)"


@pytest.mark.parametrize(
    "flaw",
    [{"label": name} for name in ("", " ", "a/b", "a\\b", ".x", "a\0b", "a\nb", CAPTURES_CSV)]
    + [{"count": 0}, {"every": -1}],
)
def test_impossible_request_is_refused(tmp_path, flaw):
    with pytest.raises(ConfigError, match="expected"):
        CaptureRequest(**{"label": "happy", "out": tmp_path, **flaw})
