"""Opens and runs ONNX models with ONNX Runtime on the fastest available execution provider."""

from __future__ import annotations

import hashlib
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
from emotion_ros.inference.cache_folder import create_engine_folder
from emotion_ros.inference.providers import PROVIDERS, ProviderList, ShapeProfile, select_providers

METADATA_KEY = "emotion_ros"
"""Key of the model's description (JSON) in the ONNX metadata."""

MAX_REASON_CHARACTERS = 200
"""Length to which ONNX Runtime's messages are cut in errors and diagnostics."""

CUDA_MISSING = "CUDA could not be loaded; are the libraries of CUDA and cuDNN on the library path?"
"""ONNX Runtime lists the providers that it was compiled with, and takes the CPU if their libraries are missing."""

Array = NDArray[Any]


class Session:
    """An open ONNX model.

    Building a TensorRT engine takes minutes the first time on a Jetson. It is built in a thread, and the model runs on
    CUDA or the CPU until it is ready, or permanently if the build fails.

    Threads: one thread calls :meth:`run`. The thread ``engine`` opens a second ONNX Runtime session, runs it once per
    shape, and only then stores it in ``_active``, its last action. It never touches the session that is in use, and
    ``run`` reads ``_active`` once per call: an inference in flight finishes on the session on which it started.
    Storing and reading one attribute is atomic in Python; no lock is needed.

    Attributes:
        inputs, outputs: ONNX Runtime's descriptions (name, shape, type) of the model's inputs and outputs.
        metadata: the model's description as JSON; None if the file has none.
    """

    def __init__(
        self,
        cpu_session: ort.InferenceSession,
        create: Callable[[ProviderList], Any],
        providers: ProviderList,
        profile: ShapeProfile,
    ) -> None:
        """Start to run a model, and to build its engine if TensorRT is the first provider.

        Args:
            cpu_session: the model, opened on the CPU.
            create: opens the model with given providers.
            providers: see :func:`emotion_ros.inference.providers.select_providers`.
            profile: input shapes for which the engine is built.
        """
        self.inputs, self.outputs = cpu_session.get_inputs(), cpu_session.get_outputs()
        self.metadata = read_metadata(cpu_session)
        builds = providers[0][0] == PROVIDERS["tensorrt"]
        fallback = providers[1:] if builds else providers
        cpu_only = all(name == PROVIDERS["cpu"] for name, _ in fallback)
        self._active = _BoundSession(cpu_session if cpu_only else create(fallback))
        self._failure = "" if cpu_only or self.provider != "cpu" else f"running on cpu: {CUDA_MISSING}"
        self._build_start = time.monotonic()
        self._builder = threading.Thread(
            target=self._build_engine, args=(create, providers, profile), name="engine", daemon=True
        )
        if builds:
            self._builder.start()

    @property
    def provider(self) -> str:
        """Execution provider in use now: ``tensorrt``, ``cuda`` or ``cpu``."""
        return self._active.provider

    @property
    def engine_status(self) -> str:
        """State of the TensorRT engine, or that CUDA is missing, as text; empty if the first provider is in use."""
        if self._builder.is_alive():
            elapsed = time.monotonic() - self._build_start
            return (
                f"building TensorRT engine for {elapsed:.0f} s (takes minutes the first time), "
                f"running on {self.provider} meanwhile"
            )
        return self._failure

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Block until the engine is in use or has failed, at most ``timeout`` seconds (None: no limit)."""
        if self._builder.ident is not None:  # the thread was started
            self._builder.join(timeout)

    def run(self, names: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
        """Return the outputs of those names for inputs by name. Not thread-safe."""
        return self._active.run(names, inputs)

    def _build_engine(
        self, create: Callable[[ProviderList], Any], providers: ProviderList, profile: ShapeProfile
    ) -> None:
        """Build the engine, run it once per shape, then put it in use. Runs in the thread ``engine``."""
        try:
            built = _BoundSession(create(providers))
            if built.provider != "tensorrt":
                raise ProviderError("ONNX Runtime continued without it; are TensorRT's libraries on the library path?")
            for shape in profile:
                built.run([output.name for output in self.outputs], {self.inputs[0].name: np.zeros(shape, np.float32)})
        except Exception as error:  # a failed engine build, in any library, must not stop inference
            self._failure = f"TensorRT engine could not be built, running on {self.provider}: {first_line(error)}"
        else:
            self._active = built


class _BoundSession:
    """An ONNX Runtime session with reused input buffers on its device.

    On a GPU, one buffer per input name and shape is allocated and overwritten by later calls. On the CPU, arrays are
    passed as they are.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self.provider = next(key for key, name in PROVIDERS.items() if name == session.get_providers()[0])
        self._buffers: dict[tuple[str, tuple[int, ...]], Any] = {}

    def run(self, names: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
        if self.provider == "cpu":
            return list(self._session.run(list(names), dict(inputs)))
        binding = self._session.io_binding()
        for name, values in inputs.items():
            binding.bind_ortvalue_input(name, self._to_device(name, values))
        for name in names:
            binding.bind_output(name, "cuda")
        self._session.run_with_iobinding(binding)
        return list(binding.copy_outputs_to_cpu())

    def _to_device(self, name: str, values: Array) -> Any:
        key = name, values.shape
        if key in self._buffers:
            self._buffers[key].update_inplace(np.ascontiguousarray(values))
        else:
            self._buffers[key] = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values), "cuda", 0)
        return self._buffers[key]


