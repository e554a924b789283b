"""From a checkpoint to files for every target, and from those to figures."""

import csv
import dataclasses
import json
import signal
import subprocess
import sys
import time
import zipfile
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from emotion_ros.errors import ConfigError, DatasetError, ModelError, OutputError, ProviderError
from emotion_ros.inference.catalog import default_model
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.perception.emotion.preprocess import to_input
from emotion_ros.training.classifier.classifier_training import train
from emotion_ros.training.data.corruptions import KINDS, LEVELS
from emotion_ros.training.data.datasets import Samples
from emotion_ros.training.data.votes import Votes
from emotion_ros.training.evaluation.classification_metrics import classification_metrics, wilson
from emotion_ros.training.evaluation.classifier_evaluation import evaluate
from emotion_ros.training.export import micro, onnx_file
from emotion_ros.training.export.classifier_export import export
from emotion_ros.training.export.edge_impulse import write_package
from emotion_ros.training.export.formats import FORMATS, export_as
from emotion_ros.training.export.quantization import quantize


@pytest.fixture(scope="module")
def model(data, trained, tmp_path_factory):
    """The trained network as ONNX."""
    file = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export(trained / "best.ckpt", file, {"data": "made up"}, {"data": data})
    return file


@pytest.fixture(scope="module")
def tiny(data, small, tmp_path_factory):
    """A checkpoint of the network for microcontrollers."""
    folder = tmp_path_factory.mktemp("tiny")
    train([data], folder, type(small)(**{**small.__dict__, "arch": "tiny", "epochs": 8, "lr": 0.03}))
    return folder / "last.ckpt"


@pytest.fixture(scope="module")
def lite(data, tiny, tmp_path_factory):
    """It as int8 TFLite."""
    pytest.importorskip("litert_torch", reason="requirements/tinyml.txt is not installed")
    file = tmp_path_factory.mktemp("tflite") / "tiny.tflite"
    assert "arena" in export_as("tflite", tiny, file, {}, {"data": data})
    return file


def test_onnx_has_the_names_of_jetson_inference_and_any_batch(model):
    session = ort.InferenceSession(str(model))
    assert [each.name for each in (*session.get_inputs(), *session.get_outputs())] == ["input_0", "output_0"]
    for batch in (1, 5):
        assert session.run(None, {"input_0": np.zeros((batch, 1, 32, 32), np.float32)})[0].shape == (batch, 2)


def test_onnx_that_computes_something_else_is_not_written(trained, tmp_path, monkeypatch):
    (tmp_path / "m.onnx").write_bytes(b"the old one")
    monkeypatch.setattr(onnx_file, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="differ by"):
        export(trained / "best.ckpt", tmp_path / "m.onnx")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("m.onnx", b"the old one")]


@pytest.fixture
def voted(data, tmp_path):
    """The data, whose annotators call every picture bright."""
    files = []
    for split in ("train", "val", "test"):
        (tmp_path / split).symlink_to(data / split)
        names = [f"{path.parent.name}/{path.name}" for path in (data / split).glob("*/*.png")]
        files += [(split, name, 8, 2, 0) for name in names]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("split", "file", "bright", "dark", "unknown"), *files])
    return tmp_path


def test_one_output_is_measured_on_classes_and_on_votes(voted, small, tmp_path):
    train([voted], tmp_path / "run", type(small)(**{**small.__dict__, "vote_weight": 1.0}))
    metadata = export(tmp_path / "run" / "best.ckpt", tmp_path / "m.onnx", calibrate_on={"voted": voted})
    assert [each.name for each in ort.InferenceSession(str(tmp_path / "m.onnx")).get_outputs()] == ["output_0"]
    report = evaluate(tmp_path / "m.onnx", voted, "test")
    assert report["votes"]["accuracy"] == 1.0
    assert report["accuracy"] == report["macro_recall"] == 0.5
    assert metadata.accuracy == {"val": 0.5, "val_votes": 1.0}


def test_confidence_errs_alike_on_data_where_the_labels_are_right_and_where_half_are_wrong(data, trained, tmp_path):
    other = {"bright": "dark", "dark": "bright"}
    for index, path in enumerate(sorted(data.glob("*/*/*.png"))):
        label = other[path.parent.name] if index % 2 else path.parent.name
        link = tmp_path / "guessed" / path.parent.parent.name / label / f"{index}.png"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    calibrate_on = {"right": data, "guessed": tmp_path / "guessed"}
    metadata = export(trained / "best.ckpt", tmp_path / "m.onnx", calibrate_on=calibrate_on)
    assert metadata.accuracy == {"right val": 1.0, "guessed val": 0.5}
    pictures = [cv2.imread(str(path)) for path in sorted(data.glob("val/*/*.png"))]
    confidences = EmotionClassifier(tmp_path / "m.onnx", "cpu").classify(pictures).max(1)
    assert confidences.mean() == pytest.approx(0.75, abs=0.01)  # 0.25 below 1, 0.25 above 0.5


