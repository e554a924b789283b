"""ONNX Runtime on a machine with a GPU, which is not here: real sessions on the CPU that say they run elsewhere.

Building an engine takes as long as the test wants, or fails.
"""

import threading

import onnxruntime as ort

GPU = ["TensorrtExecutionProvider", "CUDAExecutionProvider"]


class FakeGpu:
    """Takes the place of the module onnxruntime.

    Args:
        failure: what building an engine raises.
        left_out: whether ONNX Runtime goes on without TensorRT, as it does where its libraries are not found.
    """

    SessionOptions, OrtValue, __version__ = ort.SessionOptions, ort.OrtValue, ort.__version__

    def __init__(self, failure=None, left_out=False):
        self.failure, self.left_out = failure, left_out
        self.may_build, self.opened = threading.Event(), []

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
    """A real session that says it runs on those providers; what is bound to a GPU is bound to the CPU."""

    def __init__(self, session, names):
        self._session, self._names = session, names
        self.bound = 0

    def __getattr__(self, name):
        return getattr(self._session, name)

    def get_providers(self):
        return self._names

    def run_with_iobinding(self, binding):
        self.bound += 1
        self._session.run_with_iobinding(binding)
