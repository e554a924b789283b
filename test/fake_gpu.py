"""ONNX Runtime of a machine with a GPU: real CPU sessions that report other execution providers.

The test decides when an engine build ends, or lets it fail. Memory of the GPU is memory of the CPU.
"""

import threading

import onnxruntime as ort

GPU = ["TensorrtExecutionProvider", "CUDAExecutionProvider"]


class FakeGpu:
    """Replacement of the module onnxruntime.

    Args:
        failure: exception that an engine build raises.
        left_out: ONNX Runtime continues without TensorRT, as it does if TensorRT's libraries are not found.

    Attributes:
        may_build: event for which an engine build waits.
        opened: provider lists of the sessions that were opened, in order.
        allocations: shapes of the arrays for which GPU memory was allocated.
    """

    SessionOptions, __version__ = ort.SessionOptions, ort.__version__

    def __init__(self, failure=None, left_out=False):
        self.failure, self.left_out = failure, left_out
        self.may_build, self.opened, self.allocations = threading.Event(), [], []

    @property
    def OrtValue(self):  # noqa: N802
        return self

    def ortvalue_from_numpy(self, values, device, number):
        assert (device, number) == ("cuda", 0)
        self.allocations.append(values.shape)
        return ort.OrtValue.ortvalue_from_numpy(values, "cpu", 0)

    def get_available_providers(self):
        return [*GPU, "CPUExecutionProvider"]

    def InferenceSession(self, model, settings, providers):  # noqa: N802
        names = [name for name, _ in providers]
        self.opened.append(providers)
        if names[0] == GPU[0]:
            assert self.may_build.wait(20)
            if self.failure:
                raise self.failure
            if self.left_out:
                names = names[1:]
        return _Session(ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"]), names)


class _Session:
    """A real CPU session that reports given providers."""

    def __init__(self, session, names):
        self._session, self._names = session, names

    def __getattr__(self, name):
        return getattr(self._session, name)

    def get_providers(self):
        return self._names

    def io_binding(self):
        return _Binding(self._session.io_binding())

    def run_with_iobinding(self, binding):
        self._session.run_with_iobinding(binding.real)


class _Binding:
    """A real binding whose outputs for the GPU stay on the CPU."""

    def __init__(self, real):
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)

    def bind_output(self, name, device):
        assert device == "cuda"
        self.real.bind_output(name, "cpu")
