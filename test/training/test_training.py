import csv
import dataclasses
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from ament_index_python.packages import get_package_prefix

from emotion_ros.cli import main
from emotion_ros.config import DetectorTrainConfig, TrainConfig
from emotion_ros.errors import ConfigError, DatasetError, ModelError, OutputError
from emotion_ros.inference.catalog import default_model
from emotion_ros.training.classifier.architectures import ARCHITECTURES
from emotion_ros.training.classifier.augmentation import augment
from emotion_ros.training.classifier.classifier_training import Classifier, load, train
from emotion_ros.training.classifier.epoch_batches import EpochOrder
from emotion_ros.training.classifier.pretrained import initialize
from emotion_ros.training.data.corruptions import KINDS, LEVELS, corrupt
from emotion_ros.training.data.datasets import read_split
from emotion_ros.training.data.region_crop import View
from emotion_ros.training.data.votes import Votes
from emotion_ros.training.detector.detector_training import Detection, start_detector
from emotion_ros.training.detector.network import DetectionNetwork
from emotion_ros.training.evaluation.classifier_evaluation import evaluate
from emotion_ros.training.evaluation.crop_search import measure_crop
from emotion_ros.training.export.classifier_export import export
from emotion_ros.training.onnx_weights import from_onnx


def rows_of(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_trained_model_is_exported_and_right(data, trained, tmp_path):
    metadata = export(trained / "best.ckpt", tmp_path / "m.onnx", {"data": "made up"}, calibrate_on={"data": data})
    assert metadata.labels == ("bright", "dark")
    assert metadata.accuracy["val"] >= 0.9
    report = evaluate(tmp_path / "m.onnx", data, "test")
    assert report["accuracy"] >= 0.9
    assert report["macro_recall"] >= 0.9
    assert np.sum(report["confusion"]) == report["pictures"] == 16


def test_calibration_on_other_classes_is_refused(data, trained, tmp_path):
    for old, new in (("bright", "day"), ("dark", "dark")):
        (tmp_path / "data" / "val").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "val" / new).symlink_to(data / "val" / old)
    with pytest.raises(DatasetError, match="expected only the classes bright, dark, found day too"):
        export(trained / "best.ckpt", tmp_path / "m.onnx", calibrate_on={"other": tmp_path / "data"})
    assert not (tmp_path / "m.onnx").exists()


def test_training_leaves_a_table_curves_and_a_sample_batch(trained):
    rows = rows_of(trained)
    assert [float(row["epoch"]) for row in rows] == [0, 1, 2, 3]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    for name in ("Accuracy.png", "Loss.png", "batch.png"):
        assert cv2.imread(str(trained / name)).size > 1000
    assert list((trained / "tensorboard").iterdir())


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_maps_pixels_to_logits_and_exports(arch, tmp_path):
    size = 64 if arch == "vit_b16" else 48
    network = ARCHITECTURES[arch](5, 3, size).eval()
    pixels = torch.rand(3, 3, size, size)
    with torch.no_grad():
        logits = network(pixels)
    assert logits.shape == (3, 5)
    if arch == "vit_b16":
        return  # 340 MB
    torch.onnx.export(network, (pixels,), str(tmp_path / "m.onnx"), input_names=["pixels"], dynamo=False)
    (outputs,) = ort.InferenceSession(str(tmp_path / "m.onnx")).run(None, {"pixels": pixels.numpy()})
    assert np.abs(outputs - logits.numpy()).max() < 1e-4


