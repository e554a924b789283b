"""Start training from weights that are there: a checkpoint, or an ONNX file of the same architecture.

An ONNX file has each batch normalisation folded into the convolution before it. It is unfolded again by running
pictures of the new task through the network once: the normalisation takes the mean and variance that the convolution
gives on them, and a scale and offset that undo it. The network then computes what the file does, and trains on.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from emotion_ros.errors import ModelError
from emotion_ros.inference.catalog import default_model
from emotion_ros.perception.emotion.classifier import EmotionClassifier

IMAGENET = {"resnet18": "microsoft/resnet-18", "vit_b16": "google/vit-base-patch16-224"}
"""Architecture to the name of a model on the Hugging Face hub that was trained on ImageNet."""

OURS = "resnet18"
"""Architecture of this package's model."""


def start_from(network: nn.Module, pretrained: str, arch: str, pixels: Tensor) -> str:
    """Fill a network with weights.

    Args:
        network: fresh, of the architecture ``arch``.
        pretrained: ``emotion``, ``none``, ``imagenet``, a file (.ckpt or .onnx), or a folder with a model in the
            hub's format.
        arch: the network's.
        pixels: normalised pictures of the new task, n × channels × size × size.

    Returns:
        What was done, for the user.

    Raises:
        ModelError: the weights cannot be read, are of another architecture, or the hub cannot be reached.
    """
    if pretrained == "imagenet" or Path(pretrained).is_dir():
        return _from_hub(network, pretrained, arch)
    if pretrained == "none" or (pretrained == "emotion" and arch != OURS):
        return "starting from random weights"
    path = default_model() if pretrained == "emotion" else Path(pretrained)
    if path.suffix == ".onnx":
        EmotionClassifier(path, "cpu")  # a file that is missing or broken says so here
        fresh = from_onnx(network, path, arch, pixels)
    else:
        fresh = _from_checkpoint(network, path, arch)
    return f"starting from {path.name}" + (f"; new: {', '.join(fresh)}" if fresh else "")


def _from_hub(network: nn.Module, pretrained: str, arch: str) -> str:
    """Weights in the format of ``transformers``, by name from the hub or from a folder."""
    from transformers import AutoModelForImageClassification, logging

    name = pretrained
    if pretrained == "imagenet":
        if arch not in IMAGENET:
            raise ModelError(f"pretrained: imagenet weights are known for {', '.join(IMAGENET)}, not for {arch}")
        name = IMAGENET[arch]
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        theirs = AutoModelForImageClassification.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"pretrained: cannot load {name} ({_first_line(error)}); without internet, run elsewhere: "
            f"hf download {name} --local-dir {Path(name).name}, copy the folder here and name it: "
            f"--pretrained {Path(name).name}/"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    fresh = _copy(network, {f"network.{key}": value for key, value in theirs.state_dict().items()}, name, arch)
    return f"starting from {name}" + (f"; new: {', '.join(fresh)}" if fresh else "")


def _from_checkpoint(network: nn.Module, path: Path, arch: str) -> list[str]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except (OSError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path}: expected a checkpoint of emotion-ros train: {_first_line(error)}") from error
    return _copy(network, {name.removeprefix("network."): value for name, value in content.items()}, str(path), arch)


def _copy(network: nn.Module, theirs: dict[str, Tensor], source: str, arch: str) -> list[str]:
    """Copy what has the same name and shape; the last layer may differ, as other labels make it do, and a first one
    for colour is averaged for grey."""
    ours = network.state_dict()
    for name, value in ours.items():
        if value.ndim == 4 and value.shape[1] == 1 and name in theirs and theirs[name].shape[1:2] == (3,):
            theirs[name] = theirs[name].sum(1, keepdim=True)
    odd = [name for name, value in ours.items() if name not in theirs or theirs[name].shape != value.shape]
    if any(value.ndim > 2 for name, value in ours.items() if name in odd) or len(odd) == len(ours):
        raise ModelError(f"{source}: expected weights of {arch} for the same size and colour; {odd[0]} differs")
    network.load_state_dict({name: value for name, value in theirs.items() if name in ours and name not in odd}, False)
    return ["last layer"] if odd else []


def from_onnx(network: nn.Module, path: Path, arch: str, pixels: Tensor) -> list[str]:
    """Fill a network with the weights of an ONNX file.

    Args:
        network: fresh.
        path: of a file that can be loaded.
        arch: what the network is called in an error.
        pixels: pictures of the new task as the network takes them.

    Returns:
        Layers that stay as they were, for their shape differs.

    Raises:
        ModelError: another layer than the last differs in shape, or the file is quantized.
    """
    layers = _layers(path)
    fresh: list[str] = []
    hooks = []
    state: dict[str, Tensor] = {}

    def take(module: nn.Conv2d | nn.Linear, _: Any) -> None:
        weight, bias = next(layers, (torch.zeros(0), None))
        if isinstance(module, nn.Linear) and weight.shape != module.weight.shape:
            fresh.append("last layer")
            return
        if isinstance(module, nn.Conv2d) and weight.ndim == 4 and weight.shape[1] == 1 < module.weight.shape[1]:
            weight = weight.repeat(1, module.weight.shape[1], 1, 1) / module.weight.shape[1]
        if weight.shape != module.weight.shape:
            raise ModelError(
                f"{path}: expected a model of {arch}, found a layer of {list(weight.shape)} where it has "
                f"{list(module.weight.shape)}"
            )
        module.weight.copy_(weight)
        if module.bias is not None and bias is not None:
            module.bias.copy_(bias)
        state["bias"] = torch.zeros(len(weight)) if bias is None or module.bias is not None else bias

    def unfold(module: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), unbiased=False)
        module.running_mean, module.running_var = mean.clone(), variance.clone()
        module.weight.copy_((variance + module.eps).sqrt())
        module.bias.copy_(mean + state["bias"])

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            hooks.append(module.register_forward_pre_hook(take))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(unfold))
    training = network.training
    with torch.no_grad():
        network.eval()(pixels)
    network.train(training)
    for hook in hooks:
        hook.remove()
    return fresh


def _layers(path: Path) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Weight and bias of the convolutions and dense layers of an ONNX file, in the order they run."""
    graph = onnx.load(str(path)).graph
    values = {each.name: torch.from_numpy(onnx.numpy_helper.to_array(each).copy()) for each in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            _, weight, *bias = node.input
            if weight not in values:
                raise ModelError(f"{path}: expected a model in float32 to start from; this one is quantized")
            yield values[weight], values[bias[0]] if bias else None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
