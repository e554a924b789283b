"""Checks of the machine and the installed packages for ``emotion-ros doctor``. None of them needs ROS."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from emotion_ros.cli.findings import ERROR, OK, WARNING, Finding
from emotion_ros.config.serving_config import INSTALL_SERVING
from emotion_ros.errors import EmotionRosError

MIN_SHARED_MEMORY_BYTES = 128 << 20
"""Free shared memory for images: the detector, the camera driver and two viewers, each with a segment of 32 MiB
(config/fastdds.xml)."""

SHARED_MEMORY = Path("/dev/shm")

GPU_DEVICES = tuple(map(Path, ("/dev/nvidia0", "/dev/nvhost-gpu", "/dev/nvgpu")))
"""Device files of NVIDIA's drivers on a workstation and on a Jetson."""

SHARED_MODULES = ("cv2", "onnxruntime")
"""Modules that several distributions provide. The one that was installed last overwrites files of the others."""

OPTIONAL_MODULES = {
    "hri_msgs": ("topics of people on /humans are off", "sudo apt install ros-$ROS_DISTRO-hri-msgs"),
    "visualization_msgs": ("markers of people are off", "sudo apt install ros-$ROS_DISTRO-visualization-msgs"),
    "fastapi": ("the live page and the HTTP service are off", INSTALL_SERVING),
}
"""Module to what is missing without it, and how it is installed."""


def installation_findings() -> Iterator[Finding]:
    """Yield the findings of all checks of this module."""
    yield from _runtime()
    yield from _models()
    yield from _clashes()
    yield from _optional()
    yield from _shared_memory()


def _runtime() -> Iterator[Finding]:
    try:
        import onnxruntime
    except ImportError as error:
        yield Finding(ERROR, "ONNX Runtime", f"cannot be imported: {error}", "pip install onnxruntime")
        return
    from emotion_ros.inference.providers import PROVIDERS

    usable = [name for name, provider in PROVIDERS.items() if provider in onnxruntime.get_available_providers()]
    text = f"{onnxruntime.__version__}, providers: {', '.join(usable)}"
    has_gpu = any(device.exists() for device in GPU_DEVICES)
    if has_gpu and usable == ["cpu"]:
        remedy = "replace onnxruntime by onnxruntime-gpu (on a Jetson: by NVIDIA's build), see docs/jetson.md"
        yield Finding(WARNING, "ONNX Runtime", f"{text}; this machine has an NVIDIA GPU, which is not used", remedy)
    else:
        yield Finding(OK, "ONNX Runtime", text)


def _models() -> Iterator[Finding]:
    from emotion_ros.inference.catalog import catalog, verify

    try:
        results = [verify(entry) for entry in catalog().values()]
    except (EmotionRosError, OSError) as error:
        yield Finding(ERROR, "models", str(error), "build the package again")
        return
    wrong = [text for is_valid, text in results if not is_valid]
    for text in wrong:
        found, _, remedy = text.rpartition("; ")
        yield Finding(ERROR, "models", found, remedy)
    if not wrong:
        yield Finding(OK, "models", "the files match the catalog")


def _clashes() -> Iterator[Finding]:
    providers = importlib.metadata.packages_distributions()
    for module in SHARED_MODULES:
        names = sorted(set(providers.get(module, ())))
        if len(names) > 1:
            remedy = f"keep one: pip uninstall {' '.join(names)}, then install the one that you want"
            yield Finding(WARNING, module, f"installed by {' and by '.join(names)}, which overwrite each other", remedy)
    numpy_version = importlib.metadata.version("numpy")
    if os.environ.get("ROS_DISTRO") == "humble" and not numpy_version.startswith("1."):
        text = f"{numpy_version}; cv_bridge of ROS 2 Humble was built for NumPy 1"
        yield Finding(ERROR, "numpy", text, "pip install 'numpy<2'")


def _optional() -> Iterator[Finding]:
    for module, (text, remedy) in OPTIONAL_MODULES.items():
        if importlib.util.find_spec(module) is None:
            yield Finding(OK, module, f"not installed: {text}", remedy)


def _shared_memory() -> Iterator[Finding]:
    if not SHARED_MEMORY.is_dir():
        return
    free = shutil.disk_usage(SHARED_MEMORY).free
    text = f"{free / 2**20:.0f} MiB free in {SHARED_MEMORY}"
    if free >= MIN_SHARED_MEMORY_BYTES:
        yield Finding(OK, "shared memory", text)
    else:
        remedy = "in a container: docker run --shm-size=512m or --ipc=host; else end processes that fill it"
        expected = f"{text}; images need {MIN_SHARED_MEMORY_BYTES >> 20}"
        yield Finding(WARNING, "shared memory", expected, remedy)
