"""Pictures of one's own: capture and split."""

import csv
import os
import shutil

import cv2
import numpy as np
import pytest

from emotion_ros.cli.capture_session import capture
from emotion_ros.config import PipelineConfig, TrainConfig
from emotion_ros.errors import ConfigError, DatasetError, OutputError
from emotion_ros.io.dataset_writer import CAPTURES, Request
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.perception.emotion.preprocess import region_crop, to_input
from emotion_ros.perception.loaded_models import create_face_detector
from emotion_ros.perception.requirements import sharpness
from emotion_ros.training.classifier.classifier_training import train
from emotion_ros.training.data.dataset_split import SPLITS, parse_shares, split
from emotion_ros.training.data.datasets import read_split
from emotion_ros.training.data.region_crop import View
from emotion_ros.training.data.subset import draw, parse_classes

RANDOM = np.random.default_rng(0)


def scene():
    """A picture like no other: smooth blobs."""
    return cv2.resize(RANDOM.integers(0, 255, (6, 6, 3), np.uint8), (96, 96), interpolation=cv2.INTER_CUBIC)


def noisy(image):
    """The same scene a moment later."""
    return np.clip(image.astype(int) + RANDOM.integers(-4, 5, image.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def pictures(tmp_path):
    """Two classes of twelve scenes, each seen three times: b<scene>_<moment>.png."""
    for label in ("happy", "sad"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for number in range(12):
            image = scene()
            for moment in range(3):
                cv2.imwrite(str(tmp_path / "mine" / label / f"b{number:02}_{moment}.png"), noisy(image))
    return tmp_path / "mine"


def sides(folder):
    return {
        f"{path.parent.name}/{path.name}": path.parent.parent.name
        for name in SPLITS
        for path in folder.glob(f"{name}/*/*")
    }


def test_pictures_of_one_scene_stay_on_one_side(pictures, tmp_path):
    done = split(pictures, tmp_path / "out", "50/25/25", seed=1)
    sided = sides(tmp_path / "out")
    assert len(sided) == 72
    for file, side in sided.items():
        assert all(sided[f"{file[:-5]}{moment}.png"] == side for moment in range(3))
    assert done.groups == 24
    assert done.together == 72
    assert {name: counts.total() for name, counts in done.counts.items()} == {"train": 36, "val": 18, "test": 18}
    assert all(counts["happy"] == counts["sad"] for counts in done.counts.values())
    assert (tmp_path / "out" / "labels.txt").read_text() == "happy\nsad\n"
    assert len(read_split(tmp_path / "out", "test", View(48, "grey"))) == 18


def test_split_depends_on_the_seed_alone(pictures, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        split(pictures, tmp_path / name, "50/25/25", seed)
    assert sides(tmp_path / "a") == sides(tmp_path / "b") != sides(tmp_path / "c")


def test_counts_of_pictures_leave_the_rest_out(pictures, tmp_path):
    done = split(pictures, tmp_path / "out", "24/12/12", seed=3)
    assert {name: counts.total() for name, counts in done.counts.items()} == {"train": 24, "val": 12, "test": 12}


def test_percent_leave_no_picture_out(tmp_path):
    for label in ("happy", "sad"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for number in range(29):
            cv2.imwrite(str(tmp_path / "mine" / label / f"{number:02}.png"), scene())
    done = split(tmp_path / "mine", tmp_path / "out", "80/10/10", seed=1)  # 46.4 + 5.8 + 5.8 is less than 58 in floats
    assert sum(counts.total() for counts in done.counts.values()) == 58


def test_burst_stays_together_even_where_its_pictures_differ(tmp_path):
    for label in ("happy", "sad"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for number in range(20):
            cv2.imwrite(str(tmp_path / "mine" / label / f"{number:02}.png"), scene())
    with (tmp_path / "mine" / CAPTURES).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "label", "time", "burst", "source"))
        writer.writerows(
            (f"{n:02}.png", label, "", f"{label}{n // 5}", "") for label in ("happy", "sad") for n in range(20)
        )
    split(tmp_path / "mine", tmp_path / "out", "50/25/25", seed=1)
    sided = sides(tmp_path / "out")
    for label in ("happy", "sad"):
        for burst in range(4):
            assert len({sided[f"{label}/{number:02}.png"] for number in range(5 * burst, 5 * burst + 5)}) == 1


def test_one_scene_in_two_classes_is_named(pictures, tmp_path):
    (pictures / "sad" / "odd.png").write_bytes((pictures / "happy" / "b00_0.png").read_bytes())
    done = split(pictures, tmp_path / "out", "50/25/25", seed=1)
    assert ("happy/b00_0.png", "sad/odd.png") in done.doubtful


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda folder: (folder / "sad" / "x.jpg").write_bytes(b"nothing"), r"sad/x\.jpg"),
        (lambda folder: (folder / "angry").mkdir(), "none in angry/"),
        (lambda folder: (folder / "happy").rename(folder / "Sad "), "spelled in two ways"),
    ],
)
def test_data_that_cannot_be_split(pictures, tmp_path, spoil, text):
    spoil(pictures)
    with pytest.raises(DatasetError, match=text):
        split(pictures, tmp_path / "out", "80/10/10", seed=1)
    assert not (tmp_path / "out").exists()


def test_too_few_bursts_and_a_split_that_is_there(pictures, tmp_path):
    with pytest.raises(DatasetError, match="in more bursts"):
        split(pictures, tmp_path / "out", "98/1/1", seed=1)
    split(pictures, tmp_path / "out", "50/25/25", seed=1)
    with pytest.raises(OutputError, match="found train, val, test"):
        split(pictures, tmp_path / "out", "50/25/25", seed=1)


@pytest.mark.parametrize("text", ["80/20", "80/10/0", "a/b/c", "80/10/20"])
def test_ratios_that_cannot_be(text):
    with pytest.raises(ConfigError, match="ratios"):
        parse_shares(text, 50)


def test_split_tells_what_it_did(pictures, tmp_path, command_line):
    result = command_line("split", pictures, "--out", tmp_path / "out", "--ratios", "50/25/25")
    assert result.returncode == 0, result.stderr
    assert "train      36  happy 18, sad 18" in result.stdout
    assert "72 pictures stay together" in result.stdout


def test_capture_numbers_on_and_notes_time_and_burst(tmp_path, portrait, capsys):
    cv2.imwrite(str(tmp_path / "face.png"), portrait)
    request = Request("happy", tmp_path / "mine", count=1)
    for _ in range(2):
        assert capture(request, str(tmp_path / "face.png")) == 1
    (tmp_path / "mine" / "sad").mkdir()
    assert capture(request, "sample") == 1
    names = sorted(path.name for path in (tmp_path / "mine" / "happy").iterdir())
    assert names == ["happy0001.jpg", "happy0002.jpg", "happy0003.jpg"]
    with (tmp_path / "mine" / CAPTURES).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == names
    assert len({row["burst"] for row in rows}) == 3
    assert rows[0]["time"].endswith("+00:00")
    assert "happy 3 (147 to go), sad 0 (150 to go)" in capsys.readouterr().out


def test_capture_takes_a_picture_every_so_many_seconds(tmp_path):
    assert capture(Request("happy", tmp_path, count=100, every=1.0), "sample") == 6


def test_capture_refuses_what_is_blurred_or_lacks_a_face(tmp_path, portrait, capsys):
    cv2.imwrite(str(tmp_path / "1.png"), cv2.blur(portrait, (25, 25)))
    cv2.imwrite(str(tmp_path / "2.png"), np.roll(portrait[280:], 7, 1))
    cv2.imwrite(str(tmp_path / "3.png"), portrait)
    assert sharpness(cv2.blur(portrait, (25, 25))) < sharpness(portrait)
    assert capture(Request("happy", tmp_path / "mine", every=0, require=("sharp", "face")), str(tmp_path)) == 1
    errors = capsys.readouterr().err
    assert "refused: blurred" in errors
    assert "refused: no face" in errors


@pytest.mark.parametrize(
    "flaw", [{"label": "a/b"}, {"label": " "}, {"label": ".x"}, {"require": ("tail",)}, {"count": 0}, {"every": -1}]
)
def test_request_that_makes_no_sense(tmp_path, flaw):
    with pytest.raises(ConfigError, match="expected"):
        Request(**{"label": "happy", "out": tmp_path, **flaw})


def test_capture_into_a_folder_that_cannot_be_written(portrait, tmp_path, command_line):
    result = command_line("capture", "--label", "happy", "--out", "/proc/none", "--source", "sample")
    assert result.returncode == 1
    assert "can be written to" in result.stderr
    (tmp_path / "happy").mkdir()
    if os.path.exists("/dev/full"):
        (tmp_path / "happy" / "happy0001.partial").symlink_to("/dev/full")
        with pytest.raises(OutputError, match="No space left"):
            capture(Request("happy", tmp_path, count=1), "sample")
        assert list((tmp_path / "happy").glob("*.jpg")) == []


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


def test_csv_with_a_broken_row_or_other_columns(tmp_path):
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


def test_folders_without_val_hold_a_part_of_train_out(tmp_path, capsys):
    data = folders(tmp_path, {"train": 20, "test": 2})
    train, val = (read_split(data, split, View(48, "grey")) for split in ("train", "val"))
    assert (len(train), len(val)) == (36, 4)
    assert not {*train.names} & {*val.names}
    assert set(val.classes) == {0, 1}
    assert "no val split" in capsys.readouterr().out


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "PublicTest", "PrivateTest")])
def test_zip_of_folders_is_read_like_the_folders(tmp_path, names):
    data = folders(tmp_path / "data", dict(zip(names, (3, 2, 1), strict=True)))
    shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path, "data")
    for name in ("train", "val", "test"):
        inside, outside = (read_split(each, name, View(48, "rgb")) for each in (tmp_path / "all.zip", data))
        assert inside.names == outside.names
        assert np.array_equal(inside.pixels, outside.pixels)


