"""Weights of an exported ONNX file, back in the network that it was exported from.

Export folds each batch normalisation into the convolution before it. Reading a file undoes that: pictures run through
the network once, each normalisation takes the mean and variance of its convolution's output as its statistics, and a
scale and offset that cancel them. The network then computes what the file computes, and can be trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from emotion_ros.errors import ModelError


def from_onnx(network: nn.Module, path: Path, arch: str, pixels: Tensor) -> list[str]:
    """Fill a network with the weights of an ONNX file that was exported from one of the same architecture.

    Args:
        network: an untrained one.
        path: the ONNX file, in float32.
        arch: name of the architecture, for error messages.
        pixels: pictures of the new task as the network takes them.

    Returns:
        The layers that keep their weights because their shape differs: none, or the last one.

    Raises:
        ModelError: a layer other than the last differs, or the file is quantized.
    """
    graph = onnx.load(str(path)).graph
    values = {item.name: torch.from_numpy(onnx.numpy_helper.to_array(item).copy()) for item in graph.initializer}
    filler = _Filler(_layers(path, graph, values), f"{path}: expected a model of {arch}")
    training = network.training
    hooks = [hook for module in network.modules() if (hook := filler.attach(module))]
    try:
        with torch.no_grad():
            _copy_named(network, values)
            network.eval()(pixels)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    filler.check_end()
    return filler.kept


def _copy_named(network: nn.Module, values: dict[str, Tensor]) -> None:
    """Copy tensors whose names the export kept: biases, layer normalisations and embeddings of transformers."""
    for name, parameter in network.named_parameters():
        matches = (value for key, value in values.items() if f".{key}".endswith(f".{name}"))
        value = next(matches, None)
        if value is not None and value.shape == parameter.shape:
            parameter.copy_(value)


class _Filler:
    """Forward hooks that fill convolutions, dense layers and batch normalisations in the order in which they run.

    Attributes:
        kept: layers that keep their weights.
    """

    def __init__(self, layers: Iterator[tuple[Tensor, Tensor | None]], expected: str) -> None:
        self.kept: list[str] = []
        self._layers, self._expected = layers, expected
        self._folded_bias = torch.zeros(0)  # of the convolution that ran last, for the normalisation behind it

    def attach(self, module: nn.Module) -> Any:
        """Register the hook of a module and return its handle; None if the module has no weights to fill."""
        if isinstance(module, nn.Conv2d | nn.Linear):
            return module.register_forward_pre_hook(self._fill)
        if isinstance(module, nn.BatchNorm2d):
            return module.register_forward_pre_hook(self._unfold)
        return None

    def check_end(self) -> None:
        """Raise if the file has layers that no module took.

        Raises:
            ModelError: it has.
        """
        if next(self._layers, None) is not None:
            raise ModelError(f"{self._expected}, found more layers than it has")

    def _fill(self, module: nn.Conv2d | nn.Linear, _: Any) -> None:
        weight, bias = next(self._layers, (torch.zeros(0), None))
        if isinstance(module, nn.Conv2d) and weight.ndim == 4:
            weight = kernel_for_pixels(weight, module.weight.shape)
        differs = weight.shape != module.weight.shape
        if self.kept or (differs and not isinstance(module, nn.Linear)):
            raise ModelError(
                f"{self._expected}, found a layer of {list(weight.shape)} in place of {list(module.weight.shape)}"
            )
        if differs:
            self.kept.append("last layer")
            return
        module.weight.copy_(weight)
        if module.bias is not None and bias is not None:
            module.bias.copy_(bias)
        self._folded_bias = torch.zeros(len(weight)) if bias is None or module.bias is not None else bias

    def _unfold(self, module: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), unbiased=False)
        module.running_mean, module.running_var = mean.clone(), variance.clone()
        module.weight.copy_((variance + module.eps).sqrt())
        module.bias.copy_(mean + self._folded_bias)


def kernel_for_pixels(kernel: Tensor, wanted: torch.Size) -> Tensor:
    """Return a kernel of a trained network for the colours and the resolution of another, if only these differ.

    It computes the same: on grey pictures in three colours what it computed on grey ones; with twice the stride on
    pictures of twice the size what it computed on the mean of each 2 × 2 pixels. And the other way round.
    """
    if (kernel.shape[1], wanted[1]) == (1, 3):
        kernel = kernel.repeat(1, 3, 1, 1) / 3
    elif (kernel.shape[1], wanted[1]) == (3, 1):
        kernel = kernel.sum(1, keepdim=True)
    if wanted[2] == 2 * kernel.shape[2]:
        kernel = kernel.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
    elif kernel.shape[2] == 2 * wanted[2]:
        kernel = 4 * nn.functional.avg_pool2d(kernel, 2)
    return kernel


def _layers(path: Path, graph: Any, values: dict[str, Tensor]) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield weight (outputs first, as in PyTorch) and bias of convolutions and dense layers, in the order they run.

    A dense layer on more than two axes is a MatMul with a transposed weight, followed by an Add whose bias keeps its
    name; a MatMul of two computed tensors, as in attention, has no weights.
    """
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        _, weight, *bias = node.input
        if weight in values:
            value = values[weight].T if node.op_type == "MatMul" else values[weight]
            yield value, values[bias[0]] if bias else None
        elif node.op_type != "MatMul":
            raise ModelError(f"{path}: expected a model in float32 to start from; this one is quantized")
