"""Settings of the HTTP service."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_ros.config.options import option


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
