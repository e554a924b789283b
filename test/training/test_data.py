"""Reading labelled pictures: folders, zip files, FER2013's CSV, votes, crops."""

import csv
import os
import shutil
import struct
import tracemalloc
import zipfile

import cv2
import numpy as np
import pytest

from emotion_ros.config import PipelineConfig, TrainConfig
from emotion_ros.errors import ConfigError, DatasetError, OutputError
from emotion_ros.io import pictures as pictures_io
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.perception.emotion.preprocess import region_crop, to_input
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.training.classifier.classifier_training import train
from emotion_ros.training.data.datasets import read_split
from emotion_ros.training.data.readers import pictures
from emotion_ros.training.data.region_crop import RegionCrop, View
from emotion_ros.training.data.subset import draw, parse_classes
from emotion_ros.training.photo_archive import read_archive

RANDOM = np.random.default_rng(0)


def scene():
    """A random picture of smooth blobs."""
    return cv2.resize(RANDOM.integers(0, 255, (6, 6, 3), np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)


def fer2013_csv(folder, rows=60):
    """FER2013's CSV as Kaggle has it, and FER+'s votes beside it: happy is bright, sad is dark."""
    usages = ["Training"] * (rows - 20) + ["PublicTest"] * 10 + ["PrivateTest"] * 10
    with (
        (folder / "fer2013.csv").open("w", newline="") as file,
        (folder / "fer2013new.csv").open("w", newline="") as also,
    ):
        data, votes = csv.writer(file), csv.writer(also)
        data.writerow(("emotion", "pixels", "Usage"))
        votes.writerow(("Usage", "Image name", "neutral", "happiness", "surprise", "sadness", "NF"))
        for number, usage in enumerate(usages):
            happy = number % 2 == 0
            pixels = RANDOM.integers(150 if happy else 0, 250 if happy else 100, 48 * 48)
            data.writerow((3 if happy else 4, " ".join(map(str, pixels)), usage))
            votes.writerow((usage, f"fer{number:07}.png", 4, 6 if happy else 0, 1, 0 if happy else 3, 0))
    return folder


def test_csv_of_kaggle_is_read_with_the_votes_of_ferplus(tmp_path):
    fer2013_csv(tmp_path)
    for data in (tmp_path, tmp_path / "fer2013.csv"):
        samples = read_split(data, "test", View(48, "grey"))
        assert samples.labels == ("happy", "sad")
        assert len(samples) == 10
        assert all((samples.pixels[samples.classes == 0] >= 150).ravel())
        assert samples.votes.majority.tolist() == [0 if name.startswith("happy") else -1 for name in samples.names]
        assert samples.votes.shares[samples.classes == 1].tolist() == [[0.0, 1.0]] * 5
    assert len(read_split(tmp_path, "train", View(48, "grey"))) == 40


def test_csv_with_a_broken_row_or_other_columns_is_refused(tmp_path):
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n3,1 2 3,Training\n")
    with pytest.raises(DatasetError, match="row 2"):
        read_split(tmp_path, "train", View(48, "grey"))
    (tmp_path / "fer2013.csv").write_text("label,pixels\n3,1 2 3\n")
    with pytest.raises(DatasetError, match="emotion"):
        read_split(tmp_path, "train", View(48, "grey"))


def folders(root, splits):
    for name, count in splits.items():
        for label in ("happy", "sad"):
            (root / name / label).mkdir(parents=True)
            for number in range(count):
                cv2.imwrite(str(root / name / label / f"{number:02}.png"), scene())
    return root


def test_without_val_a_part_of_train_is_held_out(tmp_path, capsys):
    data = folders(tmp_path, {"train": 20, "test": 2})
    train, val = (read_split(data, split, View(48, "grey")) for split in ("train", "val"))
    assert (len(train), len(val)) == (36, 4)
    assert not {*train.names} & {*val.names}
    assert set(val.classes) == {0, 1}
    assert "no val split" in capsys.readouterr().err


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "PublicTest", "PrivateTest")])
def test_zip_of_folders_is_read_like_the_folders(tmp_path, names):
    data = folders(tmp_path / "data", dict(zip(names, (3, 2, 1), strict=True)))
    shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path, "data")
    for name in ("train", "val", "test"):
        inside, outside = (read_split(path, name, View(48, "rgb")) for path in (tmp_path / "all.zip", data))
        assert inside.names == outside.names
        assert np.array_equal(inside.pixels, outside.pixels)


