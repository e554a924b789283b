"""Web server of ``emotion-ros serve`` and of the live page."""

from __future__ import annotations

import socket
import sys

import uvicorn
from fastapi import FastAPI

from emotion_ros.config import PipelineConfig, ServeConfig
from emotion_ros.errors import ConfigError
from emotion_ros.serving.app import create_app
from emotion_ros.serving.authentication import read_token
from emotion_ros.serving.batching import BatchingQueue
from emotion_ros.serving.connections import ACCEPTED_AT_ONCE, LimitedProtocol
from emotion_ros.serving.inference_backend import InferenceBackend
from emotion_ros.serving.metrics import Metrics

SHUTDOWN_TIMEOUT_S = 10
"""Maximum seconds for open requests to finish after Ctrl-C or SIGTERM."""

MAX_WEBSOCKET_MESSAGE_BYTES = 1024
"""Maximum size of a message from a browser; it sends the word ``next``."""


def serve(config: ServeConfig, pipeline: PipelineConfig) -> int:
    """Serve the HTTP API until Ctrl-C or SIGTERM, then finish the open requests.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: the token is missing, or the address is not available.
        ModelError: a model cannot be used.
    """
    token = read_token(config.token_file, config.host)
    listening = listen(config.host, config.port)
    metrics = Metrics()
    backend = _create_backend(config, pipeline, metrics)
    try:
        info = backend.info()
        access = "" if token else " (no token: this machine only)"
        url = f"{url_of(listening)}/v1/detect"
        print(f"emotion-ros: {info.model} on {info.provider}: {url}{access}", file=sys.stderr, flush=True)
        create_server(create_app(backend, config, token, metrics)).run(sockets=[listening])
    except KeyboardInterrupt:  # raised again by uvicorn after its shutdown
        pass
    finally:
        backend.close()
    return 0


def _create_backend(config: ServeConfig, pipeline: PipelineConfig, metrics: Metrics) -> InferenceBackend:
    if config.engine == "ray":
        from emotion_ros.serving.ray_backend import RayBackend

        return RayBackend(config, pipeline, metrics.observe_batch)
    return BatchingQueue(lambda: pipeline, config.max_batch_size, config.max_queue_size, metrics.observe_batch)


def create_server(app: FastAPI, shutdown_timeout_s: int = SHUTDOWN_TIMEOUT_S) -> uvicorn.Server:
    """Return a server that logs neither requests nor what clients do wrong, and limits connections.

    Args:
        app: answers the requests.
        shutdown_timeout_s: maximum seconds for open requests to finish at shutdown.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=LimitedProtocol,
            ws_max_size=MAX_WEBSOCKET_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            backlog=ACCEPTED_AT_ONCE,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=shutdown_timeout_s,
        )
    )


def url_of(listening: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigError: the address does not exist or the port is in use.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=ACCEPTED_AT_ONCE)  # type: ignore[arg-type]
    except OSError as error:
        raise ConfigError(
            f"host {host}, port {port}: expected an available address, got: {error.strerror}; choose another --port"
        ) from error
