import csv
import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from hostile_pictures import png

from emotion_ros.cli import main

COMMAND = [sys.executable, "-c", "import sys; from emotion_ros.cli import main; sys.exit(main())"]


def write_video(path, image, count=5, rate=12):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, image.shape[1::-1])
    for _ in range(count):
        writer.write(image)
    writer.release()


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """A new folder in which commands run; they still import this source tree."""
    monkeypatch.setenv("PYTHONPATH", f"{os.getcwd()}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frame_count(path):
    return cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)


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
    write_video(tmp_path / "clip.mp4", portrait)
    result = command_line("detect", tmp_path / "clip.mp4", "--csv", "--no-hands", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [(row["frame"], row["label"]) for row in rows] == [(str(number), "happy") for number in range(5)]
    copy = cv2.VideoCapture(str(tmp_path / "out" / "clip.mp4"))
    assert copy.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert copy.get(cv2.CAP_PROP_FPS) == pytest.approx(12)


def test_detect_never_overwrites_a_source(inside, portrait, command_line):
    cv2.imwrite("photo.png", portrait)
    write_video("clip.mp4", portrait)
    os.mkdir("copy")
    os.link("photo.png", "copy/other.png")
    before = {name: (inside / name).read_bytes() for name in ("photo.png", "clip.mp4")}
    result = command_line("detect", "photo.png", "clip.mp4", "--no-hands", "--out", ".")
    assert result.returncode == 0, result.stderr
    assert all((inside / name).read_bytes() == content for name, content in before.items())
    assert (cv2.imread("photo_annotated.png") != portrait).any()
    assert frame_count("clip_annotated.mp4") == 5
    assert "photo.png: written as photo_annotated.png" in result.stderr
    for source, out in (("photo.png", "photo.png"), ("copy/other.png", "photo.png"), ("clip.mp4", "clip.mp4")):
        refused = command_line("detect", source, "--no-hands", "--out", out)
        assert refused.returncode == 2
        assert "expected another file than the source" in refused.stderr
    assert all((inside / name).read_bytes() == content for name, content in before.items())


def test_sources_of_equal_names_have_outputs_of_their_own(inside, portrait, command_line):
    for name in ("a/p.jpg", "b/p.jpg", "c/b/p.jpg"):
        (inside / name).parent.mkdir(parents=True)
        cv2.imwrite(name, portrait)
    write_video("v.mp4", portrait, 4)
    write_video("v.avi", portrait, 7)
    result = command_line("detect", "a", "b/p.jpg", "c/b", "v.mp4", "v.avi", "--no-hands", "--out", "out")
    assert result.returncode == 0, result.stderr
    folder = inside.name
    pictures = {"a_p.jpg", "b_p.jpg", "b_p_2.jpg"}
    assert {path.name for path in (inside / "out").iterdir()} == {*pictures, f"{folder}_v.mp4", f"{folder}_v_2.mp4"}
    assert all((cv2.imread(f"out/{name}") != portrait).any() for name in pictures)
    assert (frame_count(f"out/{folder}_v.mp4"), frame_count(f"out/{folder}_v_2.mp4")) == (4, 7)
    for name in ("a/p.jpg", "c/b/p.jpg"):
        assert f"{name}: written as out/" in result.stderr


@pytest.mark.parametrize(
    ("sources", "out"), [(["a.jpg", "b.jpg"], "one.jpg"), (["a.jpg"], "one.mp4"), (["v.mp4"], "one.jpg")]
)
def test_one_output_file_for_several_or_other_sources_is_refused(tmp_path, portrait, command_line, sources, out):
    for name in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(tmp_path / name), portrait)
    write_video(tmp_path / "v.mp4", portrait)
    result = command_line("detect", *[tmp_path / source for source in sources], "--out", tmp_path / out)
    assert result.returncode == 2
    assert "expected a folder" in result.stderr
    assert result.stdout == ""


