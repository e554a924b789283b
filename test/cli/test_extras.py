"""Commands whose libraries are missing say what to install."""

import argparse
import inspect
import subprocess
import sys

import pytest

from emotion_ros.cli import COMMANDS
from emotion_ros.cli.extras import requires_training

MINIMAL = {
    "compare": ["data", "model.onnx"],
    "draw": ["data", "--out", "out", "--classes", "a=b"],
    "evaluate": ["model.onnx", "data"],
    "export": ["best.ckpt", "model.onnx"],
    "measure-crop": ["model.onnx", "data"],
    "quantize": ["model.onnx", "data", "int8.onnx"],
    "split": ["pictures"],
    "train": ["data", "--model-dir", "run"],
    "train-detector": ["data", "--model-dir", "run"],
    "train-hands": ["data", "--model-dir", "run"],
    "label-faces": ["data"],
    "label-hands": ["data"],
    "label-meshes": ["data"],
    "train-face-landmarks": ["data", "--model-dir", "run"],
    "train-eyes": ["data", "--model-dir", "run"],
}
"""Commands of training, and arguments that the parser accepts."""

HIDE = """
import sys
from importlib.abc import MetaPathFinder
class Hidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
from emotion_ros.cli import main
sys.exit(main())
"""


def run_without(hidden, *arguments):
    command = [sys.executable, "-c", HIDE.format(hidden=hidden), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_every_command_that_uses_training_is_tested():
    modules = {name: module for name, (module, _) in COMMANDS.items()}
    assert {name for name in modules if "emotion_ros.training" in inspect.getsource(modules[name])} == set(MINIMAL)


@pytest.mark.parametrize("command", MINIMAL)
def test_command_of_training_without_its_libraries_names_them(command, tmp_path):
    (tmp_path / "pictures").mkdir()
    extra = {"imagehash", "lightning", "matplotlib", "onnx", "tensorboard", "torch", "transformers"}
    result = run_without(extra, command, *MINIMAL[command])
    if command in (
        "draw",
        "label-faces",
        "label-hands",
        "label-meshes",
        "measure-crop",
    ):  # need none: the data are missing next
        assert "Traceback" not in result.stderr
        return
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.endswith("is not installed: pip install 'emotion_ros[train]'")
    assert line.split(": ")[1].split()[0] in extra


def test_missing_module_of_this_package_is_shown_as_the_defect_that_it_is():
    @requires_training
    def run(_):
        raise ModuleNotFoundError("No module named 'emotion_ros.nothing'", name="emotion_ros.nothing")

    with pytest.raises(ModuleNotFoundError):
        run(argparse.Namespace())


def test_commands_without_training_need_none_of_its_libraries():
    result = run_without({"torch", "lightning", "transformers"}, "models", "list")
    assert result.returncode == 0, result.stderr
