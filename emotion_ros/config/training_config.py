"""Settings of trainings."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_ros.config.options import option

RUN, DATA, MODEL = "training run", "data", "model"


@dataclass(frozen=True)
class LoopConfig:
    """Settings of any training."""

    epochs: int = option(36, "passes over the training images", minimum=1, maximum=10000, group=RUN, common=True)
    batch_size: int = option(256, "images per step", minimum=2, maximum=4096, group=RUN, common=True)
    lr: float = option(
        0.1, "peak learning rate of the one-cycle schedule", minimum=1e-6, maximum=10.0, group=RUN, common=True
    )
    workers: int = option(
        0, "processes that load batches; 0: none, images are in memory", minimum=0, maximum=64, group=RUN
    )
    optimizer: str = option(
        "sgd", "sgd for convolutional networks, adamw for transformers", choices=("sgd", "adamw"), group=RUN
    )
    wd: float = option(5e-4, "weight decay", minimum=0.0, maximum=1.0, group=RUN)
    ema: float = option(
        0.995,
        "decay of the exponential moving average of the weights, per step",
        minimum=0.0,
        maximum=0.99999,
        group=RUN,
    )
    patience: int = option(
        0, "epochs without improvement on val before training stops; 0: unlimited", minimum=0, maximum=10000, group=RUN
    )
    seed: int = option(1, "seed of the random number generators", minimum=0, maximum=2**31 - 1, group=RUN)
    precision: str = option(
        "auto",
        "arithmetic; auto: bf16 on a GPU or CPU that is faster in it, else float32",
        choices=("auto", "32-true", "bf16-mixed"),
        group=RUN,
    )
    wandb: bool = option(False, "also log to Weights & Biases (WANDB_MODE=offline: to files only)", group=RUN)


@dataclass(frozen=True)
class TrainConfig(LoopConfig):
    """Settings of the training of a classifier."""

    arch: str = option(
        "resnet18",
        "network architecture",
        choices=("resnet18", "cnn8", "tiny", "vit", "vit_b16"),
        group=MODEL,
        common=True,
    )
    pretrained: str = option(
        "emotion",
        "initial weights: emotion (this package's model, if the architecture is resnet18), none (random), imagenet "
        "(from the Hugging Face hub), a file (.ckpt or .onnx), or a folder with a model in the hub's format",
        group=MODEL,
        common=True,
    )
    size: int = option(96, "side of the square input in pixels", minimum=32, maximum=512, group=MODEL)
    color: str = option("rgb", "colour of the input", choices=("grey", "rgb"), group=MODEL)
    region: str = option(
        "face", "image region that the model gets", choices=("face", "face_hands", "frame"), group=MODEL, common=True
    )
    crop: str = option(
        "auto",
        "detect the region in each picture; auto: in pictures of more than 64 pixels",
        choices=("auto", "yes", "no"),
        group=DATA,
    )
    balance: float = option(
        1.0,
        "share of the class frequencies of each data set that the output does not learn (logit adjustment); 1: the "
        "output assumes that all classes are equally frequent, 0: as frequent as in the data",
        minimum=0.0,
        maximum=1.0,
        group=DATA,
    )
    pictures: int = option(
        0,
        "pictures per epoch, drawn in equal shares from the data sets; 0: all",
        minimum=0,
        maximum=100_000_000,
        group=DATA,
    )
    smoothing: float = option(
        0.0, "share of the targets that is spread over all classes", minimum=0.0, maximum=0.9, group=DATA
    )
    vote_weight: float = option(
        0.5, "share of the annotators' votes in the targets, for data with votes", minimum=0.0, maximum=1.0, group=DATA
    )
    teacher: str = option(
        "",
        "models (files or catalog names, comma-separated) whose mean probabilities are part of the targets",
        group=DATA,
    )
    teacher_weight: float = option(
        0.5, "share of the teachers' probabilities in the targets", minimum=0.0, maximum=1.0, group=DATA
    )
    unlabelled: str = option(
        "",
        "folders, comma-separated, whose photos.zip shows people: a further data set of faces without labels, whose "
        "targets are the teachers' probabilities alone",
        group=DATA,
    )
    augment: float = option(
        1.0,
        "strength of random rotation (1: up to 12°), zoom (15 %), shift (8 %) and change of light (25 %)",
        minimum=0.0,
        maximum=2.0,
        group=DATA,
    )
    erase: float = option(
        0.3, "probability that a random rectangle of a picture is erased", minimum=0.0, maximum=1.0, group=DATA
    )
    degrade: float = option(
        0.0,
        "probability that a picture is blurred, dark, noisy, of low resolution, compressed, grey, or partly covered",
        minimum=0.0,
        maximum=1.0,
        group=DATA,
    )
    compile: bool = option(False, "compile the network: faster steps, needs a C++ compiler", group=RUN)


@dataclass(frozen=True)
class DetectorTrainConfig(LoopConfig):
    """Settings of the training of a detector of faces or hands."""

    epochs: int = option(20, "passes; each makes new images", minimum=1, maximum=10000, group=RUN, common=True)
    batch_size: int = option(32, "images per step", minimum=2, maximum=4096, group=RUN, common=True)
    lr: float = option(
        0.004, "peak learning rate of the one-cycle schedule", minimum=1e-6, maximum=10.0, group=RUN, common=True
    )
    workers: int = option(1, "processes that make images", minimum=0, maximum=64, group=RUN)
    optimizer: str = option("adamw", "optimizer", choices=("sgd", "adamw"), group=RUN)
    wd: float = option(0.01, "weight decay", minimum=0.0, maximum=1.0, group=RUN)
    pretrained: str = option(
        "", "initial weights: a checkpoint or ONNX file of a detector; empty: random", group=MODEL, common=True
    )
    width: int = option(48, "channels of the network at a stride of 8", minimum=8, maximum=512, group=MODEL)
    kind: str = option("faces", "objects to detect", choices=("faces", "hands"), group=MODEL, common=True)
    images: int = option(8000, "images per epoch", minimum=32, maximum=10_000_000, group=DATA)
    backgrounds: str = option(
        "", "folder of pictures without people, as backgrounds; empty: drawn shapes only", group=DATA, common=True
    )
    teacher: str = option(
        "",
        "file or catalog name of YuNet, whose values for each cell are imitated; empty: none",
        group=DATA,
        common=True,
    )
    teacher_weight: float = option(1.0, "weight of the imitation in the loss", minimum=0.0, maximum=100.0, group=DATA)
    every: int = option(1, "use every n-th photo", minimum=1, maximum=10000, group=DATA)


@dataclass(frozen=True)
class HandTrainConfig(LoopConfig):
    """Settings of the training of the hand landmark network."""

    epochs: int = option(40, "passes; each makes new crops", minimum=1, maximum=10000, group=RUN, common=True)
    batch_size: int = option(64, "crops per step", minimum=2, maximum=4096, group=RUN, common=True)
    lr: float = option(
        0.003, "peak learning rate of the one-cycle schedule", minimum=1e-6, maximum=10.0, group=RUN, common=True
    )
    workers: int = option(1, "processes that make crops", minimum=0, maximum=64, group=RUN)
    optimizer: str = option("adamw", "optimizer", choices=("sgd", "adamw"), group=RUN)
    wd: float = option(0.01, "weight decay", minimum=0.0, maximum=1.0, group=RUN)
    pretrained: str = option(
        "", "initial weights: a checkpoint or ONNX file of hand landmarks; empty: random", group=MODEL, common=True
    )
    width: int = option(32, "channels of the feature pyramid", minimum=8, maximum=512, group=MODEL)
    crops: int = option(8192, "crops per epoch", minimum=2, maximum=10_000_000, group=DATA)
    backgrounds: str = option(
        "", "folder whose photos.zip shows no hands; empty: parts of the photos only", group=DATA, common=True
    )
    without: str = option("", "folders of photos.zip that are left out, comma-separated", group=DATA)


@dataclass(frozen=True)
class FaceTrainConfig(LoopConfig):
    """Settings of the training of the face landmark network."""

    epochs: int = option(20, "passes; each makes new crops", minimum=1, maximum=10000, group=RUN, common=True)
    batch_size: int = option(128, "crops per step", minimum=2, maximum=4096, group=RUN, common=True)
    lr: float = option(
        0.004, "peak learning rate of the one-cycle schedule", minimum=1e-6, maximum=10.0, group=RUN, common=True
    )
    optimizer: str = option("adamw", "optimizer", choices=("sgd", "adamw"), group=RUN)
    wd: float = option(0.01, "weight decay", minimum=0.0, maximum=1.0, group=RUN)
    pretrained: str = option(
        "", "initial weights: a checkpoint or ONNX file of face landmarks; empty: random", group=MODEL, common=True
    )
    crops: int = option(32768, "crops per epoch", minimum=2, maximum=10_000_000, group=DATA)
    turned: int = option(2, "copies of each face that are turned by its mesh", minimum=0, maximum=100, group=DATA)


@dataclass(frozen=True)
class EyeTrainConfig(LoopConfig):
    """Settings of the training of the eye network."""

    epochs: int = option(12, "passes; each makes new crops", minimum=1, maximum=10000, group=RUN, common=True)
    batch_size: int = option(128, "crops per step", minimum=2, maximum=4096, group=RUN, common=True)
    lr: float = option(
        0.004, "peak learning rate of the one-cycle schedule", minimum=1e-6, maximum=10.0, group=RUN, common=True
    )
    optimizer: str = option("adamw", "optimizer", choices=("sgd", "adamw"), group=RUN)
    wd: float = option(0.02, "weight decay", minimum=0.0, maximum=1.0, group=RUN)
    pretrained: str = option(
        "", "initial weights: a checkpoint or ONNX file of eyes; empty: random", group=MODEL, common=True
    )
    crops: int = option(32768, "crops per epoch", minimum=2, maximum=10_000_000, group=DATA)
    even: float = option(
        0.5,
        "share of the crops that show all heights of the upper lid alike often, as few people in photos look down",
        minimum=0.0,
        maximum=1.0,
        group=DATA,
    )
