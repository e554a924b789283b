"""The command ``emotion-ros``: one file per subcommand. Heavy imports are made by the subcommand that needs them."""

from __future__ import annotations

import argparse
import errno
import io
import os
import select
import signal
import sys
import time
from collections.abc import Sequence

from emotion_ros import __version__
from emotion_ros.cli import (
    benchmark,
    capture,
    compare,
    detect,
    doctor,
    draw,
    evaluate,
    export,
    label_faces,
    label_hands,
    label_meshes,
    measure_crop,
    models,
    quantize,
    report,
    run,
    serve,
    split,
    train,
    train_detector,
    train_eyes,
    train_face_landmarks,
    train_hands,
)
from emotion_ros.cli.arguments import ShortUsage
from emotion_ros.errors import ConfigError, EmotionRosError

COMMANDS = {
    "run": (run, "start the ROS nodes: image source, detector and recorder"),
    "detect": (detect, "detect faces, emotions and hands in pictures, videos, bags or a camera, without ROS"),
    "doctor": (doctor, "check the installation, the cameras and the detector, and say what to do"),
    "report": (report, "summarize a recorded session: a timeline and a table of people"),
    "serve": (serve, "serve the detection over HTTP"),
    "models": (models, "list, show, download or verify models"),
    "capture": (capture, "capture labelled pictures for training"),
    "split": (split, "divide pictures into train, val and test"),
    "draw": (draw, "draw a small data set from a large one"),
    "train": (train, "train a classifier"),
    "label-faces": (label_faces, "label the faces in photos with another detector, for train-detector"),
    "train-detector": (train_detector, "train a detector of faces or hands"),
    "label-hands": (label_hands, "label the hands in photos with another hand detector"),
    "train-hands": (train_hands, "train the hand landmark network"),
    "label-meshes": (label_meshes, "label the faces in photos with MediaPipe Face Mesh"),
    "train-face-landmarks": (train_face_landmarks, "train the network of face landmarks and head pose"),
    "train-eyes": (train_eyes, "train the network of eyelids, which attention uses"),
    "export": (export, "write a checkpoint as a model file with metadata"),
    "quantize": (quantize, "write an int8 copy of an ONNX model, if it stays accurate"),
    "evaluate": (evaluate, "measure a model on labelled pictures"),
    "compare": (compare, "measure several models on the same pictures, as a table"),
    "measure-crop": (measure_crop, "find the crop margin and shift that suit a model best"),
    "benchmark": (benchmark, "measure the pipeline and the ROS graph on this machine"),
}
"""Subcommand to its module, which has ``add_arguments`` and ``run``, and to its description."""


INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as a shell reports it."""

REPEATED_INTERRUPTION_S = 2.0
"""Time within which a further Ctrl-C means the same as the first."""

READER_GONE = 141
"""Exit code if the reader of the output ended, such as ``head``: 128 + SIGPIPE, as a shell reports it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Returns:
        0; 1 if something failed; 2 for wrong use; 130 after Ctrl-C; 141 if the reader of the output ended.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as by a shell's background job
        signal.signal(signal.SIGINT, _Interruption())
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names may hold bytes that are no UTF-8
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        try:
            return _run(arguments)
        finally:
            if sys.stdout:
                sys.stdout.flush()  # an error would appear only after the exit code is set otherwise
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        _discard_output()
        return READER_GONE
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        print(f"emotion-ros: cannot write the output: {error}; free some space", file=sys.stderr)
        _discard_output()
        return 1


def _run(arguments: Sequence[str] | None) -> int:
    parsed = build_parser().parse_args(arguments)
    try:
        return int(parsed.command(parsed))
    except EmotionRosError as error:
        print(f"emotion-ros: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        return _end_interrupted()
    except Exception:
        handler = signal.getsignal(signal.SIGINT)
        if isinstance(handler, _Interruption) and handler.time is not None:  # an import in native code that it broke
            return _end_interrupted()
        raise


def _end_interrupted() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # another Ctrl-C would end the interpreter by the signal
    return INTERRUPTED


class _Interruption:
    """Handler of Ctrl-C that raises KeyboardInterrupt, but not again while the first one finishes output files."""

    def __init__(self) -> None:
        self.time: float | None = None

    def __call__(self, *_: object) -> None:
        now = time.monotonic()
        if self.time is None or now - self.time > REPEATED_INTERRUPTION_S:
            self.time = now
            raise KeyboardInterrupt


def _reader_is_gone() -> bool:
    """Return whether standard output is a pipe that nothing reads any more."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in output.poll(0))


def _discard_output() -> None:
    """Redirect standard output to /dev/null: Python flushes what is buffered at its exit, and must not fail there."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="emotion-ros",
        description="Detect faces, emotions and hands of people in camera images, live in ROS 2 or from files.",
        epilog="emotion-ros COMMAND --help lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (module, description) in COMMANDS.items():
        sentence = description[0].upper() + description[1:]
        command = commands.add_parser(name, help=description, description=sentence, formatter_class=ShortUsage)
        module.add_arguments(command)
        command.set_defaults(command=module.run)
    return parser