@pytest.mark.parametrize("name", ["emotion_resnet18.onnx", "emotion_resnet18_int8.onnx"])
def test_shipped_classifier_has_one_output(name):
    file = default_model().with_name(name)
    assert [each.name for each in ort.InferenceSession(str(file)).get_outputs()] == ["output_0"]
    measured = {"expressions val", "fer2013plus val", "fer2013plus val_votes"}
    assert EmotionClassifier(file, "cpu").metadata.accuracy.keys() == measured


def test_macro_recall_is_the_mean_over_the_classes_that_occur():
    truth, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 2])
    metrics = classification_metrics("abc", truth, np.eye(3, dtype=np.float32)[predicted])
    assert metrics["accuracy"] == 0.75
    assert metrics["macro_recall"] == 0.5
    assert metrics["ece"] == 0.25


def test_accuracy_without_the_pictures_that_become_unknown():
    probabilities = np.array([[0.95, 0.05], [0.65, 0.35], [0.35, 0.65], [0.45, 0.55]], np.float32)
    rows = classification_metrics("ab", np.array([0, 0, 0, 1]), probabilities)["rejection"]
    assert rows[0] == (0.3, 0.0, 0.75)
    assert (0.6, 0.25, 0.6667) in rows
    assert (0.9, 0.75, 1.0) in rows
    assert classification_metrics("ab", np.array([0]), probabilities[1:2])["rejection"][-1] == (0.9, 1.0, None)


def test_tflite_is_int8_in_and_out_and_right(data, lite):
    figures = evaluate(lite, data, "test")
    assert figures["accuracy"] >= 0.9
    session = EmotionClassifier(lite)._session
    for tensor in (session._input, session._outputs[0]):
        assert tensor["dtype"] == np.int8
    assert session._input["quantization"] == (pytest.approx(1 / 255, rel=1e-3), -128)
    assert EmotionClassifier(lite).metadata.activated


def test_int8_of_a_network_that_hardly_tells_its_classes_apart(tiny, data, tmp_path, monkeypatch):
    """The message advised only to calibrate with the training data, also to who had done so."""
    pytest.importorskip("litert_torch", reason="requirements/tinyml.txt is not installed")
    classify = EmotionClassifier.classify
    opposite = lambda self, images: np.eye(2, dtype=np.float32)[1 - classify(self, images).argmax(1)]  # noqa: E731
    monkeypatch.setattr(EmotionClassifier, "classify", opposite)
    with pytest.raises(ModelError, match=r"85% of the calibration pictures, it does on .*; calibrate .* train longer"):
        export_as("tflite", tiny, tmp_path / "x.tflite", {}, {"data": data})
    assert not (tmp_path / "x.tflite").exists()


def test_tflite_runs_in_micro_and_says_what_it_needs(lite):
    needed = micro.requirements(lite)
    assert needed.flash == lite.stat().st_size < 300_000
    assert 10_000 < needed.arena < 256 * 1024
    assert {"Conv2D", "DepthwiseConv2D", "FullyConnected", "Softmax"} <= set(needed.operators)


def test_c_array_compiles_and_is_the_model(lite, tmp_path):
    needed = micro.write_c(lite, tmp_path / "my model.c")
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "my model.h"\n'
        "int main(void) {\n"
        '  printf("%u %d %s %s\\n", my_model_bytes, MY_MODEL_ARENA_BYTES, my_model_labels[0], my_model_labels[1]);\n'
        "  fwrite(my_model, 1, my_model_bytes, stderr);\n  return (unsigned long)my_model % 16;\n}\n"
    )
    sources = [str(tmp_path / name) for name in ("main.c", "my model.c")]
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Werror", *sources, "-o", str(tmp_path / "out")], check=True)
    run = subprocess.run([str(tmp_path / "out")], capture_output=True, check=True)
    assert run.stdout.decode().split() == [str(needed.flash), str(needed.arena), "bright", "dark"]
    assert run.stderr == lite.read_bytes()