def test_every_corrupt_picture_is_named(tmp_path):
    data = folders(tmp_path, {"train": 3, "val": 2})
    for name in ("happy/00.png", "sad/02.png"):
        (data / "train" / name).write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"2 pictures cannot be read.*happy/00\.png, sad/02\.png"):
        read_split(data, "train", View(48, "grey"))


def picture_zip(path, content, **options):
    with zipfile.ZipFile(path, "w", **{"compression": zipfile.ZIP_DEFLATED, **options}) as archive:
        archive.writestr("train/happy/a.png", content)
    return path


@pytest.mark.parametrize("declared", [None, 1000])
def test_picture_that_unpacks_to_gigabytes_takes_no_memory(tmp_path, declared):
    """The entry declares its size, or less: zipfile alone unpacks all of it before it compares."""
    path = picture_zip(tmp_path / "bomb.zip", bytes(pictures_io.MAX_PICTURE_BYTES + (64 << 20)))
    if declared:
        content = path.read_bytes()
        size = struct.pack("<I", pictures_io.MAX_PICTURE_BYTES + (64 << 20))
        assert content.count(size) == 2
        path.write_bytes(content.replace(size, struct.pack("<I", declared)))
    tracemalloc.start()
    with pytest.raises(DatasetError, match=r"expected at most 268435456 bytes|cannot be read"):
        list(pictures(path, "train"))
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_entry_that_zipfile_cannot_unpack_step_by_step_is_refused(tmp_path):
    path = picture_zip(tmp_path / "bz2.zip", bytes(1000), compression=zipfile.ZIP_BZIP2)
    with pytest.raises(DatasetError, match="expected a stored or deflated entry"):
        list(pictures(path, "train"))


def test_entry_that_is_longer_than_its_zip_is_refused(tmp_path):
    path = picture_zip(tmp_path / "long.zip", bytes(1000), compression=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\1\2")
    content[directory + 20 : directory + 28] = struct.pack("<II", 100_000, 100_000)  # sizes, packed and unpacked
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="cannot be read"):
        list(pictures(path, "train"))


@pytest.mark.parametrize(
    ("place", "value"),
    [("name in the directory", b"\xff\xfe"), ("version in the directory", b"\xff\xff")],
)
def test_zip_with_a_name_that_is_no_text_or_of_a_later_version_is_refused(tmp_path, place, value):
    path = tmp_path / "train.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("happy/\u00e9.png", bytes(10))
    content = bytearray(path.read_bytes())
    start = content.rindex("\u00e9".encode()) if place.startswith("name") else content.index(b"PK\1\2") + 6
    content[start : start + 2] = value
    path.write_bytes(content)
    for read in (lambda: pictures(tmp_path, "train"), lambda: read_archive(path)):
        with pytest.raises(DatasetError, match="expected a"):
            list(read())


def test_broken_zip_is_refused(tmp_path):
    (tmp_path / "train.zip").write_bytes(b"PK nothing")
    with pytest.raises(DatasetError, match="expected a zip file"):
        read_split(tmp_path, "train", View(48, "grey"))


def test_class_that_val_lacks_is_named(tmp_path):
    data = folders(tmp_path, {"train": 3, "val": 2})
    (data / "train" / "calm").mkdir()
    cv2.imwrite(str(data / "train" / "calm" / "0.png"), scene())
    with pytest.raises(DatasetError, match="none of calm"):
        train([data], tmp_path / "run", TrainConfig(pretrained="none", arch="tiny"))


def test_one_class_is_not_enough(tmp_path):
    data = folders(tmp_path, {"train": 3, "val": 2})
    shutil.rmtree(data / "train" / "sad")
    with pytest.raises(DatasetError, match="only 'happy'"):
        train([data], tmp_path / "run", TrainConfig(pretrained="none", arch="tiny"))