def test_odd_entries_of_a_folder_are_reported_and_the_rest_is_processed(tmp_path, portrait, command_line):
    folder = tmp_path / "in"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), portrait)
    cv2.imwrite(str(folder / "z.png"), portrait)
    cv2.imwrite(str(folder / "dot.png"), portrait[:1, :1])
    (folder / "folder.jpg").mkdir()
    (folder / "dangling.jpg").symlink_to(folder / "none.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (tmp_path / "broken.mcap").write_bytes(b"no bag")
    sources = [tmp_path / "none.mp4", tmp_path / "broken.mcap", folder]
    result = command_line("detect", *sources, "--json", "--no-hands", "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    names = [os.path.basename(json.loads(line)["source"]) for line in result.stdout.splitlines()]
    assert names == ["a.png", "dot.png", "z.png"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.png", "dot.png", "z.png"}
    for name in ("folder.jpg", "dangling.jpg", "pipe.jpg"):
        assert f"{name}: not a picture" in result.stderr
    assert "5 could not be read" in result.stderr


def test_picture_of_too_many_pixels_is_named_and_skipped(tmp_path, portrait, command_line):
    (tmp_path / "bomb.png").write_bytes(png(30_000, 30_000))
    cv2.imwrite(str(tmp_path / "sound.png"), portrait)
    result = command_line("detect", tmp_path, "--json", "--no-hands")
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == 1
    assert "bomb.png: expected at most 50000000 pixels (max_image_pixels), got 30000 × 30000; skipped" in result.stderr
    allowed = command_line("detect", tmp_path / "sound.png", "--no-hands", "--max-image-pixels", 640 * 480 - 1)
    assert "expected at most 307199 pixels" in allowed.stderr


def test_csv_is_quoted(tmp_path, portrait, command_line):
    name = tmp_path / 'a, "b"\nc.png'
    cv2.imwrite(str(tmp_path / "a.png"), portrait)
    (tmp_path / "a.png").rename(name)
    result = command_line("detect", name, "--csv", "--no-hands")
    assert result.returncode == 0, result.stderr
    (row,) = csv.DictReader(result.stdout.splitlines(keepends=True))
    assert (row["source"], row["label"], row["frame"]) == (str(name), "happy", "0")


def test_name_that_is_no_utf8_is_printed_as_it_is(tmp_path, portrait):
    name = os.fsencode(tmp_path) + b"/\xff.png"
    cv2.imwrite(str(tmp_path / "a.png"), portrait)
    os.rename(tmp_path / "a.png", name)
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    result = subprocess.run([*COMMAND, "detect", name, "--no-hands"], env=environment, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(name + b" 0: ")


@pytest.mark.parametrize(
    "arguments", [["detect", "sample", "--no-hands"], ["models", "list"], ["detect", "--help"]], ids=" ".join
)
def test_reader_that_ends_early_ends_the_command_quietly(arguments):
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    errors = process.stderr.read()
    quiet_exits = (128 + signal.SIGPIPE, 0) if "--help" in arguments else (128 + signal.SIGPIPE,)  # argparse ignores it
    assert process.wait(60) in quiet_exits
    assert b"Traceback" not in errors
    assert b"BrokenPipe" not in errors


def test_output_that_cannot_be_written_is_one_line_and_an_error():
    with open("/dev/full", "w") as full:
        result = subprocess.run([*COMMAND, "models", "list"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(b"emotion-ros: cannot write the output")
    assert result.stderr.count(b"\n") == 1


def test_video_that_does_not_fit_on_the_disk_is_an_error(tmp_path, portrait):
    """A limit of 20 kB per file stands in for the full disk: writes fail in the same place."""
    random = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(tmp_path / "noise.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 480))
    for _ in range(20):
        writer.write(random.integers(0, 255, portrait.shape, np.uint8))
    writer.release()
    limit = ["sh", "-c", 'trap "" XFSZ; ulimit -f 40; exec "$@"', "sh"]  # blocks of 512 bytes
    arguments = ["detect", tmp_path / "noise.avi", "--no-hands", "--out", tmp_path / "out"]
    result = subprocess.run([*limit, *COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "noise.mp4: is not whole" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("piped", [True, False], ids=["cat photo.jpg |", "< photo.jpg"])
def test_picture_from_standard_input(tmp_path, portrait, piped):
    photo = tmp_path / "photo.jpg"
    cv2.imwrite(str(photo), portrait)
    command = [*COMMAND, "detect", "/dev/stdin", "--json", "--no-hands"]
    if piped:
        result = subprocess.run(command, input=photo.read_bytes(), capture_output=True, timeout=60, check=False)
    else:
        with photo.open() as file:
            result = subprocess.run(command, stdin=file, capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    (line,) = result.stdout.splitlines()
    assert [person["label"] for person in json.loads(line)["people"]] == ["happy"]


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_standard_input_that_is_no_picture_is_an_error(content):
    command = [*COMMAND, "detect", "/dev/stdin", "--no-hands"]
    result = subprocess.run(command, input=content, capture_output=True, timeout=60, check=False)
    assert result.returncode == 1
    assert b"/dev/stdin: expected a picture" in result.stderr


@pytest.mark.parametrize("command", ["run", "benchmark"])
@pytest.mark.parametrize("missing", ["rclpy", "AMENT_PREFIX_PATH"])
def test_command_that_needs_ros_names_what_to_source(tmp_path, command, missing):
    environment = dict(os.environ)
    if missing == "AMENT_PREFIX_PATH":
        del environment[missing]
    else:
        block = "import sys\nsys.modules['rclpy'] = None\n"
        (tmp_path / "sitecustomize.py").write_text(block)
        environment["PYTHONPATH"] = f"{tmp_path}:{environment['PYTHONPATH']}"
    result = subprocess.run([*COMMAND, command], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert missing in result.stderr
    assert "setup.bash" in result.stderr
    assert result.stderr.count("\n") == 1


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
        (["evaluate", "emotion_resnet18", "none", "--prior", "neutral"], 2, "prior: expected a mapping"),
        (["export", "none.ckpt", "none.onnx", "--prior", "{neutral: much}"], 2, "prior: expected a number"),
        (["train", "none", "--model-dir", "none/run", "--arch", "unet"], 2, "invalid choice: 'unet'"),
        (["train", "none", "--model-dir", "none/run"], 1, "expected a folder or zip file"),
        (["train", "none", "--model-dir", "none/run", "--lr", "-1"], 2, "lr: expected 1e-06 to 10.0"),
        (["split", "none"], 1, "expected a folder with one folder of pictures per class"),
        (["split", "/proc/self/fd"], 1, "expected one folder of pictures per class"),
        (["draw", "none", "--out", "none/out", "--classes", "a"], 1, "expected a folder or zip file"),
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


def test_woman_in_the_clip_is_happy_while_she_shows_her_teeth(shared, command_line):
    """She looks down on her telephone throughout; before frame 60 her lips are closed, which is often called sad."""
    result = command_line("detect", shared("data/photos/woman_smiling.mp4"), "--json", "--no-hands")
    people = [json.loads(line)["people"] for line in result.stdout.splitlines()]
    assert len(people) == 115
    assert [[person["label"] for person in each] for each in people[65:105]] == [["happy"]] * 40


def test_no_library_gathers_what_it_might_send_home(tmp_path):
    """ONNX Runtime would keep a device identifier and a database of events in the user's cache."""
    code = "import sys; from emotion_ros.cli import main; sys.exit(main())"
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment = {**{name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}, **homes}
    subprocess.run([sys.executable, "-c", code, "detect", "sample"], env=environment, capture_output=True, check=True)
    assert not [each for each in tmp_path.rglob("*") if "onnxruntime" in each.name]


@pytest.mark.parametrize("name", ["./photo.png", ".//photo.png", "sub/../photo.png"])
def test_source_with_dots_in_its_path_has_an_output(command_line, tmp_path, portrait, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    cv2.imwrite("photo.png", portrait)
    result = command_line("detect", name, "--out", "out", "--no-hands")
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.png"]


def test_detection_that_is_interrupted_ten_times_finishes_its_files_and_ends_with_130(tmp_path, portrait):
    write_video(tmp_path / "clip.mp4", portrait, count=600)
    command = [*COMMAND, "detect", str(tmp_path / "clip.mp4"), "--json", "--no-hands", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert all(process.stdout.readline() for _ in range(10))
        for _ in range(10):
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert 0 < frame_count(tmp_path / "out" / "clip.mp4") < 600


def test_training_stopped_in_its_first_epoch_does_not_advise_to_resume(capsys):
    """It has no checkpoint yet, and --resume was refused."""
    from emotion_ros.cli.train import report_result
    from emotion_ros.training.training_loop import Result

    assert report_result(Result(None, 0, True), "", "") == 130
    assert "nothing is stored, start again" in capsys.readouterr().err
    assert report_result(Result(0.5, 1, True), "", "") == 130
    assert "stopped after 1 epoch; add --resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("format_name", "output", "expected"),
    [
        ("onnx", "m.tflite", ".onnx for --format onnx"),
        ("onnx", "best.ckpt", ".onnx for --format onnx"),
        ("tflite", "m.onnx", ".tflite for --format tflite"),
        ("c", "m.h", ".c or .cc or .cpp for --format c"),
    ],
)
def test_export_refuses_a_name_of_another_format(format_name, output, expected, tmp_path, capsys):
    """An ONNX file was written as .tflite, or over the checkpoint, and a header over its source."""
    (tmp_path / "best.ckpt").write_text("hours of training")
    arguments = [str(tmp_path / "best.ckpt"), str(tmp_path / output), "--format", format_name]
    assert main(["export", *arguments, "--calibrate", str(tmp_path)]) == 2
    assert f"expected a file that ends in {expected}, got {tmp_path / output}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]


@pytest.mark.parametrize("output", ["m.onnx", "data"])
def test_quantize_does_not_replace_its_model(output, tmp_path, capsys):
    (tmp_path / "m.onnx").write_text("float32")
    assert main(["quantize", str(tmp_path / "m.onnx"), str(tmp_path), str(tmp_path / output)]) == 2
    assert "expected another file that ends in .onnx for the int8 copy" in capsys.readouterr().err
    assert (tmp_path / "m.onnx").read_text() == "float32"


def test_next_command_after_a_training_can_be_pasted(monkeypatch, capsys):
    from emotion_ros.training.classifier import classifier_training
    from emotion_ros.training.training_loop import Result

    monkeypatch.setattr(classifier_training, "train", lambda *_: Result(0.5, 1, False))
    assert main(["train", "my data", "--model-dir", "my run"]) == 0
    assert "export 'my run/best.ckpt' MODEL.onnx --calibrate 'my data'" in capsys.readouterr().out