def test_c_array_compiles_whatever_its_file_and_labels_are_named(lite, tmp_path, monkeypatch):
    metadata = dataclasses.replace(EmotionClassifier(lite).metadata, labels=('sehr "gut"', "müde\\"))
    monkeypatch.setattr(micro, "EmotionClassifier", lambda _: SimpleNamespace(metadata=metadata))
    micro.write_c(lite, tmp_path / "3 gefühle.c")
    assert "_3_gef_hle_labels" in (tmp_path / "3 gefühle.h").read_text()
    subprocess.run(["gcc", "-std=c99", "-Werror", "-c", "3 gefühle.c"], cwd=tmp_path, check=True)


def test_edge_impulse_package_holds_each_of_the_pictures_with_alike_names(lite, tmp_path):
    names = ("a/b_c.png", "a_b/c.jpg", "a_b/c.png")
    pixels = np.zeros((3, 1, 32, 32), np.uint8)
    samples = Samples(("a", "a_b"), pixels, np.array([0, 1, 1]), Votes.none(3, 2), names)
    metadata = EmotionClassifier(lite).metadata
    write_package(lite, metadata, {"train": samples}, tmp_path)
    listed = json.loads((tmp_path / "data" / "info.labels").read_text())["files"]
    assert len({each["path"] for each in listed}) == 3
    assert len(list((tmp_path / "data" / "training").iterdir())) == 3


def test_edge_impulse_package_holds_data_model_and_commands(data, tiny, lite, tmp_path):
    export_as("edge-impulse", tiny, tmp_path / "ei", {}, {"data": data})
    listed = json.loads((tmp_path / "ei" / "data" / "info.labels").read_text())
    assert listed["version"] == 1
    assert len(listed["files"]) == 80
    for each in listed["files"]:
        assert cv2.imread(str(tmp_path / "ei" / "data" / each["path"]), cv2.IMREAD_UNCHANGED).shape == (32, 32)
        assert each["category"] == each["path"].split("/")[0]
        assert each["label"]["label"] in each["path"]
    assert sum(each["category"] == "testing" for each in listed["files"]) == 16
    assert EmotionClassifier(tmp_path / "ei" / "model" / "model.tflite").metadata.labels == ("bright", "dark")
    assert "edge-impulse-uploader" in (tmp_path / "ei" / "README.md").read_text()


def test_edge_impulse_package_replaces_no_other_files(tmp_path):
    """The README of a folder of one's own was replaced."""
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(OutputError, match="expected an empty folder or an earlier package"):
        write_package(tmp_path / "model.tflite", ModelMetadata(("a", "b")), {}, tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "onnx"])
def test_int8_without_pictures_to_calibrate(form, tiny, tmp_path):
    with pytest.raises(ConfigError, match="--calibrate"):
        export_as(form, tiny, tmp_path / "x", {}, {})


def test_int8_with_an_empty_folder_to_calibrate(tiny, tmp_path):
    with pytest.raises(DatasetError, match="expected"):
        export_as("tflite", tiny, tmp_path / "x.tflite", {}, {"data": tmp_path})


def test_corrupt_tflite(tmp_path):
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "x.tflite").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="expected a TFLite model"):
        EmotionClassifier(tmp_path / "x.tflite")


def test_tflite_on_a_gpu(lite):
    with pytest.raises(ProviderError, match="CPU only"):
        EmotionClassifier(lite, "cuda")


def worst_pair(file):
    """Upper bound of the sum of two products of a uint8 activation and an int8 weight."""
    weights = (onnx.numpy_helper.to_array(each) for each in onnx.load(str(file)).graph.initializer)
    return 2 * 255 * max(int(np.abs(each.astype(int)).max()) for each in weights if each.dtype == np.int8)


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_int8_model_is_smaller_and_as_accurate(kind, data, model, tmp_path):
    result = quantize(model, {data.name: data}, tmp_path / "int8.onnx", kind, max_drop=5.0)
    assert result.size[1] < 0.35 * result.size[0]
    assert result.size[1] == (tmp_path / "int8.onnx").stat().st_size
    assert evaluate(tmp_path / "int8.onnx", data, "test")["accuracy"] >= 0.9
    assert EmotionClassifier(tmp_path / "int8.onnx").metadata == EmotionClassifier(model).metadata
    assert worst_pair(tmp_path / "int8.onnx") <= np.iinfo(np.int16).max


def test_products_of_the_shipped_int8_model_cannot_saturate_on_any_processor():
    """AVX2 without VNNI adds pairs of 8-bit products in int16, which saturates above 32,767."""
    file = default_model().with_name("emotion_resnet18_int8.onnx")
    assert worst_pair(file) <= np.iinfo(np.int16).max


