import csv
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest


def test_detect_reports_unreadable_pictures_and_goes_on(tmp_path, portrait, command_line):
    cv2.imwrite(str(tmp_path / "face.png"), portrait)
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    (tmp_path / "empty.jpg").touch()
    result = command_line("detect", tmp_path, "--json", "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "broken.jpg" in result.stderr
    assert "2 could not be read" in result.stderr
    (line,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert (line["source"], line["width"], line["height"]) == (str(tmp_path / "face.png"), 640, 480)
    (person,) = line["people"]
    assert person["label"] == "happy"
    assert sum(person["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    x, y, width, height = person["face"]
    assert 0 <= x < x + width <= 640
    assert 0 <= y < y + height <= 480
    assert (cv2.imread(str(tmp_path / "out" / "face.png")) != portrait).any()


def test_detect_writes_csv_of_a_video_and_an_annotated_copy(tmp_path, portrait, command_line):
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 12, (640, 480))
    for _ in range(5):
        writer.write(portrait)
    writer.release()
    result = command_line("detect", tmp_path / "clip.mp4", "--csv", "--no-hands", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [(row["frame"], row["label"]) for row in rows] == [(str(number), "happy") for number in range(5)]
    copy = cv2.VideoCapture(str(tmp_path / "out" / "clip.mp4"))
    assert copy.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert copy.get(cv2.CAP_PROP_FPS) == pytest.approx(12)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["detect", "x.jpg", "--model", "none.onnx"], 1, "found no such file"),
        (["detect", "x.jpg", "--provider", "cuda"], 1, "not in this ONNX Runtime"),
        (["detect", "x.jpg", "--min-confidence", "7"], 2, "min_confidence"),
        (["detect", "x.jpg", "--out", "/proc/none"], 1, "can be written to"),
        (["detect", "x.jpg"], 1, "found nothing there"),
        (["models", "fetch", "nothing"], 2, "expected one of"),
        (["evaluate", "none.onnx", "none"], 1, "found no such file"),
        (["train", "none", "--model-dir", "none/run", "--arch", "unet"], 2, "invalid choice: 'unet'"),
        (["train", "none", "--model-dir", "none/run"], 1, "expected a folder train/"),
        (["train", "none", "--model-dir", "none/run", "--lr", "-1"], 2, "lr: expected 1e-06 to 10.0"),
        (["split", "none"], 1, "expected a folder with one folder of pictures per class"),
        (["split", "/proc/self/fd"], 1, "expected one folder of pictures per class"),
        (["draw", "none", "--out", "none/out", "--classes", "a"], 1, "expected a folder train/"),
        (["export", "none.ckpt", "none.onnx"], 1, "expected a checkpoint"),
        (["capture", "--label", "a/b", "--out", "none"], 2, "expected a name that can be a folder"),
        (["models", "show", "none.tflite"], 1, "found no such file"),
    ],
)
def test_wrong_use_is_one_clear_line(arguments, code, text, command_line):
    result = command_line(*arguments)
    assert result.returncode == code
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_man_is_happy_and_the_cartoon_is_nobody(shared, command_line):
    folder = shared("data/photos")
    result = command_line("detect", folder / "happy_man.jpg", folder / "no_human_face.jpg", "--json")
    man, cartoon = (json.loads(line) for line in result.stdout.splitlines())
    assert [person["label"] for person in man["people"]] == ["happy"]
    assert cartoon["people"] == cartoon["hands"] == []


def test_woman_in_the_clip_is_happy_in_most_frames(shared, command_line):
    result = command_line("detect", shared("data/photos/woman_smiling.mp4"), "--json", "--no-hands")
    people = [json.loads(line)["people"] for line in result.stdout.splitlines()]
    seen = [any(person["label"] == "happy" for person in each) for each in people if each]
    assert len(people) == 115
    assert np.mean(seen) > 0.5


def test_no_library_gathers_what_it_might_send_home(tmp_path):
    """ONNX Runtime would keep a device identifier and a database of events in the user's cache."""
    code = "import sys; from emotion_ros.cli import main; sys.exit(main())"
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment = {**{name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}, **homes}
    subprocess.run([sys.executable, "-c", code, "detect", "sample"], env=environment, capture_output=True, check=True)
    assert not [each for each in tmp_path.rglob("*") if "onnxruntime" in each.name]