def test_every_corrupt_picture_is_named(tmp_path):
    data = folders(tmp_path, {"train": 3, "val": 2})
    for name in ("happy/00.png", "sad/02.png"):
        (data / "train" / name).write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"2 pictures cannot be read.*happy/00\.png, sad/02\.png"):
        read_split(data, "train", View(48, "grey"))


def test_zip_that_is_broken(tmp_path):
    (tmp_path / "train.zip").write_bytes(b"PK nothing")
    with pytest.raises(DatasetError, match="expected a zip file"):
        read_split(tmp_path, "train", View(48, "grey"))


def test_class_that_a_split_lacks_is_named(tmp_path):
    data = folders(tmp_path, {"train": 3, "val": 2})
    (data / "train" / "calm").mkdir()
    cv2.imwrite(str(data / "train" / "calm" / "0.png"), scene())
    with pytest.raises(DatasetError, match="none of calm"):
        train(data, tmp_path / "run", TrainConfig(pretrained="none", arch="tiny"))


def test_one_class_only(tmp_path):
    data = folders(tmp_path, {"train": 3, "val": 2})
    shutil.rmtree(data / "train" / "sad")
    with pytest.raises(DatasetError, match="only 'happy'"):
        train(data, tmp_path / "run", TrainConfig(pretrained="none", arch="tiny"))