def test_interrupted_and_resumed_run_ends_as_an_uninterrupted_one(data, trained, tmp_path, small):
    """Killed by Ctrl-C in a process of its own, then resumed: the same rows, the same weights."""
    flags = {name: value for name, value in vars(small).items() if value != getattr(TrainConfig(), name)}
    options = [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    code = (
        "import sys, time; from emotion_ros.training.classifier import classifier_training as t\n"
        "step = t.Classifier.training_step\n"
        "def slow(*a): time.sleep(0.3); return step(*a)\n"
        "t.Classifier.training_step = slow\nfrom emotion_ros.cli import main; sys.exit(main())"
    )
    command = ["train", data, "--model-dir", tmp_path, *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    run = subprocess.Popen([sys.executable, "-c", code, *map(str, command)], text=True, **pipes)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not ((tmp_path / "metrics.csv").is_file() and len(rows_of(tmp_path)) >= 2):
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    output, errors = run.communicate(timeout=60)
    assert run.returncode == 130, errors
    assert "--resume" in errors
    assert re.search(r"^epoch 2 of 4: val_recall [01]\.\d{3}, .*; about \d+\.\d min left$", output, re.MULTILINE)
    assert not re.search("GPU|litlogger|it/s", output + errors)  # Lightning's hints, and a bar in a pipe
    done = len(rows_of(tmp_path))
    assert 2 <= done < 4
    assert not train([data], tmp_path, small, resume=True).interrupted
    kept = [name for name in rows_of(trained)[0] if name != "seconds"]
    assert [[row[name] for name in kept] for row in rows_of(tmp_path)] == [
        [row[name] for name in kept] for row in rows_of(trained)
    ]
    ours, theirs = load(tmp_path / "last.ckpt").state_dict(), load(trained / "last.ckpt").state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_training_of_five_steps_has_a_schedule(data, tmp_path, small):
    """The rise of its learning rate has one step, by which PyTorch's schedule divides."""
    config = dataclasses.replace(small, epochs=5, batch_size=4096)
    assert train([data], tmp_path, config).epochs == 5


def test_averaged_weights_have_each_step(data, tmp_path, small):
    """They got every fifth step only: an epoch of one step was measured, and stored, with the weights before it."""
    train([data], tmp_path, dataclasses.replace(small, epochs=3, batch_size=4096, ema=0.0))
    content = torch.load(tmp_path / "last.ckpt", map_location="cpu", weights_only=True)
    averaged, last = content["state_dict"], content["current_model_state"]
    assert all(torch.equal(averaged[name], last[name]) for name in last)
    assert len({row["val_loss"] for row in rows_of(tmp_path)}) == 3


@pytest.mark.parametrize("option", ["--tilts=a,b", "--tilts=0,", "--tilts=nan", "--pictures=0", "--pictures=-1"])
def test_measure_crop_refuses_what_is_no_number(option, tmp_path, capsys):
    """Tracebacks."""
    assert main(["measure-crop", "emotion_resnet18", str(tmp_path), option]) == 2
    assert f"{option[2:].partition('=')[0]}: expected" in capsys.readouterr().err


def test_loss_that_is_no_number_ends_the_training(data, tmp_path, small, monkeypatch):
    """It went on to the last epoch, named its score and advised to export weights that are no numbers."""
    step = Classifier.training_step
    monkeypatch.setattr(Classifier, "training_step", lambda *a: step(*a) * (1.0 if a[0].current_epoch < 1 else np.nan))
    with pytest.raises(ConfigError, match=r"^lr: .* it is nan in epoch 2 with .* smaller --lr"):
        train([data], tmp_path, small)
    assert len(rows_of(tmp_path)) == 1
    assert all(value.isfinite().all() for value in load(tmp_path / "last.ckpt").state_dict().values())


def test_two_trainings_at_once_do_not_write_to_one_folder(data, tmp_path, small):
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)  # as the other training does
    with pytest.raises(OutputError, match="expected a folder that no training uses"):
        train([data], tmp_path, small)
    os.close(other)
    assert not (tmp_path / "last.ckpt").exists()
    train([data], tmp_path, dataclasses.replace(small, epochs=1))


@pytest.mark.parametrize(("balance", "low", "high"), [(1.0, 0.35, 0.65), (0.0, 0.7, 1.0)])
def test_output_does_not_learn_how_frequent_the_classes_are(tmp_path, balance, low, high):
    """Pictures of noise, five of a class for each of the other: what the network says shows what it assumes."""
    random = np.random.default_rng(0)
    for split, counts in (("train", (60, 12)), ("val", (8, 8))):
        for label, count in zip(("often", "rare"), counts, strict=True):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(count):
                cv2.imwrite(
                    str(tmp_path / split / label / f"{number}.png"), random.integers(0, 255, (32, 32), np.uint8)
                )
    settings = {
        "arch": "tiny",
        "epochs": 15,
        "batch_size": 24,
        "lr": 0.03,
        "ema": 0.5,
        "size": 32,
        "color": "grey",
        "pretrained": "none",
    }
    config = TrainConfig(**settings, balance=balance)
    train([tmp_path], tmp_path / "run", config)
    model = load(tmp_path / "run" / "last.ckpt").eval()
    with torch.no_grad():
        shares = model(torch.randint(0, 255, (64, 1, 32, 32)).float()).softmax(1).mean(0)
    assert low < shares[0] < high


def test_two_data_sets_of_which_one_lacks_a_class_train_one_model(data, tmp_path, small, command_line):
    for split in ("train", "val"):
        shutil.copytree(data / split, tmp_path / "other" / split)
        (tmp_path / "other" / split / "dark").rename(tmp_path / "other" / split / "night")
    train([data, tmp_path / "other"], tmp_path / "run", dataclasses.replace(small, pictures=40, smoothing=0.1))
    assert {"val_recall", "val_recall_1", "val_recall_2"} <= rows_of(tmp_path / "run")[0].keys()
    sets = {data.name: data, "other": tmp_path / "other"}
    metadata = export(tmp_path / "run" / "last.ckpt", tmp_path / "m.onnx", {"prior": {"dark": 2.0}}, sets)
    assert metadata.labels == ("bright", "dark", "night")
    assert metadata.accuracy.keys() == {f"{data.name} val", "other val"}
    result = command_line("evaluate", tmp_path / "m.onnx", f"ours={data}", tmp_path / "other", "--json")
    figures = json.loads(result.stdout)
    assert figures["data"].keys() == {"ours", "other"}
    recalls = [each["macro_recall"] for each in figures["data"].values()]
    assert figures["mean_recall"] == pytest.approx(np.mean(recalls), abs=1e-3)
    table = command_line("evaluate", tmp_path / "m.onnx", f"ours={data}", tmp_path / "other", "--prior", "{night: 1e9}")
    assert "| ours | 16 | 0.000 |" in table.stdout


COMMANDS_WITH_DATA = ("evaluate emotion_resnet18", "export x.ckpt m.onnx --calibrate", "quantize m.onnx")


@pytest.mark.parametrize("command", COMMANDS_WITH_DATA)
def test_data_sets_of_one_name_are_refused(command, capsys):
    more = ["int8.onnx"] if command.startswith("quantize") else []
    assert main([*command.split(), "here/faces", "there/faces", *more]) == 2
    assert "here/faces and there/faces are both 'faces'; write NAME=PATH" in capsys.readouterr().err


def test_epoch_draws_equal_shares_of_the_data_sets_and_other_pictures_each_time():
    sources = np.repeat([0, 1], [90, 10])
    order = EpochOrder(sources, TrainConfig(pictures=40))
    rows, epochs = list(order), []
    for order.epoch in range(5):
        epochs.append(list(order))
    assert rows == epochs[0]
    assert all(len(each) == len(order) == 40 for each in epochs)
    assert all(sum(row >= 90 for row in each) == 20 for each in epochs)
    assert all(len(set(each)) == 30 for each in epochs), "none twice, but of the smaller set"
    assert len({row for each in epochs for row in each}) > 60
    assert sorted(EpochOrder(sources, TrainConfig())) == list(range(100))


def test_two_processes_train_one_model(data, tmp_path):
    """What torchrun does on several GPUs or machines, with two processes on this CPU."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python", "--nproc-per-node", "2"]
    program = Path(get_package_prefix("emotion_ros")) / "lib" / "emotion_ros" / "emotion-ros"
    flags = {"arch": "tiny", "epochs": 2, "batch-size": 8, "precision": "32-true", "size": 32, "pretrained": "none"}
    options = [part for name, value in flags.items() for part in (f"--{name}", value)]
    arguments = [program, "train", data, "--model-dir", tmp_path / "run", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=110, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert len(rows_of(tmp_path / "run")) == 2
    assert load(tmp_path / "run" / "best.ckpt").labels == ("bright", "dark")


def test_last_checkpoint_is_that_of_the_last_epoch_though_an_earlier_one_was_better(data, tmp_path, small):
    result = train([data], tmp_path, dataclasses.replace(small, epochs=8))
    assert result.score == 1  # long before the end, and never better after
    epochs = {name: torch.load(tmp_path / f"{name}.ckpt", weights_only=True)["epoch"] for name in ("best", "last")}
    assert epochs["best"] < epochs["last"] == 7


def test_early_stopping_ends_a_run_that_gets_no_better(data, tmp_path, small):
    config = TrainConfig(**{**small.__dict__, "lr": 1e-6, "epochs": 50, "patience": 2})
    assert train([data], tmp_path, config).epochs < 20


def test_wandb_offline_writes_a_run(data, tmp_path, monkeypatch, small):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    train([data], tmp_path, TrainConfig(**{**small.__dict__, "epochs": 1, "wandb": True}))
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


def test_network_initialized_from_the_shipped_model_gives_its_output():
    network = ARCHITECTURES["resnet18"](7, 3, 96)
    pixels = torch.randn(40, 3, 96, 96)
    assert initialize(network, "emotion", "resnet18", pixels) == "starting from emotion_resnet18.onnx"
    (expected,) = ort.InferenceSession(str(default_model())).run(None, {"input_0": pixels.numpy()})
    with torch.no_grad():
        assert np.abs(network.eval()(pixels).numpy() - expected).max() < 1e-3
        in_training = network.train()(pixels).numpy()
    assert np.abs(in_training - expected).max() < 0.5


def randomized(network):
    """A network whose weights and statistics are as different from its initial ones as after training."""
    torch.manual_seed(1)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value += 0.05 * (torch.rand_like(value) if name.endswith("running_var") else torch.randn_like(value))
    return network.eval()


def exported(network, example, file, names=("input", "output")):
    axes = {name: {0: "batch"} for name in names}
    options = {"input_names": names[:1], "output_names": names[1:], "dynamic_axes": axes}
    torch.onnx.export(network, (example,), str(file), opset_version=17, dynamo=False, **options)
    return ort.InferenceSession(str(file))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_network_filled_from_an_exported_file_gives_its_output(arch, tmp_path):
    size = 32 if arch == "vit_b16" else 48
    pixels = torch.randn(20, 1, size, size)
    session = exported(randomized(ARCHITECTURES[arch](5, 1, size)), pixels[:2], tmp_path / "m.onnx")
    network = ARCHITECTURES[arch](5, 1, size)
    assert from_onnx(network, tmp_path / "m.onnx", arch, pixels) == []
    (expected,) = session.run(None, {"input": pixels.numpy()})
    with torch.no_grad():
        assert np.abs(network.eval()(pixels).numpy() - expected).max() < 1e-3 * np.abs(expected).max()


def test_detector_that_starts_from_an_exported_file_gives_its_output():
    model = Detection(dataclasses.asdict(DetectorTrainConfig()))
    pixels = torch.rand(4, 3, 96, 128) * 255
    file = default_model().with_name("emotion_faces.onnx")
    start_detector(model, file, pixels)
    (expected,) = ort.InferenceSession(str(file)).run(None, {"pixels": pixels.numpy()})
    with torch.no_grad():
        actual = model.network.eval()(pixels).numpy()
    assert np.abs(actual - expected).max() < 1e-2
    assert not model.network.undivided
    first = model.network.near[0][0].weight.abs().max()
    assert first > 10 * DetectionNetwork().near[0][0].weight.abs().max() / 255  # trainable, not divided by 255


def test_hand_detector_starts_from_its_exported_file():
    model = Detection(dataclasses.asdict(DetectorTrainConfig(kind="hands")))
    pixels = torch.rand(4, 3, 96, 128) * 255
    file = default_model().with_name("emotion_hands.onnx")
    start_detector(model, file, pixels)
    (expected,) = ort.InferenceSession(str(file)).run(None, {"pixels": pixels.numpy()})
    with torch.no_grad():
        assert np.abs(model.network.eval()(pixels).numpy() - expected).max() < 1e-2


def test_hand_detector_starts_from_that_of_faces_except_for_the_last_layers():
    pixels = torch.rand(4, 3, 96, 128) * 255
    file = default_model().with_name("emotion_faces.onnx")
    faces, hands = (Detection(dataclasses.asdict(DetectorTrainConfig(kind=kind))) for kind in ("faces", "hands"))
    last = hands.network.heads[0][1].weight.clone()
    start_detector(faces, file, pixels)
    start_detector(hands, file, pixels)
    weights = [[*model.network.far.parameters()] for model in (faces, hands)]
    assert all(torch.equal(*pair) for pair in zip(*weights, strict=True))
    assert torch.equal(faces.network.heads[0][0][1][0].weight, hands.network.heads[0][0][1][0].weight)
    assert torch.equal(hands.network.heads[0][1].weight, last)
    with pytest.raises(ModelError, match="a detector of faces, --width 32"):
        start_detector(Detection(dataclasses.asdict(DetectorTrainConfig(kind="hands", width=32))), file, pixels)


def test_start_accepts_other_labels_and_colours_but_no_other_architecture(tmp_path):
    pixels = torch.randn(8, 3, 48, 48)
    message = initialize(ARCHITECTURES["resnet18"](3, 3, 48), "emotion", "resnet18", pixels)
    assert "new: last layer" in message
    assert "random" in initialize(ARCHITECTURES["tiny"](3, 3, 48), "emotion", "tiny", pixels)
    with pytest.raises(ModelError, match="expected a model of cnn8"):
        initialize(ARCHITECTURES["cnn8"](3, 3, 48), str(default_model()), "cnn8", pixels)
    with pytest.raises(ModelError, match="cannot read it"):
        initialize(ARCHITECTURES["resnet18"](3, 3, 48), str(tmp_path / "none.onnx"), "resnet18", pixels)


def test_start_from_a_quantized_file_is_refused():
    with pytest.raises(ModelError, match="float32"):
        initialize(
            ARCHITECTURES["resnet18"](7, 1, 48),
            str(default_model().with_name("emotion_resnet18_int8.onnx")),
            "resnet18",
            torch.randn(8, 1, 48, 48),
        )


def test_checkpoint_of_another_architecture(trained):
    with pytest.raises(ModelError, match="expected weights of tiny"):
        initialize(ARCHITECTURES["tiny"](2, 1, 32), str(trained / "best.ckpt"), "tiny", torch.rand(2, 1, 32, 32))


def test_file_that_is_no_checkpoint_is_refused_without_pytorchs_advice(tmp_path):
    """It was to load the file unsafely."""
    (tmp_path / "notes.ckpt").write_text("import nothing")
    network = ARCHITECTURES["tiny"](2, 1, 32)
    for attempt in (
        lambda: load(tmp_path / "notes.ckpt"),
        lambda: initialize(network, str(tmp_path / "notes.ckpt"), "tiny", torch.rand(2, 1, 32, 32)),
    ):
        with pytest.raises(
            ModelError, match=r"notes.ckpt: expected a checkpoint of emotion-ros train, got another.*e$"
        ):
            attempt()
    with pytest.raises(ModelError, match=r"none.ckpt: expected a checkpoint of emotion-ros train, found no such file$"):
        load(tmp_path / "none.ckpt")


def test_checkpoint_whose_dense_layers_have_the_size_of_other_pictures_is_refused(trained):
    with pytest.raises(ModelError, match=r"expected weights of cnn8 that fit the size .* differs"):
        initialize(ARCHITECTURES["cnn8"](2, 1, 64), str(trained / "best.ckpt"), "cnn8", torch.rand(2, 1, 64, 64))


def test_resume_with_other_data(trained, tmp_path, data, small):
    for split in ("train", "val"):
        for old, new in (("bright", "day"), ("dark", "night")):
            (tmp_path / split).mkdir(exist_ok=True)
            (tmp_path / split / new).symlink_to(data / split / old)
    with pytest.raises(DatasetError, match="was trained on bright, dark in 1 data sets, the data hold day, night"):
        train([tmp_path], trained, small, resume=True)


def test_resume_with_more_pictures_is_refused(trained, tmp_path, data, small):
    """The schedule of the learning rate has as many steps as the run that began; a step more ended in a traceback."""
    shutil.copytree(data, tmp_path / "data")
    for label in ("bright", "dark"):
        for number in range(24):
            picture = np.full((48, 48, 3), number + (160 if label == "bright" else 0), np.uint8)
            cv2.imwrite(str(tmp_path / "data" / "train" / label / f"more_{number}.png"), picture)
    with pytest.raises(DatasetError, match=r"which has 24 steps; with these it has 48"):
        train([tmp_path / "data"], trained, small, resume=True)


def test_resume_with_another_number_of_data_sets_is_refused(trained, data, small):
    with pytest.raises(DatasetError, match="in 1 data sets, the data hold bright, dark in 2 data sets"):
        train([data, data], trained, small, resume=True)


@pytest.mark.parametrize(("copied", "named"), [(["bright"], "bright"), (["bright", "dark"], "bright, dark")])
def test_training_on_copies_of_val_alone_is_refused(data, tmp_path, small, copied, named):
    """A class was trained without a single picture, and no picture at all ended in a traceback."""
    shutil.copytree(data, tmp_path / "data")
    for label in copied:
        shutil.rmtree(tmp_path / "data" / "train" / label)
        shutil.copytree(data / "val" / label, tmp_path / "data" / "train" / label)
    with pytest.raises(DatasetError, match=f"those of {named} are all in val or test too"):
        train([tmp_path / "data"], tmp_path / "run", small)


def test_resume_without_a_checkpoint(data, tmp_path, small):
    with pytest.raises(OutputError, match="resume"):
        train([data], tmp_path, small, resume=True)


def test_resume_with_other_settings_is_refused(data, trained, small):
    """They had no effect: a finished run with more --epochs just printed its old result."""
    with pytest.raises(ConfigError, match="settings of the run that began, epochs 4, got 9; leave it out"):
        train([data], trained, dataclasses.replace(small, epochs=9), resume=True)
    assert train([data], trained, TrainConfig(), resume=True).epochs == 4


def test_training_into_the_folder_of_an_earlier_run_keeps_that_run(data, trained, small):
    """Often --resume was forgotten after Ctrl-C: the first epoch replaced the checkpoints of hours."""
    before = (trained / "last.ckpt").stat().st_mtime_ns
    with pytest.raises(OutputError, match="found one, which would be overwritten; add --resume"):
        train([data], trained, small)
    assert (trained / "last.ckpt").stat().st_mtime_ns == before


def test_augmented_pictures_keep_shape_and_range():
    pixels = torch.rand(32, 1, 48, 48) * 255
    config = TrainConfig(degrade=1.0, erase=0.5)
    changed = augment(pixels, config)
    assert changed.shape == pixels.shape
    assert 0 <= changed.min() < changed.max() <= 255


def test_some_colour_pictures_become_grey_and_grey_ones_stay_one_channel():
    torch.manual_seed(0)
    pixels = torch.rand(400, 3, 1, 1).expand(-1, -1, 16, 16) * 200 + 20
    changed = augment(pixels, TrainConfig(erase=0.0))
    grey = (changed.amax(1) - changed.amin(1)).amax((1, 2)) < 1
    assert 0.22 < grey.float().mean() < 0.38


@pytest.mark.parametrize("kind", ["onnx", "ckpt"])
def test_file_for_other_colours_and_another_size_starts_as_the_same_function(tmp_path, kind):
    def start(network, name, pixels):
        file = tmp_path / f"{name}.{kind}"
        if kind == "onnx":
            return from_onnx(network, file, "resnet18", pixels)
        return initialize(network, str(file), "resnet18", pixels)

    torch.manual_seed(0)
    grey, colour = torch.randn(8, 1, 48, 48), torch.randn(8, 3, 96, 96)
    enlarged = torch.nn.functional.interpolate(grey, scale_factor=2).repeat(1, 3, 1, 1)
    networks = {}
    for name, pixels in {"small": grey, "large": colour}.items():
        networks[name] = ARCHITECTURES["resnet18"](7, pixels.shape[1], pixels.shape[-1]).eval()
        for module in networks[name].modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(module.bias, std=0.1)  # tensors that are equal are exported once
        torch.onnx.export(networks[name], (pixels,), str(tmp_path / f"{name}.onnx"), dynamo=False)
        weights = {f"network.{key}": value for key, value in networks[name].state_dict().items()}
        torch.save({"state_dict": weights}, tmp_path / f"{name}.ckpt")
    large, small = (ARCHITECTURES["resnet18"](7, *shape).eval() for shape in ((3, 96), (1, 48)))
    start(large, "small", enlarged)
    start(small, "large", grey)
    with torch.no_grad():
        assert torch.allclose(large(enlarged), networks["small"](grey), atol=1e-4)
        assert torch.allclose(small(grey), networks["large"](enlarged), atol=1e-4)


def test_corrupted_colour_pictures_are_trained_on_in_bf16(data, tmp_path, small):
    settings = {"precision": "bf16-mixed", "degrade": 1.0, "color": "rgb", "epochs": 1}
    train([data], tmp_path, TrainConfig(**{**small.__dict__, **settings}))
    assert load(tmp_path / "last.ckpt").config.color == "rgb"


def test_checkpoints_of_a_run_are_averaged(trained, tmp_path):
    paths = trained / "best.ckpt", trained / "last.ckpt"
    script = Path(__file__).parents[2] / "scripts" / "average_checkpoints.py"
    subprocess.run([sys.executable, script, *paths, tmp_path / "mean.ckpt"], check=True, timeout=60)
    first, second, mean = (load(path).state_dict() for path in (*paths, tmp_path / "mean.ckpt"))
    weights = [name for name, value in first.items() if value.is_floating_point()]
    assert all(torch.allclose(mean[name], (first[name] + second[name]) / 2) for name in weights)


def test_strength_of_augmentation_scales_the_change_and_zero_only_mirrors():
    torch.manual_seed(0)
    faces = torch.nn.functional.interpolate(torch.rand(64, 1, 6, 6), (48, 48), mode="bicubic").clamp(0, 1) * 255

    def change(strength):
        changed = augment(faces, TrainConfig(augment=strength, erase=0.0))
        return torch.minimum(*((changed - each).abs().mean((1, 2, 3)) for each in (faces, faces.flip(3)))).mean()

    assert change(0.0) < 0.1 < change(0.5) < change(2.0)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(kind, shape) for kind in KINDS for shape in ((1, 48, 48), (3, 64, 64)) if (kind, shape[0]) != ("less colour", 1)],
)
def test_picture_is_spoilt_the_more_the_stronger_and_only_where_asked(kind, shape):
    torch.manual_seed(0)
    faces = torch.nn.functional.interpolate(torch.rand(64, shape[0], 9, 9), shape[1:], mode="bicubic").clamp(0, 1) * 255
    apart = [(corrupt(faces, kind, torch.full((64,), each)) - faces).abs().mean() for each in (0.0, *LEVELS)]
    assert apart == sorted(apart)
    assert apart[0] < 5 < 2 * apart[-1]
    half = torch.tensor([1.0] * 32 + [0.0] * 32)
    moved = (corrupt(faces, kind, half) - faces).abs().mean((1, 2, 3))
    assert moved[:32].mean() > moved[32:].mean()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["masked", "behind a hand"])
def test_mask_and_hand_cover_the_mouth_and_leave_the_eyes(kind, channels):
    torch.manual_seed(0)
    faces = torch.rand(16, channels, 96, 96) * 255
    covered = corrupt(faces, kind, torch.ones(16)) != faces
    assert covered[:, :, 70:74, 46:50].float().mean() > 0.9
    assert not covered[:, :, :34].any()


def test_picture_without_colour_is_that_of_a_grey_camera():
    torch.manual_seed(0)
    faces = (torch.rand(8, 3, 32, 32) * 255).round()
    pale = corrupt(faces, "less colour", torch.ones(8))
    expected = [cv2.cvtColor(face.permute(1, 2, 0).byte().numpy(), cv2.COLOR_RGB2GRAY) for face in faces]
    assert (pale - torch.from_numpy(np.stack(expected))[:, None]).abs().max() <= 1
    assert torch.equal(corrupt(pale[:, :1], "less colour", torch.ones(8)), pale[:, :1])


def test_file_that_is_no_checkpoint(tmp_path):
    (tmp_path / "x.ckpt").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="expected a checkpoint"):
        export(tmp_path / "x.ckpt", tmp_path / "m.onnx")


def test_data_that_is_not_there_or_broken(tmp_path):
    with pytest.raises(DatasetError, match=r"missing: expected .* found nothing of that name"):
        read_split(tmp_path / "missing", "train", View(48, "grey"))
    with pytest.raises(DatasetError, match="found neither"):
        read_split(tmp_path, "train", View(48, "grey"))
    (tmp_path / "train" / "one").mkdir(parents=True)
    (tmp_path / "train" / "one" / "a.png").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"one/a\.png"):
        read_split(tmp_path, "train", View(48, "grey"))


def test_votes_count_for_their_weight_and_only_where_there_are_some():
    votes = Votes(np.array([[0, 1], [0, 0]], np.float32), np.array([1, -1]))
    targets = votes.mixed_into(np.array([[1, 0], [1, 0]], np.float32), 0.25)
    assert targets.tolist() == [[0.75, 0.25], [1.0, 0.0]]


def test_crop_is_measured_on_labelled_faces(tmp_path, portrait, command_line):
    for label in ("happy", "sad"):
        (tmp_path / "val" / label).mkdir(parents=True)
        for number in range(3):
            face = portrait[100 - number : 250 + number, 285 - number : 435 + number]
            cv2.imwrite(str(tmp_path / "val" / label / f"{number}.png"), face)
    figures = measure_crop(default_model(), tmp_path, "val", ["mediapipe"], 6)
    grid = np.array(figures["accuracy"]["mediapipe"])
    assert figures["faces"] == {"mediapipe": 6}
    assert figures["whole"] == 0.5
    assert grid[figures["margins"].index(figures["margin"]), figures["shifts"].index(figures["shift"])] == grid.max()
    result = command_line("measure-crop", default_model(), tmp_path, "--detectors", "mediapipe", "--json")
    assert json.loads(result.stdout)["pictures"] == 6
    (tmp_path / "val" / "sad").rename(tmp_path / "val" / "sleepy")
    with pytest.raises(DatasetError, match="sleepy"):
        measure_crop(default_model(), tmp_path, "val", ["mediapipe"], 6)


def test_teacher_is_learned_from(data, trained, small, tmp_path):
    """A teacher that mixes the classes up teaches just that where it has all the weight."""
    export(trained / "best.ckpt", tmp_path / "teacher.onnx")
    file = onnx.load(tmp_path / "teacher.onnx")
    weights = next(each for each in file.graph.initializer if list(each.dims) == [2, 256])
    weights.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weights), weights.name))
    onnx.save(file, tmp_path / "teacher.onnx")
    config = TrainConfig(**{**small.__dict__, "teacher": str(tmp_path / "teacher.onnx"), "teacher_weight": 1.0})
    assert train([data], tmp_path, config).score <= 0.5
    with pytest.raises(ModelError, match="expected the labels bright, dark"):
        train([data], tmp_path / "other", TrainConfig(**{**small.__dict__, "teacher": str(default_model())}))


def test_faces_without_labels_are_learned_from_a_teacher(data, trained, small, tmp_path, portrait, capsys):
    """They are one more data set, which learns no frequencies; the labelled pictures are learned as before."""
    export(trained / "best.ckpt", tmp_path / "teacher.onnx")
    photos = tmp_path / "photos"
    photos.mkdir()
    with zipfile.ZipFile(photos / "photos.zip", "w") as archive:
        archive.writestr("a.png", cv2.imencode(".png", portrait)[1].tobytes())
        archive.writestr("nobody.png", cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    options = {"teacher": str(tmp_path / "teacher.onnx"), "teacher_weight": 0.0, "unlabelled": str(photos)}
    assert train([data], tmp_path / "run", TrainConfig(**{**small.__dict__, **options})).score >= 0.9
    assert f"{photos}: 1 faces without labels" in capsys.readouterr().out
    model = load(tmp_path / "run" / "best.ckpt")
    assert model.adjustment.shape == (2, 2)
    assert not model.adjustment[1].any()
    train([data], tmp_path / "run", model.config, resume=True)
    with pytest.raises(ConfigError, match="expected a teacher"):
        train([data], tmp_path / "other", TrainConfig(**{**small.__dict__, "unlabelled": str(photos)}))
    with pytest.raises(DatasetError, match="found none"):
        train([data], tmp_path / "other", TrainConfig(**{**small.__dict__, **options, "unlabelled": str(tmp_path)}))


def hub_folder(folder, channels=3, layers=(2, 2, 2, 2)):
    """A model in the hub's format, as `hf download` would leave it."""
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(1)
    shape = {"embedding_size": 64, "hidden_sizes": [64, 128, 256, 512], "depths": list(layers), "layer_type": "basic"}
    model = ResNetForImageClassification(ResNetConfig(num_channels=channels, num_labels=1000, **shape))
    model.save_pretrained(folder)
    return model


def test_hub_model_in_a_folder_is_started_from(tmp_path):
    theirs = hub_folder(tmp_path / "resnet-18")
    for channels in (3, 1):
        network = ARCHITECTURES["resnet18"](3, channels, 48)
        message = initialize(network, str(tmp_path / "resnet-18"), "resnet18", torch.rand(1, channels, 48, 48))
        assert "new: last layer" in message
        first = network.network.resnet.embedder.embedder.convolution.weight
        expected = theirs.resnet.embedder.embedder.convolution.weight
        assert torch.allclose(first, expected if channels == 3 else expected.sum(1, keepdim=True), atol=1e-6)


def test_hub_that_cannot_be_reached(tmp_path, command_line, data, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    result = command_line("train", data, "--model-dir", tmp_path / "run", "--pretrained", "imagenet", "--size", "32")
    assert result.returncode == 1
    assert "hf download microsoft/resnet-18" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_imagenet_weights_of_another_architecture(tmp_path):
    with pytest.raises(ModelError, match="imagenet weights, resnet18, vit_b16"):
        initialize(ARCHITECTURES["tiny"](3, 3, 48), "imagenet", "tiny", torch.rand(1, 3, 48, 48))
    hub_folder(tmp_path, layers=(1, 1, 1, 1))
    with pytest.raises(ModelError, match="expected weights of resnet18"):
        initialize(ARCHITECTURES["resnet18"](3, 3, 48), str(tmp_path), "resnet18", torch.rand(1, 3, 48, 48))


def test_training_leaves_copies_of_val_and_test_out(data, small, tmp_path, capsys):
    for split in ("val", "test"):
        (tmp_path / split).symlink_to(data / split)
    shutil.copytree(data / "train", tmp_path / "train")
    for split in ("val", "test"):
        shutil.copy(data / split / "dark" / "0.png", tmp_path / "train" / "dark" / f"{split}.png")
    train([tmp_path], tmp_path / "run", TrainConfig(**{**small.__dict__, "epochs": 1}))
    assert "left out 2 of 50 pictures" in capsys.readouterr().out