def test_shipped_int8_model_gives_what_its_quantized_values_give_in_float(portrait):
    """Without optimizations ONNX Runtime computes the same quantized values in float32, where nothing saturates."""
    file = str(default_model().with_name("emotion_resnet18_int8.onnx"))
    plain = ort.SessionOptions()
    plain.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    metadata = EmotionClassifier(default_model(), "cpu").metadata
    crops = [portrait[y : y + 200, x : x + 200] for y in range(0, 240, 60) for x in range(0, 400, 80)]
    pixels = to_input(crops, metadata.size, metadata.color, metadata.mean, metadata.std)
    (integer,) = ort.InferenceSession(file).run(None, {"input_0": pixels})
    (reference,) = ort.InferenceSession(file, plain).run(None, {"input_0": pixels})
    step = np.diff(np.unique(reference)).min()
    assert np.median(np.abs(integer - reference)) <= step
    assert np.abs(integer - reference).max() < 0.15 * np.abs(reference).max()


def test_int8_model_is_not_quantized_again(data, tmp_path):
    """It ended in an error of ONNX Runtime about a temporary file."""
    with pytest.raises(ModelError, match="expected a model in float32, it is in int8 already"):
        quantize(
            default_model().with_name("emotion_resnet18_int8.onnx"), {"data": data}, tmp_path / "q.onnx", "static", 1
        )


def test_int8_model_that_loses_too_much_is_not_written(data, model, tmp_path, command_line):
    with pytest.raises(ModelError, match="--max-drop"):
        quantize(model, {data.name: data}, tmp_path / "int8.onnx", "static", max_drop=-0.1)
    assert not list(tmp_path.iterdir())
    result = command_line("quantize", model, data, tmp_path / "int8.onnx", "--max-drop", "50")
    assert result.returncode == 0, result.stderr
    assert "before" in result.stdout


def test_quantize_refuses_what_is_no_model(data, tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="expected an ONNX model"):
        quantize(tmp_path / "x.onnx", {data.name: data}, tmp_path / "int8.onnx", "static", 1.0)


