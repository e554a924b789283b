"""Settings of the ROS nodes."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_ros.config.image_limit import image_pixels_option
from emotion_ros.config.options import as_yaml, option, options
from emotion_ros.config.pipeline_config import PipelineConfig

RELIABILITIES = ("auto", "reliable", "best_effort")
RELIABILITY = "QoS reliability of the image subscription; auto: reliable if all publishers offer it, else best_effort"


@dataclass(frozen=True)
class DetectorConfig:
    """Topics and scheduling of the detector node."""

    image_topics: tuple[str, ...] = option(
        ("image_raw",), "image topics; with several, each has its own output topics beside its images", group="topics"
    )
    image_transport: str = option(
        "auto",
        "subscribe to the raw or to the compressed image topic; auto: raw, unless only compressed is published",
        choices=("auto", "raw", "compressed"),
        group="topics",
    )
    reliability: str = option(
        "auto",
        RELIABILITY,
        choices=RELIABILITIES,
        group="topics",
    )
    humans: bool = option(True, "publish people under humans_prefix (REP-155)", group="topics")
    humans_prefix: str = option(
        "/humans", "prefix of the topics of people; one per detector if several run: humans is relative", group="topics"
    )
    persons: bool = option(
        True, "publish an anonymous person for each face, if humans is on; false if another node does", group="topics"
    )
    publish_tf: bool = option(
        True, "publish the frames of faces on /tf, if humans is on; needs camera_info and head_pose", group="topics"
    )
    autostart: bool = option(True, "configure and activate the lifecycle node at startup", group="scheduling")
    lazy: bool = option(
        True, "subscribe to cameras only while an output topic has subscribers", live=True, group="scheduling"
    )
    idle_rate: float = option(
        5.0,
        "processed images per second and camera while no face was visible for track_timeout; 0: all images",
        minimum=0.0,
        maximum=1000.0,
        live=True,
        group="scheduling",
    )
    min_rate: float = option(
        0.0,
        "output rate, images per second, below which diagnostics warn; 0: never",
        minimum=0.0,
        maximum=1000.0,
        live=True,
        group="scheduling",
    )


@dataclass(frozen=True)
class SourceConfig:
    """Settings of the image source node."""

    source: str = option(
        "sample", "sample, camera index or device, video file, picture, or folder of pictures", common=True
    )
    rate: float = option(0.0, "images per second; 0: the rate of the source", minimum=0.0, maximum=1000.0)
    loop: bool = option(False, "restart at the end of the source")
    width: int = option(640, "requested width of a camera or of the sample, pixels", minimum=16, maximum=8192)
    height: int = option(480, "requested height of a camera or of the sample, pixels", minimum=16, maximum=8192)
    frame_id: str = option("camera", "frame_id of the images")
    max_image_pixels: int = image_pixels_option()


@dataclass(frozen=True)
class RecorderConfig:
    """Settings of the recorder node."""

    out: str = option("", "folder for annotated.mp4 and emotions.jsonl; empty: nothing is stored", common=True)


@dataclass(frozen=True)
class CaptureConfig:
    """Settings of the capture node."""

    out: str = option("", "folder of the data set; gets a folder per label")
    every: float = option(0.3, "seconds between two pictures", minimum=0.0, maximum=3600.0)
    require: str = option("", "reject pictures that are not: sharp,face,hand")
    max_image_pixels: int = image_pixels_option()
    reliability: str = option("auto", RELIABILITY, choices=RELIABILITIES)


@dataclass(frozen=True)
class WebConfig:
    """Settings of the live page."""

    host: str = option("127.0.0.1", "address to listen on; any other than a loopback address needs a token")
    port: int = option(8080, "port to listen on; 0: any free port", minimum=0, maximum=65535)
    token_file: str = option(
        "", "file with the token that visitors need; empty: environment variable EMOTION_ROS_TOKEN"
    )


NODES = {
    "detector": (DetectorConfig, PipelineConfig),
    "image_source": (SourceConfig,),
    "recorder": (RecorderConfig,),
    "web": (WebConfig,),
}
"""Configs of each node, which it declares as parameters."""


def parameters_yaml() -> str:
    """Content of ``config/detect.yaml``: every parameter of every node with its default and description."""
    lines = ["# All parameters with their defaults. Those marked (live) may change while the node is active.", ""]
    for node, configs in NODES.items():
        lines += [f"/**/{node}:", "  ros__parameters:"]
        for each in (each for config in configs for each in options(config)):
            lines += [f"    # {each.description}{each.limits}{' (live)' if each.live else ''}"]
            lines += [f"    {each.name}: {as_yaml(each.default)}"]
        lines += [""]
    return "\n".join(lines)
