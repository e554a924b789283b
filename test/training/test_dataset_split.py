"""Splitting a folder of pictures into train, val and test."""

import csv
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from emotion_ros.cli import main
from emotion_ros.errors import ConfigError, DatasetError, OutputError
from emotion_ros.io.dataset_writer import CAPTURES_CSV
from emotion_ros.training.data.dataset_split import SPLITS, parse_shares, split
from emotion_ros.training.data.datasets import read_split
from emotion_ros.training.data.region_crop import View

RANDOM = np.random.default_rng(0)


def scene():
    """A random picture of smooth blobs."""
    return cv2.resize(RANDOM.integers(0, 255, (6, 6, 3), np.uint8), (96, 96), interpolation=cv2.INTER_CUBIC)


def noisy(image):
    """The same scene with other noise."""
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


def test_pictures_of_one_scene_stay_in_one_split(pictures, tmp_path):
    result = split(pictures, tmp_path / "out", "50/25/25", seed=1)
    sided = sides(tmp_path / "out")
    assert len(sided) == 72
    for file, side in sided.items():
        assert all(sided[f"{file[:-5]}{moment}.png"] == side for moment in range(3))
    assert result.groups == 24
    assert result.together == 72
    assert {name: counts.total() for name, counts in result.counts.items()} == {"train": 36, "val": 18, "test": 18}
    assert all(counts["happy"] == counts["sad"] for counts in result.counts.values())
    assert (tmp_path / "out" / "labels.txt").read_text() == "happy\nsad\n"
    assert len(read_split(tmp_path / "out", "test", View(48, "grey", crop="no"))) == 18


def test_same_seed_gives_the_same_split(pictures, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        split(pictures, tmp_path / name, "50/25/25", seed)
    assert sides(tmp_path / "a") == sides(tmp_path / "b") != sides(tmp_path / "c")


def test_ratios_as_counts_leave_the_other_pictures_out(pictures, tmp_path):
    result = split(pictures, tmp_path / "out", "24/12/12", seed=3)
    assert {name: counts.total() for name, counts in result.counts.items()} == {"train": 24, "val": 12, "test": 12}


def test_ratios_in_percent_leave_no_picture_out(tmp_path):
    for label in ("happy", "sad"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for number in range(29):
            cv2.imwrite(str(tmp_path / "mine" / label / f"{number:02}.png"), scene())
    result = split(
        tmp_path / "mine", tmp_path / "out", "80/10/10", seed=1
    )  # 46.4 + 5.8 + 5.8 is less than 58 in floats
    assert sum(counts.total() for counts in result.counts.values()) == 58


def test_burst_stays_together_although_its_pictures_differ(tmp_path):
    for label in ("happy", "sad"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for number in range(20):
            cv2.imwrite(str(tmp_path / "mine" / label / f"{number:02}.png"), scene())
    with (tmp_path / "mine" / CAPTURES_CSV).open("w", newline="") as file:
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


def test_similar_pictures_in_two_classes_are_reported(pictures, tmp_path):
    (pictures / "sad" / "odd.png").write_bytes((pictures / "happy" / "b00_0.png").read_bytes())
    result = split(pictures, tmp_path / "out", "50/25/25", seed=1)
    assert ("happy/b00_0.png", "sad/odd.png") in result.doubtful


def test_naive_split_separates_pictures_of_one_scene(pictures, tmp_path):
    split(pictures, tmp_path / "out", "50/25/25", seed=1, naive=True)
    sided = sides(tmp_path / "out")
    assert len({sided[f"happy/b00_{moment}.png"] for moment in range(3)} | {sided["happy/b01_0.png"]}) > 1
    separated = [file for file in sided if file.endswith("_0.png") and sided[file] != sided[file.replace("_0", "_1")]]
    assert separated


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda folder: (folder / "sad" / "x.jpg").write_bytes(b"nothing"), r"sad/x\.jpg"),
        (lambda folder: (folder / "angry").mkdir(), "none in angry/"),
        (lambda folder: (folder / "happy").rename(folder / "Sad "), "spelled in two ways"),
    ],
)
def test_unusable_data_are_refused(pictures, tmp_path, spoil, text):
    spoil(pictures)
    with pytest.raises(DatasetError, match=text):
        split(pictures, tmp_path / "out", "80/10/10", seed=1)
    assert not (tmp_path / "out").exists()


