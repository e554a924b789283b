"""Which ONNX Runtime execution providers run a model, and with which options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from emotion_ros.errors import ProviderError

Plan: TypeAlias = list[tuple[str, dict[str, str]]]

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""Our name to ONNX Runtime's, best first."""

GPU = PROVIDERS["tensorrt"], PROVIDERS["cuda"]

Shape: TypeAlias = Sequence[int]
Shapes: TypeAlias = tuple[Shape, Shape, Shape]
"""Smallest, usual and largest shape of an input, which a TensorRT engine is built for."""


INT8_INSTRUCTIONS = {"avx512_vnni", "avx_vnni"}
"""Linux's names of VNNI, with which int8 takes a quarter of float32's time (docs/performance.md)."""


def prefers_int8(provider: str, available: Sequence[str], processor: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether an int8 model will run on a CPU whose instructions make it faster than float32.

    Args:
        provider: that is asked for.
        available: as for :func:`plan_providers`.
        processor: what Linux says of it; where there is no such file, nothing is known of it.
    """
    on_gpu = provider in ("tensorrt", "cuda") or (provider == "auto" and {*available} & {*GPU})
    if on_gpu or not processor.is_file():
        return False
    flags = (line.partition(":")[2].split() for line in processor.read_text().splitlines() if line.startswith("flags"))
    return bool(INT8_INSTRUCTIONS & set(next(flags, ())))


def plan_providers(
    wanted: str,
    available: Sequence[str],
    cache: Path,
    model_hash: str,
    device: str,
    input_name: str,
    shapes: Shapes,
) -> Plan:
    """Providers in the order ONNX Runtime shall try them, each with its options.

    Args:
        wanted: ``auto``, or a name of :data:`PROVIDERS`; what comes after it in that order is the fallback.
        available: what this ONNX Runtime has, as ``onnxruntime.get_available_providers()`` says.
        cache: folder for TensorRT engines.
        model_hash: of the model's bytes: another model never meets an old engine.
        device: name of the GPU or of the machine: neither does another device.
        input_name: of the model.
        shapes: of the input.

    Raises:
        ProviderError: ``wanted`` is not available.
    """
    names = list(PROVIDERS)
    if wanted != "auto":
        if wanted not in names:
            raise ProviderError(f"provider: expected auto, {', '.join(names)}, got {wanted!r}")
        if PROVIDERS[wanted] not in available:
            there = [name for name in names if PROVIDERS[name] in available]
            raise ProviderError(
                f"provider {wanted!r} is not in this ONNX Runtime, which has {', '.join(there)}; "
                "install onnxruntime-gpu for this machine, or ask for auto"
            )
        names = names[names.index(wanted) :]
    engine = _tensorrt(cache / f"{model_hash}-{device}-fp16", input_name, shapes)
    options = {"tensorrt": engine, "cuda": {"cudnn_conv_algo_search": "HEURISTIC"}, "cpu": {}}
    return [(PROVIDERS[name], options[name]) for name in names if PROVIDERS[name] in available]


def _tensorrt(cache: Path, input_name: str, shapes: Shapes) -> dict[str, str]:
    least, usual, most = (f"{input_name}:{'x'.join(map(str, shape))}" for shape in shapes)
    return {
        "trt_fp16_enable": "1",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "1",
        "trt_profile_min_shapes": least,
        "trt_profile_opt_shapes": usual,
        "trt_profile_max_shapes": most,
    }
