"""Tries networks in a child process before a node that runs loads them.

A model file can abort, exhaust or block the process that loads it, in native code that no ``except`` reaches.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Set as AbstractSet
from dataclasses import asdict, replace

from emotion_ros.config import PipelineConfig
from emotion_ros.config.options import build
from emotion_ros.errors import ModelError, one_line
from emotion_ros.perception.emotion.emotion_model import EmotionModel
from emotion_ros.perception.loaded_models import (
    EMOTION_OPTIONS,
    EYE_OPTIONS,
    FACE_OPTIONS,
    HAND_OPTIONS,
    POINT_OPTIONS,
    create_eyes,
    create_face_detector,
    create_face_points,
    create_hand_detector,
)

TRIAL_TIMEOUT_S = 30.0
"""Time limit of a trial. With the models of this package it takes 0.3 to 0.7 s on two free cores of a server, and
took up to 4.8 s beside other work."""

MAX_CPU_S = 120
"""Limit of a trial's processor time: four cores for :data:`TRIAL_TIMEOUT_S`."""

MEMORY_LIMIT_BYTES = 2 << 30
"""Limit of a trial's writable memory. With the default classifier the whole process takes 123 MB."""

LAUNCHER = "import sys; sys.path[:] = sys.argv[1:]; from emotion_ros.perception.model_trial import main; main()"
"""Program of the child: the parent's module path, and no other, so that no file of the working directory is run."""

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""Variables of the child's environment that keep its memory independent of the number of processor cores."""

PR_SET_PDEATHSIG = 1
"""Option of prctl(2), from Linux's sys/prctl.h."""


def try_models(config: PipelineConfig, changed: AbstractSet[str]) -> None:
    """Load the networks whose settings changed and run each once, on the CPU, in a child process with limits.

    Blocks for at most :data:`TRIAL_TIMEOUT_S`. The child has a low priority: images are processed first. A network that
    runs on blank images and fails on others is not found.

    Args:
        config: names the networks.
        changed: names of the settings that changed, see :data:`emotion_ros.perception.loaded_models.RELOADABLE`.

    Raises:
        ModelError: the networks cannot be used; the message is that of the child.
    """
    settings = asdict(replace(config, provider="cpu"))
    request = json.dumps({"config": settings, "changed": sorted(changed), "parent": os.getpid()})
    command = [sys.executable, "-I", "-c", LAUNCHER, *filter(None, sys.path)]
    try:
        done = subprocess.run(
            command,
            input=request.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **THREADS},
            timeout=TRIAL_TIMEOUT_S,
            start_new_session=True,  # Ctrl-C in the terminal ends the node, which needs no answer any more
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"{_names(changed)}: expected models that load and run within {TRIAL_TIMEOUT_S:g} s, these do not; "
            "the previous ones stay"
        ) from error
    if reason := done.stdout.decode(errors="replace"):
        raise ModelError(reason)
    if done.returncode:
        raise ModelError(
            f"{_names(changed)}: expected models that load and run in {MEMORY_LIMIT_BYTES >> 20} MiB, the trial ended "
            f"with {done.returncode}; the previous ones stay"
        )


def _names(changed: AbstractSet[str]) -> str:
    return ", ".join(sorted(changed))


def main() -> None:
    """Body of the child: load the networks that standard input names, and print why that failed."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a node that ends or is killed leaves no trial behind
    request = json.load(sys.stdin)
    if os.getppid() != request["parent"]:  # it ended before prctl
        os._exit(1)
    try:
        _load(build(PipelineConfig, request["config"]), set(request["changed"]))
    except Exception as error:  # the parent reports it
        sys.stdout.write(one_line(error))
        sys.stdout.flush()
        os._exit(1)
    os._exit(0)  # the networks need not be freed one by one


def _load(config: PipelineConfig, changed: AbstractSet[str]) -> None:
    """Load what :func:`emotion_ros.perception.loaded_models.load_models` would load; each network runs once then."""
    if changed & EMOTION_OPTIONS:
        EmotionModel(config)
    if changed & FACE_OPTIONS:
        create_face_detector(config)
    if config.hands and changed & HAND_OPTIONS:
        create_hand_detector(config)
    if config.head_pose and changed & POINT_OPTIONS:
        create_face_points(config)
    if changed & EYE_OPTIONS:
        create_eyes(config)
