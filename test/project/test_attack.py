"""`make attack`: its short form finds nothing, and each kind of failure is found."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ATTACK = Path(__file__).resolve().parents[2] / "scripts" / "attack"
RELIABILITY = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"

FAULTY = """
import itertools, os, time
from target import Target

def crash(number):
    return os.abort() if number == 2 else number

def hang(number):
    time.sleep(60 if number == 2 else 0)

def grow(number):
    return len(b"x" * (200 << 20 if number == 2 else 1))

def several_lines(number):
    raise ValueError("one\\ntwo" if number == 2 else "one")

def surprise(number):
    return {}[number] if number == 2 else number

def spin(number):
    end = time.process_time() + (1 if number == 2 else 0)
    while time.process_time() < end:
        pass

TARGETS = {
    each.__name__: Target(lambda seed: itertools.count(), each, (ValueError,), 10, 0.5, 100)
    for each in (crash, hang, grow, several_lines, surprise, spin)
}
"""


@pytest.fixture
def children(monkeypatch, tmp_path):
    """The module that runs targets, and a module with faulty ones beside it."""
    (tmp_path / "faulty.py").write_text(FAULTY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    for folder in (ATTACK, tmp_path):
        monkeypatch.syspath_prepend(str(folder))
    import children

    monkeypatch.setattr(children, "HANG_S", 20.0)
    return children


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("crash", "the process ended with -6"),
        ("hang", "gave no result within 20 s"),
        ("grow", "MiB, more than 100 MiB"),
        ("several_lines", "several lines"),
        ("surprise", "KeyError"),
        ("spin", "s, more than 0.5 s"),
    ],
)
def test_input_that_ends_blocks_or_fills_the_process_is_a_failure(children, name, reason):
    result = children.attack("faulty", name, 1, 4)
    assert result.tried == 4
    failure, *others = result.failures
    assert reason in failure
    assert not others or name in ("crash", "hang")  # the number of a crash is that of the new process again
    assert any("given up" in each for each in others) == (name == "hang")


def test_thousands_of_hostile_inputs_are_read_or_refused(tmp_path):
    parts = ("decode", "read image", "read uploads", "read ZIP", "check model")
    command = [sys.executable, str(ATTACK), "--inputs", "3000", "--seed", "7", "--out", str(tmp_path / "table.md")]
    done = subprocess.run([*command, "--only", *parts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(
        r"^\| (.+?) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| 0 \|", (tmp_path / "table.md").read_text(), re.M
    )
    assert len(rows) == len(parts) + 1
    name, *counts = rows[-1]
    tried, accepted, refused = (int(count.replace(",", "")) for count in counts)
    assert name == "all"
    assert tried == accepted + refused >= 2990
    assert min(accepted, refused) > 200


def test_interrupted_attack_leaves_no_process_and_no_file(tmp_path):
    def processes():
        return [each for each in Path("/proc").glob("[0-9]*/environ") if f"TMPDIR={tmp_path}" in environment(each)]

    def environment(file):
        try:
            return file.read_text(errors="replace")
        except OSError:  # it has ended
            return ""

    command = [sys.executable, str(ATTACK), "--inputs", "1000000", "--only", "check model"]
    attack = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(processes()) < 3 and time.monotonic() < deadline:  # the last one runs the inputs
        time.sleep(0.1)
    attack.send_signal(signal.SIGINT)
    _, errors = attack.communicate(timeout=10)
    assert (attack.returncode, errors) == (130, "attack: interrupted\n")
    assert not processes()
    assert not list(tmp_path.iterdir())


def test_reliability_page_has_a_row_for_each_target(children):
    import files
    import onnx_files
    import pictures
    import texts
    import uploads

    page = RELIABILITY.read_text()
    for module in (files, onnx_files, pictures, texts, uploads):
        assert all(f"| {name} | " in page for name in module.TARGETS)