def test_report_shows_classes_groups_and_pictures(data, model, tmp_path, command_line):
    with (tmp_path / "groups.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "age", "light"))
        writer.writerows(
            (f"{label}/{n}.png", "young" if n < 4 else "old", "lamp") for label in ("bright", "dark") for n in range(8)
        )
    arguments = ["--split", "test", "--groups", tmp_path / "groups.csv", "--out", tmp_path / "report", "--json"]
    result = command_line("evaluate", model, data, *arguments)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures == json.loads((tmp_path / "report" / "report.json").read_text())
    assert figures["groups"]["age"]["groups"]["old"]["pictures"] == 8
    assert figures["groups"]["age"]["gap"] is None
    text = (tmp_path / "report" / "report.md").read_text()
    for expected in ("| bright |", "95 % interval", "## By age", "confusion.png"):
        assert expected in text
    for name in ("confusion.png", "reliability.png"):
        assert cv2.imread(str(tmp_path / "report" / name)).shape[0] > 200


def test_predictions_are_counted_by_group_of_people(tmp_path, portrait, command_line):
    """One person in 25 pictures of each of two groups, and a picture without a face in one of them."""
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive, (tmp_path / "groups.csv").open("w") as file:
        file.write("file,age,light\n")
        for number in range(51):
            image = np.zeros_like(portrait) if number == 50 else portrait[:, number : number + 480]
            archive.writestr(f"{number}.png", cv2.imencode(".png", image)[1].tobytes())
            file.write(f"{number}.png,{'old' if number % 2 else 'young'},day\n")
    result = command_line("evaluate", "emotion_resnet18", tmp_path, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    old, young = figures["groups"]["age"]["old"], figures["groups"]["age"]["young"]
    assert (old["pictures"], old["found"]) == (25, 1)
    assert (young["pictures"], young["found"]) == (26, pytest.approx(25 / 26, abs=1e-3))
    assert old["shares"]["happy"][0] == young["shares"]["happy"][0] == 1
    assert figures["gaps"]["age"]["happy"] == figures["gaps"]["light"]["happy"] == 0
    shifted = command_line("evaluate", "emotion_resnet18", tmp_path, "--prior", "{angry: 1e12}")
    assert "| age: old | 25 | 1.000 | 1.00 (0.87 to 1.00) |" in shifted.stdout


def test_models_are_compared_side_by_side(data, model, lite, command_line):
    result = command_line("compare", data, model, lite, "--split", "test")
    assert result.returncode == 0, result.stderr
    head, _, *rows = result.stdout.splitlines()
    assert head.startswith("| model | accuracy")
    assert [row.split("@")[0] for row in rows] == ["| model", "| tiny"]


def test_models_are_compared_on_spoilt_pictures(data, model, command_line):
    result = command_line("compare", data, model, "--split", "test", "--corruptions", "--json")
    assert result.returncode == 0, result.stderr
    rows = {kind: next(iter(found.values())) for kind, found in json.loads(result.stdout).items()}
    assert set(rows) == {"clean", *KINDS}
    assert len(rows["dark"]) == len(LEVELS)
    assert rows["dark"][-1] == 0.5 < rows["clean"][0]  # in the dark all is dark


def test_gap_between_groups_is_that_of_the_largest_and_the_smallest(data, model, tmp_path, monkeypatch):
    monkeypatch.setattr("emotion_ros.training.evaluation.group_accuracy.MIN_GROUP_PICTURES", 4)
    for split in ("test",):
        for label, other in (("bright", "dark"), ("dark", "bright")):
            (tmp_path / split / label).mkdir(parents=True)
            for n in range(8):  # half of the pictures stand in the wrong folder
                source = data / split / (label if n < 4 else other) / f"{n}.png"
                (tmp_path / split / label / f"{n}.png").write_bytes(source.read_bytes())
    with (tmp_path / "groups.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "kind"))
        writer.writerows(
            (f"{label}/{n}.png", "right" if n < 4 else "wrong") for label in ("bright", "dark") for n in range(8)
        )
    figures = evaluate(model, tmp_path, "test", tmp_path / "groups.csv")
    assert figures["groups"]["kind"]["gap"] == 1.0
    assert figures["groups"]["kind"]["best"] == "right"
    assert figures["accuracy"] == 0.5
    assert figures["classes"]["bright"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "pictures": 8}


def test_groups_that_name_no_picture(data, model, tmp_path):
    (tmp_path / "groups.csv").write_text("file,age\nnobody/1.png,old\n")
    with pytest.raises(DatasetError, match="none of these"):
        evaluate(model, data, "test", tmp_path / "groups.csv")
    (tmp_path / "groups.csv").write_text("picture\n1.png\n")
    with pytest.raises(DatasetError, match="column 'file'"):
        evaluate(model, data, "test", tmp_path / "groups.csv")


def test_interval_is_wilsons():
    # 81 of 263: Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I
    assert wilson(81, 263) == (0.2553, 0.3662)
    assert str(wilson(0, 358)[0]) == "0.0"
    assert wilson(358, 358)[1] == 1


def test_full_disk_while_exporting(trained, tmp_path, monkeypatch):
    (tmp_path / "m.onnx").write_bytes(b"the old one")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx_file.onnx, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        export(trained / "best.ckpt", tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == b"the old one"


def test_full_disk_while_saving_a_checkpoint_keeps_the_old_one(data, small, tmp_path):
    """On a real file system with room for one checkpoint and a half, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=60m", "none", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount a file system")
    try:
        (disk / "ballast").write_bytes(bytes(30_000_000))
        code = "import sys; from emotion_ros.cli import main; sys.exit(main())"
        flags = {
            "arch": "tiny",
            "epochs": 500,
            "batch-size": 8,
            "precision": "32-true",
            "size": 32,
            "pretrained": "none",
        }
        command = [sys.executable, "-c", code, "train", str(data), "--model-dir", str(disk / "run")]
        command += [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            while run.poll() is None and not (disk / "run" / "last.ckpt").exists():
                time.sleep(0.1)
            run.send_signal(signal.SIGINT)
        old = (disk / "run" / "last.ckpt").read_bytes()
        free = int(
            subprocess.run(["df", "--output=avail", "-B1", str(disk)], capture_output=True, check=True).stdout.split()[
                -1
            ]
        )
        (disk / "more").write_bytes(bytes(free - len(old) // 2))
        result = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False, timeout=100)
        assert result.returncode == 1, result.stderr[-2000:]
        assert "cannot be written" in result.stderr.splitlines()[-1]
        assert "epoch" in torch.load(disk / "run" / "last.ckpt", weights_only=True)
        assert (disk / "run" / "last.ckpt").read_bytes() == old
    finally:
        subprocess.run(["umount", str(disk)], check=True)