def open_session(
    path: Path,
    content: bytes,
    provider: str,
    threads: int,
    cache: Path,
    profile_of: Callable[[ort.InferenceSession], ShapeProfile],
) -> Session:
    """Open a model on ``provider``, or on the next available one.

    Args:
        path: the ONNX file. ONNX Runtime reads the file: given bytes, it would keep a copy of them.
        content: bytes of that file, for the hash in the engine's folder.
        provider: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
        threads: CPU threads; 0: ONNX Runtime's choice.
        cache: folder of TensorRT engines.
        profile_of: checks the model, opened on the CPU, and returns the shapes of its first input; raises ModelError
            if the caller cannot use the model.

    Raises:
        ModelError: the content is not an ONNX model, or ``profile_of`` raised it.
        ProviderError: the provider is not available.
    """
    settings = _session_settings(threads)

    def create(providers: ProviderList) -> ort.InferenceSession:
        for _, options in providers:
            if "trt_engine_cache_path" in options:
                create_engine_folder(Path(options["trt_engine_cache_path"]))
        return ort.InferenceSession(str(path), settings, providers=providers)

    try:
        cpu_session = create([(PROVIDERS["cpu"], {})])
        _read_texts(cpu_session)
    except Exception as error:  # ONNX Runtime's exceptions have no other common base
        raise ModelError(f"{path}: expected an ONNX model that ONNX Runtime can load: {first_line(error)}") from error
    profile = profile_of(cpu_session)
    model_hash = hashlib.sha256(content).hexdigest()[:16]
    device = f"{platform.node()}-{ort.__version__}"
    name = cpu_session.get_inputs()[0].name
    available = ort.get_available_providers()
    providers = select_providers(provider, available, cache, model_hash, device, name, profile)
    session = Session(cpu_session, create, providers, profile)
    if provider == "cuda" and session.provider != "cuda":
        raise ProviderError(f"provider 'cuda': {CUDA_MISSING}")
    return session


def _read_texts(session: ort.InferenceSession) -> None:
    """Read all texts of a model once. Raises UnicodeDecodeError for one that is not UTF-8, which ONNX Runtime loads."""
    _ = session.get_modelmeta().custom_metadata_map
    _ = [(tensor.name, tensor.shape) for tensor in (*session.get_inputs(), *session.get_outputs())]


def _session_settings(threads: int) -> ort.SessionOptions:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3  # errors
    # Busy-waiting threads took 20 ms of CPU time per image at 30 Hz, and saved a tenth of the latency.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return settings


def first_line(error: Exception) -> str:
    """Return the first line of an error, cut to :data:`MAX_REASON_CHARACTERS`."""
    lines = str(error).strip().splitlines() or [repr(error)]
    return lines[0][:MAX_REASON_CHARACTERS]


def read_metadata(session: ort.InferenceSession) -> str | None:
    """Return the JSON under :data:`METADATA_KEY` of an open model; None if it has none."""
    text: str | None = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    return text


def read_model_file(path: Path) -> bytes:
    """Return the bytes of a model file.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: expected an ONNX or TFLite model, cannot read it: {error.strerror}") from error