def test_of_two_splits_at_once_one_is_made_whole_and_the_other_refused(pictures, tmp_path):
    both = threading.Barrier(2)

    def make(seed):
        both.wait()
        try:
            return split(pictures, tmp_path / "out", "50/25/25", seed=seed)
        except OutputError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        results = [*pool.map(make, (1, 2))]
    assert sum(isinstance(result, OutputError) for result in results) == 1
    assert len(sides(tmp_path / "out")) == 72


def test_too_few_bursts_and_an_existing_split_are_refused(pictures, tmp_path):
    with pytest.raises(DatasetError, match="in more bursts"):
        split(pictures, tmp_path / "out", "98/1/1", seed=1)
    split(pictures, tmp_path / "out", "50/25/25", seed=1)
    with pytest.raises(OutputError, match="found train, val, test"):
        split(pictures, tmp_path / "out", "50/25/25", seed=1)


@pytest.mark.parametrize("text", ["80/20", "80/10/0", "a/b/c", "80/10/20", "0.8/0.1/0.1"])
def test_impossible_ratios_are_refused(text):
    with pytest.raises(ConfigError, match="ratios"):
        parse_shares(text, 50)


def test_ratio_of_zero_is_refused_for_what_it_is():
    with pytest.raises(ConfigError, match=r"expected three numbers above 0 .* got '9/1/0'"):
        parse_shares("9/1/0", 50)


def test_command_prints_counts(pictures, tmp_path, command_line):
    result = command_line("split", pictures, "--out", tmp_path / "out", "--ratios", "50/25/25")
    assert result.returncode == 0, result.stderr
    assert "train      36  happy 18, sad 18" in result.stdout
    assert "72 pictures stay together" in result.stdout


def test_existing_labels_file_is_not_overwritten(pictures, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"found labels\.txt"):
        split(pictures, tmp_path / "out", "50/25/25", seed=1)
    assert (tmp_path / "out" / "labels.txt").read_text() == "mine"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["labels.txt"]


@pytest.mark.parametrize("source", [".", "..", "../"])
def test_split_of_the_present_folder_lies_beside_it(source, pictures, monkeypatch):
    """The split of . ended in a traceback, that of .. became a hidden folder in the folder itself."""
    monkeypatch.chdir(pictures if source == "." else next(path for path in pictures.iterdir() if path.is_dir()))
    assert main(["split", source, "--ratios", "60/20/20"]) == 0
    assert set(sides(pictures.with_name(f"{pictures.name}-split")).values()) == set(SPLITS)


def test_class_whose_name_is_not_utf_8_is_refused(pictures, tmp_path):
    """As zip files of Windows leave them; half a split remained beside a traceback."""
    (pictures / "sad").rename(pictures / os.fsdecode(b"\xfcbel"))
    with pytest.raises(DatasetError, match=r"names of classes in UTF-8, got b'\\xfcbel'; rename it"):
        split(pictures, tmp_path / "out", "60/20/20", seed=1)
    assert not (tmp_path / "out").exists()


def test_files_of_other_formats_and_folders_are_named(pictures, tmp_path, capsys):
    """A phone stores some pictures as HEIC: they were missing without a word."""
    (pictures / "happy" / "IMG_1.HEIC").write_text("a picture")
    (pictures / "sad" / "more").mkdir()
    (pictures / "sad" / ".thumbnail").write_text("hidden")
    split(pictures, tmp_path / "out", "60/20/20", seed=1)
    assert capsys.readouterr().err.endswith("(.bmp, .jpeg, .jpg, .png, .webp): happy/IMG_1.HEIC, sad/more\n")