def test_regions_are_cropped_as_at_run_time(tmp_path, portrait):
    for label in ("happy", "sad"):
        (tmp_path / "test" / label).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "test" / label / "0.png"), portrait)
    metadata = ModelMetadata(
        ("happy", "sad"), size=64, color="rgb", mean=(0, 0, 0), std=(1, 1, 1), margin=0.1, shift=-0.05
    )
    samples = read_split(tmp_path, "test", View(64, "rgb", "face", 0.1, -0.05))
    pipeline = Pipeline(PipelineConfig(hands=False))
    (person,) = pipeline.perceive(portrait, 0.0).people
    pipeline.close()
    crop = region_crop(portrait, "face", person.face, (), metadata.margin, metadata.shift)
    expected = to_input([crop], 64, "rgb", metadata.mean, metadata.std)[0] * 255
    assert np.abs(samples.pixels[0] - expected).max() < 0.01
    whole = read_split(tmp_path, "test", View(64, "rgb", "frame")).pixels[0]
    assert np.abs(whole - to_input([portrait], 64, "rgb", metadata.mean, metadata.std)[0] * 255).max() < 0.01


def test_pictures_without_a_face_are_left_out_and_named(tmp_path, portrait, capsys):
    for label in ("happy", "sad"):
        (tmp_path / "test" / label).mkdir(parents=True)
        for number in range(2):
            cv2.imwrite(str(tmp_path / "test" / label / f"{number}.png"), portrait)
    cv2.imwrite(str(tmp_path / "test" / "sad" / "wall.png"), np.full_like(portrait, 90))
    assert len(read_split(tmp_path, "test", View(64, "grey"))) == 4
    assert "sad/wall.png" in capsys.readouterr().err
    for label in ("happy", "sad"):
        for number in range(2):
            cv2.imwrite(str(tmp_path / "test" / label / f"{number}.png"), np.full_like(portrait, 90))
    with pytest.raises(DatasetError, match="found no face"):
        read_split(tmp_path, "test", View(64, "grey"))


def test_drawn_pictures_have_the_new_names_and_depend_on_the_seed(tmp_path):
    data = folders(tmp_path / "data", {"test": 9})
    classes = parse_classes("joy=happy,grief=sad")
    assert draw(data, "test", classes, 7, tmp_path / "a", 1) == {"joy": 4, "grief": 3}
    for name, seed in (("b", 1), ("c", 2)):
        draw(data, "test", classes, 7, tmp_path / name, seed)
    a, b, c = ({path.relative_to(tmp_path / out) for path in (tmp_path / out).glob("*/*")} for out in "abc")
    assert a == b != c
    with pytest.raises(OutputError, match="expected an empty folder"):
        draw(data, "test", classes, 7, tmp_path / "a", 1)
    with pytest.raises(DatasetError, match="expected 10 pictures of happy, found 9"):
        draw(data, "test", classes, 20, tmp_path / "d", 1)
    for count in (-5, 1):
        with pytest.raises(ConfigError, match="expected a picture or more of each of 2 classes"):
            draw(data, "test", classes, count, tmp_path / "d", 1)
    for wrong in ("", "a=b=c", "a=happy,b=happy", "../a=happy"):
        with pytest.raises(ConfigError, match="classes: expected"):
            parse_classes(wrong)


def faces(root, portrait, count):
    """A train split of the portrait, ``count`` copies of two classes."""
    for label in ("happy", "sad"):
        (root / "train" / label).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(root / "train" / label / f"{number:02}.png"), portrait)
    return root


@pytest.mark.parametrize("without_face", ["happy/00.png", "happy/02.png", "sad/10.png"])
def test_picture_without_a_face_moves_no_held_out_picture_into_train(tmp_path, portrait, without_face):
    data = faces(tmp_path, portrait, 20)
    cv2.imwrite(str(data / "train" / without_face), np.full_like(portrait, 90))
    train, val = (read_split(data, split, View(48, "grey")) for split in ("train", "val"))
    assert not {*train.names} & {*val.names}
    assert len(train) + len(val) == 39
    held_out = {"happy/00.png", "happy/10.png", "sad/00.png", "sad/10.png"}
    assert {*val.names} == held_out - {without_face}


