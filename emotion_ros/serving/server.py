"""``emotion-ros serve``."""

from __future__ import annotations

import socket
import sys

import uvicorn
from fastapi import FastAPI

from emotion_ros.config import PipelineConfig, ServeConfig
from emotion_ros.errors import ConfigError
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.serving.app import create_app
from emotion_ros.serving.authentication import read_token
from emotion_ros.serving.batching import BatchingQueue, InferenceBackend
from emotion_ros.serving.metrics import Metrics

PATIENCE = 10
"""Seconds in which requests that are under way may end after Ctrl-C or SIGTERM."""


def serve(config: ServeConfig, pipeline: PipelineConfig) -> int:
    """Answer over HTTP until Ctrl-C or SIGTERM; what is under way is answered first.

    Returns:
        0.

    Raises:
        ConfigError: a token is missing, or the address cannot be listened on.
        ModelError: a model cannot be used.
    """
    token = read_token(config.token_file, config.host)
    listening = listen(config.host, config.port)
    metrics = Metrics()
    engine = _engine(config, pipeline, metrics)
    about = f"{engine.about().model} on {engine.about().provider}"
    alone = "" if token else " (no token: only from this machine)"
    print(f"emotion-ros: {about}: {address(listening)}/v1/detect{alone}", file=sys.stderr, flush=True)
    try:
        make_server(create_app(engine, config, token, metrics)).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn has ended well by then
        pass
    finally:
        engine.close()
    return 0


def _engine(config: ServeConfig, pipeline: PipelineConfig, metrics: Metrics) -> InferenceBackend:
    if config.engine == "ray":
        from emotion_ros.serving.ray_backend import RayBackend

        return RayBackend(config, pipeline, metrics.ran)
    opened = Pipeline(pipeline)
    return BatchingQueue(lambda: opened, config.batch, config.wait / 1000, config.queue, metrics.ran)


def make_server(app: FastAPI, patience: int = PATIENCE) -> uvicorn.Server:
    """What runs an app on a socket that is listened on; it logs no requests.

    Args:
        app: answers.
        patience: seconds that requests under way may take once it is to end.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=patience
        )
    )


def address(listening: socket.socket) -> str:
    """The URL of a socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """A socket that is listened on.

    Raises:
        ConfigError: there is no such address, or the port is taken.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)  # type: ignore[arg-type]
    except OSError as error:
        raise ConfigError(
            f"host {host}, port {port}: expected an address to listen on, got: {error.strerror}; another --port?"
        ) from error
