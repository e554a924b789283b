"""A model in ONNX, opened by ONNX Runtime on the best there is."""

from __future__ import annotations

import hashlib
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.errors import ModelError, ProviderError
from emotion_ros.inference.providers import PROVIDERS, Plan, Shapes, plan_providers

METADATA_KEY = "emotion_ros"
"""ONNX metadata property that holds what a model says of itself as JSON."""

Array = NDArray[Any]


class Session:
    """A model that runs.

    Where TensorRT is wanted, its engine is made ready in a thread, which takes minutes the first time on a Jetson;
    meanwhile the model runs on CUDA or the CPU, and so it does for good where no engine can be made.

    Attributes:
        inputs, outputs: what the model takes and gives, as ONNX Runtime tells it.
        metadata: what the model says of itself, as JSON; None where it says nothing.
    """

    def __init__(self, first: ort.InferenceSession, create: Callable[[Plan], Any], plan: Plan, shapes: Shapes) -> None:
        """Open a model.

        Args:
            first: the model on the CPU.
            create: opens it by a plan.
            plan: see :func:`emotion_ros.inference.providers.plan_providers`.
            shapes: that an engine is built for.
        """
        self.inputs, self.outputs = first.get_inputs(), first.get_outputs()
        self.metadata = metadata(first)
        engine, rest = plan[:1], plan[1:]
        if engine[0][0] != PROVIDERS["tensorrt"]:
            engine, rest = [], plan
        on_cpu = [name for name, _ in rest] in ([], [PROVIDERS["cpu"]])
        self._running = _Running(first if on_cpu else create(rest))
        self._trouble = ""
        self._begun = time.monotonic()
        self._builder = threading.Thread(target=self._build, args=(create, plan, shapes), name="engine", daemon=True)
        if engine:
            self._builder.start()

    @property
    def provider(self) -> str:
        """Which execution provider runs it now: ``tensorrt``, ``cuda`` or ``cpu``."""
        return self._running.provider

    @property
    def engine(self) -> str:
        """How its TensorRT engine fares, for reading; empty where it runs, or where none was asked for."""
        if self._builder.is_alive():
            since = time.monotonic() - self._begun
            return (
                f"TensorRT engine in the making for {since:.0f} s (minutes the first time), {self.provider} meanwhile"
            )
        return self._trouble

    def wait(self, seconds: float | None = None) -> None:
        """Until it runs on what it will go on running on, or for so long."""
        if self._builder.ident is not None:
            self._builder.join(seconds)

    def run(self, names: Sequence[str], feed: Mapping[str, Array]) -> list[Array]:
        """Outputs by name, for inputs by name. Not for two threads at once."""
        return self._running.run(names, feed)

    def _build(self, create: Callable[[Plan], Any], plan: Plan, shapes: Shapes) -> None:
        """Make the engine, run it in each shape, and only then use it."""
        try:
            ready = _Running(create(plan))
            if ready.provider != "tensorrt":
                raise ProviderError("ONNX Runtime went on without it; are TensorRT's libraries on the library path?")
            for shape in shapes:
                ready.run([each.name for each in self.outputs], {self.inputs[0].name: np.zeros(shape, np.float32)})
        except Exception as error:  # whatever a driver brings must not cost the robot its eyes
            reason = str(error).strip().splitlines() or [repr(error)]
            self._trouble = f"no TensorRT engine could be made, {self.provider} instead: {reason[0][:200]}"
        else:
            self._running = ready


class _Running:
    """An open session, and on a GPU the places there that its inputs are copied to again and again."""

    def __init__(self, session: Any, device: str = "") -> None:
        self._session = session
        self.provider = next(ours for ours, name in PROVIDERS.items() if name == session.get_providers()[0])
        self._device = device or ("" if self.provider == "cpu" else "cuda")
        self._places: dict[tuple[str, tuple[int, ...]], Any] = {}

    def run(self, names: Sequence[str], feed: Mapping[str, Array]) -> list[Array]:
        if not self._device:
            return list(self._session.run(list(names), dict(feed)))
        binding = self._session.io_binding()
        for name, values in feed.items():
            binding.bind_ortvalue_input(name, self._placed(name, values))
        for name in names:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding)
        return list(binding.copy_outputs_to_cpu())

    def _placed(self, name: str, values: Array) -> Any:
        key = name, values.shape
        if key in self._places:
            self._places[key].update_inplace(np.ascontiguousarray(values))
        else:
            self._places[key] = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values), self._device, 0)
        return self._places[key]


def default_cache() -> Path:
    """Where TensorRT engines are kept: ``$XDG_CACHE_HOME/emotion_ros`` or ``~/.cache/emotion_ros``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emotion_ros"


def open_session(
    path: Path,
    content: bytes,
    provider: str,
    threads: int,
    cache: Path,
    shapes: Callable[[ort.InferenceSession], Shapes],
) -> Session:
    """A session on ``provider`` or what comes after it.

    Args:
        path: of the model. ONNX Runtime reads it: of bytes it keeps a copy as long as the session lives.
        content: of that file, of which the digest is taken.
        provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
        threads: on a CPU; 0 lets ONNX Runtime choose.
        cache: folder for TensorRT engines.
        shapes: smallest, usual and largest shape of the input of a model that is open on the CPU; raises a ModelError
            where the model is none that the caller can use.

    Raises:
        ModelError: the content is no ONNX model, or what ``shapes`` raises.
        ProviderError: the provider is not available.
    """
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    # Threads that wait busily for the next image took 20 ms of a core for each at 30 Hz, and saved a tenth of the time.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def create(plan: Plan) -> ort.InferenceSession:
        for _, options in plan:
            if "trt_engine_cache_path" in options:
                Path(options["trt_engine_cache_path"]).mkdir(parents=True, exist_ok=True)
        return ort.InferenceSession(str(path), settings, providers=plan)

    try:
        first = create([(PROVIDERS["cpu"], {})])
    except Exception as error:  # ONNX Runtime's errors have no common base but this
        reason = str(error).strip().splitlines()[0][:200]
        raise ModelError(f"{path}: expected an ONNX model that ONNX Runtime can load: {reason}") from error
    wanted = shapes(first)
    digest = hashlib.sha256(content).hexdigest()[:16]
    device = f"{platform.node()}-{ort.__version__}"
    name = first.get_inputs()[0].name
    plan = plan_providers(provider, ort.get_available_providers(), cache, digest, device, name, wanted)
    return Session(first, create, plan, wanted)


def metadata(session: ort.InferenceSession) -> str | None:
    """What a model that ONNX Runtime opened says of itself, as JSON; None where it says nothing."""
    found: str | None = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    return found


def read(path: Path) -> bytes:
    """The content of a model file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: expected an ONNX or TFLite model, cannot read it: {error.strerror}") from error
