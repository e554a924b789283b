"""Settings of the HTTP service."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

from emotion_ros.config.image_limit import image_pixels_option
from emotion_ros.config.options import option

RAY = "ray, with --engine ray"
"""Group of options without effect in the local engine."""

INSTALL_SERVING = "pip install fastapi prometheus-client python-multipart uvicorn websockets"
"""Command that installs the libraries of the HTTP service and the live page, which ROS does not include."""


def check_pydantic() -> None:
    """Check that an installed pydantic is version 2, which the schemas need. Ubuntu 22.04 and 24.04 have version 1.

    Raises:
        ImportError: it is older.
    """
    try:
        version = importlib.metadata.version("pydantic")
    except importlib.metadata.PackageNotFoundError:
        return  # neither is fastapi installed, which depends on it
    if version.startswith("1."):
        raise ImportError(f"expected version 2, found {version}", name="pydantic")


def describe_import_error(error: ImportError) -> str:
    """Return one line for the user: which library is missing or too old, and how to install the libraries.

    Raises:
        ImportError: ``error``, if a module of this package is missing, which is a defect.
    """
    library = (error.name or str(error)).partition(".")[0]
    if library == __package__.partition(".")[0]:
        raise error
    state = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be used ({error})"
    return f"{library} {state}: {INSTALL_SERVING}"


@dataclass(frozen=True)
class ServeConfig:
    """Settings of ``emotion-ros serve``."""

    host: str = option(
        "127.0.0.1",
        "address to listen on; any other than a loopback address needs a token",
        group="network",
        common=True,
    )
    port: int = option(
        8000, "port to listen on; 0: any free port", minimum=0, maximum=65535, group="network", common=True
    )
    token_file: str = option(
        "",
        "file with the token that clients must send; empty: environment variable EMOTION_ROS_TOKEN",
        group="network",
        common=True,
    )
    max_body_size: int = option(8, "maximum size of a request body, MiB", minimum=1, maximum=1024, group="limit")
    max_image_pixels: int = image_pixels_option()
    max_queue_size: int = option(
        64,
        "maximum number of open requests, and of queued images; further requests, or the slowest, get status 429",
        minimum=1,
        maximum=4096,
        group="limit",
    )
    request_timeout: float = option(
        10.0, "maximum duration of a request, seconds", minimum=0.1, maximum=600.0, group="limit"
    )
    max_batch_size: int = option(
        16, "maximum number of images processed together", minimum=1, maximum=256, group="limit"
    )
    engine: str = option(
        "local", "run the pipeline in this process or on Ray", choices=("local", "ray"), group="engine"
    )
    min_replicas: int = option(1, "minimum number of pipelines on Ray", minimum=1, maximum=1000, group=RAY)
    max_replicas: int = option(
        2,
        "maximum number of pipelines on Ray; the load decides",
        minimum=1,
        maximum=1000,
        group=RAY,
    )
    ray: str = option("", "host:port of a running Ray cluster; empty: start a cluster on this machine", group=RAY)
