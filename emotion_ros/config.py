"""Every setting of this package, one frozen dataclass per stage.

This is the only place of a default. ROS parameters (with description and range), command-line options and
``config/detect.yaml`` are made from the :class:`~emotion_ros.options.Option` that each field carries.
"""

from __future__ import annotations

from dataclasses import dataclass

from emotion_ros.options import as_yaml, option, options


@dataclass(frozen=True)
class PipelineConfig:
    """How an image is looked at."""

    face_detector: str = option(
        "emotion_faces", "face detector", choices=("emotion_faces", "mediapipe", "mediapipe_full", "yunet")
    )
    face_model: str = option(
        "", "model file of emotion_faces or yunet, or its name in the catalog; empty: the one of this package"
    )
    face_input: int = option(
        640, "side of an image, in pixels, above which emotion_faces shrinks it first", minimum=32, maximum=8192
    )
    face_confidence: float = option(0.5, "faces below this are not reported", minimum=0.0, maximum=1.0, live=True)
    face_pause: float = option(
        0.2,
        "seconds between two looks for new faces; in images between, emotion_faces on a CPU looks only around those it "
        "knows; 0: it looks at all of every image",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    min_face_size: int = option(
        24, "faces with a shorter side, in pixels, are not reported", minimum=1, maximum=4096, live=True
    )
    hands: bool = option(True, "look for hands")
    hands_of_people: bool = option(
        True, "look for hands only where a face is, or was within track_memory; false: in every image", live=True
    )
    hand_pause: float = option(
        0.1,
        "seconds without a look for hands after one that found none; 0: they are looked for in every image",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    hand_confidence: float = option(0.3, "hands below this are not reported", minimum=0.0, maximum=1.0)
    max_hands: int = option(4, "most hands that are looked for in an image", minimum=1, maximum=32)
    model: str = option(
        "",
        "classifier: an ONNX or TFLite file, or its name in the catalog; empty: emotion_resnet18, or on a CPU with "
        "VNNI emotion_resnet18_int8",
    )
    labels: str = option("", "labels.txt of a model without a contract; empty: the one beside the model")
    provider: str = option("auto", "what runs the classifier", choices=("auto", "tensorrt", "cuda", "cpu"))
    threads: int = option(
        1, "threads of the classifier on a CPU; hands run beside it; 0: one per core", minimum=0, maximum=256
    )
    faces_per_image: int = option(
        2,
        "most faces that are classified in an image, whoever waited longest first; the others keep what they showed, "
        "and new ones never wait; 0: all",
        minimum=0,
        maximum=1000,
        live=True,
    )
    emotion_pause: float = option(
        0.05, "seconds until a face is classified again; 0: in every image", minimum=0.0, maximum=10.0, live=True
    )
    confidence_floor: float = option(
        0.3, "people whose best emotion is below this are unknown", minimum=0.0, maximum=1.0, live=True
    )
    label_map: str = option(
        "", "merges and renames classes, in YAML: {happiness: [happy], sadness: [sad, fear]}; others keep their names"
    )
    smoothing: float = option(
        0.25, "seconds over which probabilities are averaged; 0: each image alone", minimum=0.0, maximum=10.0, live=True
    )
    label_margin: float = option(
        0.1, "by how much another emotion must lead before the label changes", minimum=0.0, maximum=1.0, live=True
    )
    track_memory: float = option(
        1.0, "seconds after which a face that was away is somebody new", minimum=0.0, maximum=60.0, live=True
    )
    deterministic_ids: bool = option(False, "people are f00000, f00001, …; else five random letters")
    gestures: str = option("", "YAML file with gestures; empty: gestures.yaml of this package")
    gesture_weight: float = option(
        0.0,
        "how far gestures speak for emotions, as the logarithm of the odds; 0: the face alone",
        minimum=0.0,
        maximum=5.0,
        live=True,
    )
    gesture_emotions: str = option(
        "{thumb_up: happy, waving: happy, thumb_down: angry, fist: angry}",
        "which emotion a gesture speaks for, in YAML; a table of your own may name only what there is",
    )


@dataclass(frozen=True)
class DetectorConfig:
    """How the detector node meets its topics."""

    image_topics: tuple[str, ...] = option(
        ("image_raw",), "topics of the images; of several cameras, each has its own emotions beside its images"
    )
    image_transport: str = option("raw", "which image topic is read", choices=("raw", "compressed"))
    reliability: str = option(
        "best_effort",
        "QoS of the image subscription; best_effort meets every camera",
        choices=("best_effort", "reliable"),
    )
    autostart: bool = option(True, "configure and activate without being asked to")
    humans: bool = option(True, "also tell of people under /humans, as REP-155 has it")
    lazy: bool = option(True, "take images only while somebody subscribes to what comes of them", live=True)
    empty_rate: float = option(
        5.0,
        "images per second of a camera that are looked at while nobody was in view for track_memory; 0: all",
        minimum=0.0,
        maximum=1000.0,
        live=True,
    )
    minimum_rate: float = option(
        0.0, "diagnostics warn below so many images per second; 0: never", minimum=0.0, maximum=1000.0, live=True
    )
    jpeg_quality: int = option(80, "quality of annotated/compressed", minimum=1, maximum=100, live=True)


@dataclass(frozen=True)
class SourceConfig:
    """How the image source node plays a source."""

    source: str = option("sample", "sample, camera index or device, video file, picture, or folder of pictures")
    rate: float = option(0.0, "images per second; 0: the source's own", minimum=0.0, maximum=1000.0)
    loop: bool = option(False, "start again at the end")
    width: int = option(640, "width asked of a camera or of the sample, pixels", minimum=16, maximum=8192)
    height: int = option(480, "height asked of a camera or of the sample, pixels", minimum=16, maximum=8192)
    frame_id: str = option("camera", "frame_id of the images")


@dataclass(frozen=True)
class RecorderConfig:
    """What the recorder node writes."""

    out: str = option("out", "folder for annotated.mp4 and emotions.jsonl")


@dataclass(frozen=True)
class CaptureConfig:
    """How the capture node stores pictures."""

    out: str = option("", "folder of the data set; gets a folder per label")
    every: float = option(0.3, "seconds between two pictures", minimum=0.0, maximum=3600.0)
    require: str = option("", "refuse pictures that are not: sharp,face,hand")
    reliability: str = option("best_effort", "QoS of the image subscription", choices=("best_effort", "reliable"))


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


@dataclass(frozen=True)
class ServeConfig:
    """How the pipeline is reached over HTTP."""

    host: str = option("127.0.0.1", "address to listen on; any other than this machine's own needs a token")
    port: int = option(8000, "port to listen on; 0: any free one", minimum=0, maximum=65535)
    token_file: str = option("", "file with the token that callers must send; empty: that in EMOTION_ROS_TOKEN, if any")
    max_body: int = option(8, "MiB of a request", minimum=1, maximum=1024)
    max_images: int = option(16, "images of a request", minimum=1, maximum=256)
    max_pixels: int = option(16, "millions of pixels of an image", minimum=1, maximum=256)
    batch: int = option(16, "images of one run, from requests that came together", minimum=1, maximum=256)
    wait: float = option(
        5.0, "milliseconds that a run waits at most for requests that are on their way", minimum=0.0, maximum=1000.0
    )
    queue: int = option(
        64, "requests, and images, that may wait; others are told to come back", minimum=1, maximum=4096
    )
    time_limit: float = option(10.0, "seconds that a request may take", minimum=0.1, maximum=600.0)
    engine: str = option("local", "where pipelines run: in this process, or on Ray", choices=("local", "ray"))
    replicas: int = option(1, "pipelines on Ray at least", minimum=1, maximum=1000)
    most_replicas: int = option(2, "pipelines on Ray at most, as load asks for them", minimum=1, maximum=1000)
    ray: str = option("", "address of a running Ray cluster; empty: one is started on this machine")


@dataclass(frozen=True)
class WebConfig:
    """How the live page is reached."""

    host: str = option("127.0.0.1", "address to listen on; any other than this machine's own needs a token")
    port: int = option(8080, "port to listen on; 0: any free one", minimum=0, maximum=65535)
    token_file: str = option("", "file with the token that visitors need; empty: that in EMOTION_ROS_TOKEN, if any")


NODES = {
    "detector": (DetectorConfig, PipelineConfig),
    "image_source": (SourceConfig,),
    "recorder": (RecorderConfig,),
    "web": (WebConfig,),
}
"""Each node's configs: what it declares as parameters."""


def parameters_yaml() -> str:
    """``config/detect.yaml``: every parameter of every node with its default and what it means."""
    lines = ["# Every parameter with its default. Those marked (live) may change while the node runs.", ""]
    for node, configs in NODES.items():
        lines += [f"/**/{node}:", "  ros__parameters:"]
        for each in (each for config in configs for each in options(config)):
            lines += [f"    # {each.description}{each.limits}{' (live)' if each.live else ''}"]
            lines += [f"    {each.name}: {as_yaml(each.default)}"]
        lines += [""]
    return "\n".join(lines)
