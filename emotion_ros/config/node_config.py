"""Settings of the nodes."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_ros.config.options import as_yaml, option, options
from emotion_ros.config.pipeline_config import PipelineConfig


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
    idle_rate: float = option(
        5.0,
        "images per second of a camera that are looked at while nobody was in view for track_timeout; 0: all",
        minimum=0.0,
        maximum=1000.0,
        live=True,
    )
    min_rate: float = option(
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