def test_face_that_fills_the_picture_is_found_with_a_border(portrait):
    picture = portrait[112:227, 305:415]
    with RegionCrop(View(48, "grey", crop="yes")) as crop:
        assert crop(picture) is not None
        assert crop(np.zeros_like(picture)) is None


def test_held_out_part_of_train_has_the_votes_of_train(tmp_path):
    data = folders(tmp_path, {"train": 10})
    names = [f"{label}/{number:02}.png" for label in ("happy", "sad") for number in range(10)]
    with (data / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("split", "file", "happiness", "sadness"))
        writer.writerows(("train", name, 2 + number, 4) for number, name in enumerate(names))
    for split, expected in (("train", {*names} - {"happy/00.png", "sad/00.png"}), ("val", {names[0], names[10]})):
        samples = read_split(data, split, View(48, "grey"))
        assert {*samples.names} == expected
        for name, shares in zip(samples.names, samples.votes.shares, strict=True):
            happy = 2 + names.index(name)
            assert shares == pytest.approx([happy / (happy + 4), 4 / (happy + 4)])


def test_votes_stay_with_their_pictures_when_one_is_left_out(tmp_path, portrait):
    data = faces(tmp_path, portrait, 4)
    cv2.imwrite(str(data / "train" / "happy" / "01.png"), np.full_like(portrait, 90))
    names = [f"{label}/{number:02}.png" for label in ("happy", "sad") for number in range(4)]
    with (data / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "split", "sadness", "happiness"))
        writer.writerows((name, "train", 4, 2 + number) for number, name in reversed(list(enumerate(names))))
    samples = read_split(data, "train", View(48, "grey"))
    assert samples.names == tuple(name for name in names if name not in ("happy/00.png", "happy/01.png"))
    assert samples.classes.tolist() == [0, 0, 1, 1, 1, 1]
    assert samples.votes.shares[:, 0] == pytest.approx([(2 + n) / (6 + n) for n in (2, 3, 4, 5, 6, 7)])


def test_class_whose_pictures_are_all_left_out_is_named(tmp_path, portrait):
    data = faces(tmp_path, portrait, 3)
    (data / "test").mkdir()
    for label in ("happy", "sad", "calm"):
        shutil.copytree(data / "train" / "happy", data / "test" / label)
    for number in range(3):
        cv2.imwrite(str(data / "test" / "calm" / f"{number:02}.png"), np.full_like(portrait, 90))
    with pytest.raises(DatasetError, match="no face in any picture of calm"):
        read_split(data, "test", View(48, "grey"))


def test_odd_entries_of_a_class_are_named_or_passed_over(tmp_path):
    data = folders(tmp_path, {"train": 3, "val": 2})
    happy = data / "val" / "happy"
    (happy / ".0001.7.partial.jpg").write_bytes(b"half a picture")
    (happy / "notes.txt").touch()
    assert len(read_split(data, "val", View(48, "grey"))) == 4
    (happy / "folder.jpg").mkdir()
    (happy / "gone.jpg").symlink_to(tmp_path / "nothing")
    os.mkfifo(happy / "pipe.jpg")
    with pytest.raises(DatasetError, match=r"3 pictures cannot be read.*folder\.jpg, happy/gone\.jpg, happy/pipe\.jpg"):
        read_split(data, "val", View(48, "grey"))


def test_drawn_pictures_overwrite_no_other(tmp_path):
    for name in ("happy/1.png", "happy/1.jpg", "surprise/1.png"):
        (tmp_path / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "test" / name), scene())
    counts = draw(tmp_path, "test", parse_classes("good=happy,good=surprise"), 2, tmp_path / "a", 1)
    assert counts == {"good": 2}
    assert sorted(path.name for path in (tmp_path / "a" / "good").iterdir()) == ["1-2.png", "1.png"]
