"""Selects ONNX Runtime execution providers and their options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from emotion_ros.errors import ProviderError

ProviderList: TypeAlias = list[tuple[str, dict[str, str]]]
"""ONNX Runtime's provider names with their options, preferred first."""

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""Provider name of this package to ONNX Runtime's, fastest first."""

GPU_PROVIDERS = PROVIDERS["tensorrt"], PROVIDERS["cuda"]

Shape: TypeAlias = Sequence[int]
ShapeProfile: TypeAlias = tuple[Shape, Shape, Shape]
"""Minimum, optimum and maximum shape of an input: TensorRT's optimization profile."""

INT8_CPU_FLAGS = {"avx512_vnni", "avx_vnni"}
"""VNNI as named in ``/proc/cpuinfo``. With it int8 takes a quarter of float32's time (docs/performance.md)."""


def prefers_int8(provider: str, available: Sequence[str], cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Return True if a model will run on a CPU on which int8 is faster than float32.

    Args:
        provider: requested provider.
        available: as for :func:`select_providers`.
        cpu_info: description of the processor in Linux's format; a missing file means no int8 instructions.
    """
    on_gpu = provider in ("tensorrt", "cuda") or (provider == "auto" and {*available} & {*GPU_PROVIDERS})
    if on_gpu or not cpu_info.is_file():
        return False
    flags = (line.partition(":")[2].split() for line in cpu_info.read_text().splitlines() if line.startswith("flags"))
    return bool(INT8_CPU_FLAGS & set(next(flags, ())))


def select_providers(
    wanted: str,
    available: Sequence[str],
    cache: Path,
    model_hash: str,
    device: str,
    input_name: str,
    profile: ShapeProfile,
) -> ProviderList:
    """Return the providers in the order in which ONNX Runtime tries them, each with its options.

    Args:
        wanted: ``auto`` or a key of :data:`PROVIDERS`; the keys after it are the fallback.
        available: result of ``onnxruntime.get_available_providers()``.
        cache: folder of TensorRT engines.
        model_hash: hash of the model's bytes, part of the engine's folder: a changed model builds a new engine.
        device: name of the machine and version of the runtime, part of the engine's folder for the same reason.
        input_name: name of the model's input.
        profile: shapes of that input.

    Raises:
        ProviderError: ``wanted`` is unknown or not available.
    """
    names = _fallback_names(wanted, available)
    tensorrt = _tensorrt_options(cache / f"{model_hash}-{device}-fp16", input_name, profile)
    # HEURISTIC: cuDNN's exhaustive search of algorithms would run again for every new input shape.
    options = {"tensorrt": tensorrt, "cuda": {"cudnn_conv_algo_search": "HEURISTIC"}, "cpu": {}}
    return [(PROVIDERS[name], options[name]) for name in names if PROVIDERS[name] in available]


def _fallback_names(wanted: str, available: Sequence[str]) -> list[str]:
    names = list(PROVIDERS)
    if wanted == "auto":
        return names
    if wanted not in names:
        raise ProviderError(f"provider: expected auto, {', '.join(names)}, got {wanted!r}")
    if PROVIDERS[wanted] not in available:
        usable = [name for name in names if PROVIDERS[name] in available]
        raise ProviderError(
            f"provider {wanted!r} is not in this ONNX Runtime, which has {', '.join(usable)}; "
            "install onnxruntime-gpu for this machine, or set provider to auto"
        )
    return names[names.index(wanted) :]


def _tensorrt_options(cache: Path, input_name: str, profile: ShapeProfile) -> dict[str, str]:
    smallest, usual, largest = (f"{input_name}:{'x'.join(map(str, shape))}" for shape in profile)
    return {
        "trt_fp16_enable": "1",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "1",
        "trt_profile_min_shapes": smallest,
        "trt_profile_opt_shapes": usual,
        "trt_profile_max_shapes": largest,
    }