def test_regions_are_cropped_as_at_run_time(tmp_path, portrait):
    for label in ("happy", "sad"):
        (tmp_path / "train" / label).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "train" / label / "0.png"), portrait)
    about = ModelMetadata(
        ("happy", "sad"), size=64, color="rgb", mean=(0, 0, 0), std=(1, 1, 1), margin=0.1, shift=-0.05
    )
    samples = read_split(tmp_path, "train", View(64, "rgb", "face", 0.1, -0.05))
    face = create_face_detector(PipelineConfig()).detect(portrait, 0.5, 24)[0]
    crop = region_crop(portrait, "face", face, (), about.margin, about.shift)
    expected = to_input([crop], 64, "rgb", about.mean, about.std)[0] * 255
    assert np.abs(samples.pixels[0] - expected).max() < 0.01
    whole = read_split(tmp_path, "train", View(64, "rgb", "frame")).pixels[0]
    assert np.abs(whole - to_input([portrait], 64, "rgb", about.mean, about.std)[0] * 255).max() < 0.01


def test_pictures_without_a_person_are_named(tmp_path, portrait, capsys):
    for label in ("happy", "sad"):
        (tmp_path / "test" / label).mkdir(parents=True)
        for number in range(2):
            cv2.imwrite(str(tmp_path / "test" / label / f"{number}.png"), portrait)
    cv2.imwrite(str(tmp_path / "test" / "sad" / "wall.png"), np.full_like(portrait, 90))
    assert len(read_split(tmp_path, "test", View(64, "grey"))) == 4
    assert "sad/wall.png" in capsys.readouterr().out
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
    a, b, c = ({path.relative_to(tmp_path / each) for path in (tmp_path / each).glob("*/*")} for each in "abc")
    assert a == b != c
    with pytest.raises(OutputError, match="expected an empty folder"):
        draw(data, "test", classes, 7, tmp_path / "a", 1)
    with pytest.raises(DatasetError, match="expected 10 pictures of happy, found 9"):
        draw(data, "test", classes, 20, tmp_path / "d", 1)
    for wrong in ("", "a=b=c", "a=happy,b=happy"):
        with pytest.raises(ConfigError, match="classes: expected"):
            parse_classes(wrong)


def test_naive_split_tears_scenes_apart(pictures, tmp_path):
    split(pictures, tmp_path / "out", "50/25/25", seed=1, naive=True)
    sided = sides(tmp_path / "out")
    assert len({sided[f"happy/b00_{moment}.png"] for moment in range(3)} | {sided["happy/b01_0.png"]}) > 1
    torn = [file for file in sided if file.endswith("_0.png") and sided[file] != sided[file.replace("_0", "_1")]]
    assert torn
