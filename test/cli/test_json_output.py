"""Commands with --json write JSON to standard output and nothing else."""

import argparse
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from emotion_ros.cli import COMMANDS, build_parser, main
from emotion_ros.inference.catalog import catalog, default_model


def subparsers():
    """Name to parser of each command."""
    (action,) = (each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction))
    return action.choices


def with_json():
    return sorted(name for name, parser in subparsers().items() if "--json" in parser._option_string_actions)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, portrait):
    """A val split with three faces per class, and in each class one picture without a face."""
    folder = tmp_path_factory.mktemp("pictures")
    for label in ("happy", "sad"):
        (folder / "val" / label).mkdir(parents=True)
        for number in range(3):
            face = portrait[100 - number : 250 + number, 285 - number : 435 + number]
            cv2.imwrite(str(folder / "val" / label / f"{number}.png"), cv2.copyMakeBorder(face, *[60] * 4, 1))
        cv2.imwrite(str(folder / "val" / label / "empty.png"), np.full((200, 200, 3), 90, np.uint8))
    return folder


@pytest.fixture(scope="module")
def session(tmp_path_factory, portrait):
    """A picture, and what detect --json writes about it."""
    folder = tmp_path_factory.mktemp("session")
    cv2.imwrite(str(folder / "face.png"), portrait)
    code = "import sys; from emotion_ros.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "detect", str(folder / "face.png"), "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    (folder / "session.jsonl").write_text(result.stdout)
    return folder


@pytest.fixture
def arguments(pictures, session, tmp_path):
    """Command to the arguments of each of its forms that print JSON."""
    model = default_model()
    crop = ["--detectors", "emotion_faces", "--pictures", "4"]
    return {
        "compare": [
            [pictures, model, "--crop", "yes"],
            [pictures, model, "--corruptions", "--crop", "yes"],
        ],
        "detect": [[session / "face.png"], [session / "face.png", "--out", tmp_path / "copy.png"]],
        "doctor": [["--seconds", "0.5"]],
        "evaluate": [[model, pictures, "--crop", "yes", "--out", tmp_path / "report"]],
        "measure-crop": [[model, pictures, *crop], [model, pictures, *crop, "--tilts", "0,90"]],
        "report": [[session / "session.jsonl", "--out", tmp_path / "timeline"]],
    }


def parse(text):
    """JSON without NaN and infinity, which the standard does not have."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_every_command_with_json_is_tested(arguments):
    assert with_json() == sorted(arguments)
    assert set(with_json()) <= set(COMMANDS)


@pytest.mark.parametrize("command", with_json())
def test_standard_output_is_json(command, arguments, command_line):
    for form in arguments[command]:
        result = command_line(command, *form, "--json", timeout=110)
        assert result.returncode == 0, result.stderr[-2000:]
        if command == "detect":
            assert all(parse(line) for line in result.stdout.splitlines())
        else:
            assert parse(result.stdout)


def test_pictures_without_a_face_are_named_on_standard_error(pictures, command_line):
    result = command_line("evaluate", default_model(), pictures, "--crop", "yes", "--json", timeout=110)
    assert parse(result.stdout)["pictures"] == 6
    assert "happy/empty.png" in result.stderr


@pytest.mark.parametrize("name", sorted(name for name, entry in catalog().items() if not entry.url))
def test_every_model_of_the_package_is_shown(name, capsys):
    assert main(["models", "show", name]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["name"].split("@")[0] == name
    assert shown["licence"] == "Apache-2.0"
