"""Settings of trainings."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_ros.config.options import option


@dataclass(frozen=True)
class LoopConfig:
    """How any network is trained."""

    epochs: int = option(36, "passes over the training images", minimum=1, maximum=10000)
    batch_size: int = option(256, "images per step", minimum=2, maximum=4096)
    workers: int = option(0, "processes that fetch batches; 0: none, the images are in memory", minimum=0, maximum=64)
    optimizer: str = option("sgd", "sgd for networks of convolutions, adamw for vit", choices=("sgd", "adamw"))
    lr: float = option(0.1, "peak learning rate of the one-cycle schedule", minimum=1e-6, maximum=10.0)
    momentum: float = option(0.9, "momentum of SGD (Nesterov)", minimum=0.0, maximum=0.999)
    wd: float = option(5e-4, "weight decay", minimum=0.0, maximum=1.0)
    ema: float = option(0.995, "decay of the averaged weights per step", minimum=0.0, maximum=0.99999)
    patience: int = option(
        0, "epochs without a better val accuracy before it stops; 0: never", minimum=0, maximum=10000
    )
    seed: int = option(1, "seed of everything random", minimum=0, maximum=2**31 - 1)
    precision: str = option(
        "auto", "arithmetic; auto: bf16 where a GPU or AMX makes it fast", choices=("auto", "32-true", "bf16-mixed")
    )
    wandb: bool = option(False, "log to Weights & Biases too (WANDB_MODE=offline keeps it on this machine)")


@dataclass(frozen=True)
class TrainConfig(LoopConfig):
    """How a classifier is trained."""

    arch: str = option("resnet18", "architecture", choices=("resnet18", "cnn8", "tiny", "vit", "vit_b16"))
    size: int = option(48, "side of the square input in pixels", minimum=32, maximum=512)
    color: str = option("grey", "colour of the input", choices=("grey", "rgb"))
    region: str = option("face", "what the model sees of a picture", choices=("face", "face_hands", "frame"))
    crop: str = option(
        "auto",
        "find the region in each picture; auto: in pictures of more than 128 pixels",
        choices=("auto", "yes", "no"),
    )
    crop_margin: float = option(0.1, "of the crop, as a share of its side", minimum=-0.4, maximum=2.0)
    crop_shift: float = option(-0.05, "of the crop downwards, as a share of its side", minimum=-1.0, maximum=1.0)
    pretrained: str = option(
        "emotion",
        "weights to start from: emotion (the model of this package, where the architecture is its), none, imagenet "
        "(from the hub), a file (.ckpt or .onnx), or a folder with a hub model",
    )
    balance: float = option(
        0.0, "how far rare classes weigh more: 0 not at all, 1 as much as frequent ones", minimum=0.0, maximum=1.0
    )
    vote_weight: float = option(
        0.5, "share of annotators' votes in the targets, where there are votes", minimum=0.0, maximum=1.0
    )
    teacher: str = option("", "models (files or names, with commas) whose mean opinion of each picture is learned too")
    teacher_weight: float = option(0.5, "share of the teachers in the targets", minimum=0.0, maximum=1.0)
    vote_head: bool = option(False, "learn votes and class in two outputs; the robot uses that of the votes")
    rotate: float = option(12.0, "largest random rotation in degrees", minimum=0.0, maximum=180.0)
    zoom: float = option(0.15, "largest random change of scale, as a share", minimum=0.0, maximum=0.5)
    shift: float = option(0.08, "largest random shift, as a share of the side", minimum=0.0, maximum=0.5)
    light: float = option(
        0.25, "largest random change of brightness and contrast, as a share", minimum=0.0, maximum=1.0
    )
    erase: float = option(0.3, "probability that a random rectangle is erased", minimum=0.0, maximum=1.0)
    degrade: float = option(
        0.0,
        "probability that a picture is out of focus, in motion, dark, noisy, small or compressed",
        minimum=0.0,
        maximum=1.0,
    )
    mixup: float = option(0.0, "alpha of mixup: pictures laid over each other; 0: none", minimum=0.0, maximum=4.0)
    compile: bool = option(False, "compile the network first (faster steps, needs a C++ compiler)")


@dataclass(frozen=True)
class FaceTrainConfig(LoopConfig):
    """How a face detector is trained."""

    epochs: int = option(20, "times that as many scenes are composed", minimum=1, maximum=10000)
    batch_size: int = option(32, "scenes per step", minimum=2, maximum=4096)
    workers: int = option(1, "processes that compose scenes", minimum=0, maximum=64)
    optimizer: str = option("adamw", "how weights are changed", choices=("sgd", "adamw"))
    lr: float = option(0.004, "peak learning rate of the one-cycle schedule", minimum=1e-6, maximum=10.0)
    wd: float = option(0.01, "weight decay", minimum=0.0, maximum=1.0)
    pretrained: str = option("", "checkpoint or ONNX file of a detector to start from; empty: random weights")
    scenes: int = option(8000, "scenes of an epoch", minimum=32, maximum=10_000_000)
    width: int = option(64, "channels of the network", minimum=8, maximum=512)
    backgrounds: str = option("", "folder of pictures without people, for behind the faces; empty: drawn shapes alone")
    every: int = option(1, "use one photo in so many", minimum=1, maximum=10000)
