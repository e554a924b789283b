"""Initial weights of a training: from a checkpoint, the Hugging Face hub, or an ONNX file."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from emotion_ros.errors import ModelError
from emotion_ros.inference.catalog import default_model
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.training.onnx_weights import from_onnx, kernel_for_pixels

IMAGENET = {"resnet18": "microsoft/resnet-18", "vit_b16": "google/vit-base-patch16-224"}
"""Architecture to the Hugging Face hub's name of a model that was trained on ImageNet."""

DEFAULT_ARCHITECTURE = "resnet18"
"""Architecture of this package's model."""


def initialize(network: nn.Module, pretrained: str, arch: str, pixels: Tensor) -> str:
    """Fill a network with initial weights.

    Args:
        network: an untrained one.
        pretrained: ``emotion``, ``none``, ``imagenet``, a file (.ckpt or .onnx), or a folder with a model in the
            hub's format.
        arch: architecture of the network.
        pixels: normalised pictures of the new task, n × channels × size × size.

    Returns:
        A message for the user: the source of the weights, and the layers that keep their random weights.

    Raises:
        ModelError: the weights cannot be read, are of another architecture, or the hub cannot be reached.
    """
    if pretrained == "imagenet" or Path(pretrained).is_dir():
        return _from_hub(network, pretrained, arch)
    if pretrained == "none" or (pretrained == "emotion" and arch != DEFAULT_ARCHITECTURE):
        return "starting from random weights"
    path = default_model() if pretrained == "emotion" else Path(pretrained)
    if path.suffix == ".onnx":
        EmotionClassifier(path, "cpu")  # raises if the file is missing or broken
        fresh = from_onnx(network, path, arch, pixels)
    else:
        fresh = _from_checkpoint(network, path, arch)
    return f"starting from {path.name}" + (f"; new: {', '.join(fresh)}" if fresh else "")


def _from_hub(network: nn.Module, pretrained: str, arch: str) -> str:
    """Copy weights in the format of ``transformers``, from the hub (by name) or from a folder."""
    from transformers import AutoModelForImageClassification, logging

    name = pretrained
    if pretrained == "imagenet":
        if arch not in IMAGENET:
            raise ModelError(
                f"pretrained: expected an architecture with imagenet weights, {', '.join(IMAGENET)}; got {arch}"
            )
        name = IMAGENET[arch]
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        theirs = AutoModelForImageClassification.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"pretrained: cannot load {name} ({_first_line(error)}); without internet, run this on another machine: "
            f"hf download {name} --local-dir {Path(name).name}, copy the folder and give it as "
            f"--pretrained {Path(name).name}/"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    fresh = _copy(network, {f"network.{key}": value for key, value in theirs.state_dict().items()}, name, arch)
    return f"starting from {name}" + (f"; new: {', '.join(fresh)}" if fresh else "")


def _from_checkpoint(network: nn.Module, path: Path, arch: str) -> list[str]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except pickle.UnpicklingError as error:  # its text advises to load the file unsafely
        raise ModelError(f"{path}: expected a checkpoint of emotion-ros train, got another file") from error
    except (OSError, KeyError, RuntimeError) as error:
        raise ModelError(f"{path}: expected a checkpoint of emotion-ros train: {_first_line(error)}") from error
    return _copy(network, {name.removeprefix("network."): value for name, value in content.items()}, str(path), arch)


def _copy(network: nn.Module, theirs: dict[str, Tensor], source: str, arch: str) -> list[str]:
    """Copy the tensors of equal name and shape and return the layers that differ.

    Only the last layer may differ, as it does for other labels. Kernels follow the size and the colour of the input.
    """
    ours = network.state_dict()
    for name, value in ours.items():
        if name in theirs and value.ndim == theirs[name].ndim == 4:
            theirs[name] = kernel_for_pixels(theirs[name], value.shape)
    other = [name for name, value in ours.items() if name not in theirs or theirs[name].shape != value.shape]
    *_, last = (_layer(name) for name in ours)
    if wrong := next((name for name in other if _layer(name) != last), None):
        raise ModelError(f"{source}: expected weights of {arch} that fit the size of the input; {wrong} differs")
    network.load_state_dict(
        {name: value for name, value in theirs.items() if name in ours and name not in other}, False
    )
    return ["last layer"] if other else []


def _layer(tensor: str) -> str:
    return tensor.rpartition(".")[0]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
