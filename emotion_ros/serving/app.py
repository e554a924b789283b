"""The HTTP API."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

import cv2
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from emotion_ros import __version__
from emotion_ros.config import ServeConfig
from emotion_ros.errors import EmotionRosError
from emotion_ros.inference.catalog import catalog
from emotion_ros.io.drawing import draw
from emotion_ros.io.picture_header import FORMATS
from emotion_ros.io.records import perception_record
from emotion_ros.serving import schemas
from emotion_ros.serving.authentication import Authenticator
from emotion_ros.serving.image_requests import ImageRequests
from emotion_ros.serving.inference_backend import CropResult, InferenceBackend
from emotion_ros.serving.metrics import Metrics, MetricsMiddleware
from emotion_ros.serving.request_guard import INTERNAL_ERROR, RequestGuard
from emotion_ros.serving.uploads import IMAGES_FIELD, MAX_IMAGES, MULTIPART
from emotion_ros.types import Image, Perception

LOG = logging.getLogger("emotion_ros.serving")

ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    code: {"description": description, "model": schemas.ErrorResponse}
    for code, description in {
        400: "The form cannot be parsed or has too many images",
        401: "The token is missing or wrong",
        403: "The request comes from another web site or names another host",
        408: "The body did not arrive within request_timeout",
        413: "The body or an image is too large, or a JPEG has too many scans or segments",
        415: "The image format is not supported",
        422: "An image is missing or broken, or a parameter is invalid",
        429: "The queue is full; retry after Retry-After seconds",
        431: "The headers are too large or too many",
        500: "The request failed; the log of the service has the cause",
        503: "Processing took longer than request_timeout, or the service shuts down; retry after Retry-After seconds",
    }.items()
}

IMAGES_BODY = {
    "requestBody": {
        "required": True,
        "description": "One image, or a form with several",
        "content": {
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": [IMAGES_FIELD],
                    "additionalProperties": False,
                    "properties": {
                        IMAGES_FIELD: {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": MAX_IMAGES,
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            },
            **{f"image/{name.lower()}": {"schema": {"type": "string", "format": "binary"}} for name in FORMATS},
        },
    }
}

PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json"})
"""Paths that need no token."""

MAX_JPEG_SIDE_PX = 65500
"""Maximum width and height of a JPEG that libjpeg writes (``JPEG_MAX_DIMENSION``)."""


def create_app(backend: InferenceBackend, config: ServeConfig, token: str, metrics: Metrics) -> FastAPI:
    """Return the HTTP API of a backend.

    Args:
        backend: processes the images; the caller closes it.
        config: limits.
        token: token that clients must send; empty: accept clients on this machine without one.
        metrics: counts the requests.
    """
    app = FastAPI(
        title="emotion_ros",
        version=__version__,
        description="Detects people in images and classifies their expressions. Images are neither stored nor logged.",
        docs_url=None,  # the page would load scripts from another server
        redoc_url=None,
        dependencies=[Depends(HTTPBearer(auto_error=False))] if token else [],
    )
    requests = ImageRequests(backend, config)
    add_detect(app, backend, requests)
    _add_classify(app, backend, requests)
    _add_models(app, backend)
    _add_status(app, backend, metrics)
    add_error_handlers(app)
    app.add_middleware(RequestGuard, authenticator=Authenticator(token), config=config, public_paths=PUBLIC_PATHS)
    app.add_middleware(MetricsMiddleware, metrics=metrics)  # outside of the guard: refused requests are counted
    return app


def add_error_handlers(app: FastAPI, *, detailed: bool = False) -> None:
    """Answer errors with one sentence as JSON; :class:`RequestGuard` answers those that are not expected.

    Args:
        app: gets the handlers.
        detailed: an error of the service itself is answered with its cause, which may name files of this machine.
    """

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        detail = "; ".join(f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in error.errors())
        return JSONResponse({"detail": detail}, 422)

    @app.exception_handler(EmotionRosError)
    async def failed(_: Request, error: EmotionRosError) -> Response:
        LOG.error("a request failed: %s", error)
        return JSONResponse({"detail": str(error) if detailed else INTERNAL_ERROR}, 500)


def add_detect(
    app: FastAPI,
    backend: InferenceBackend,
    requests: ImageRequests,
    extra_fields: Callable[[], Mapping[str, str]] = dict,
) -> None:
    """Add ``POST /v1/detect``.

    Args:
        app: gets the route.
        backend: processes the images.
        requests: receives the images.
        extra_fields: returns further fields of the JSON answer; called after the images were processed.
    """
    success = {
        "description": "People and hands in each image; with annotated=true the annotated image",
        "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
    }
    described: dict[str, Any] = {
        "response_model": schemas.DetectResponse,
        "responses": {**ERROR_RESPONSES, 200: success},
        "openapi_extra": IMAGES_BODY,
    }

    @app.post("/v1/detect", **described)
    async def detect(
        request: Request, annotated: bool = Query(False, description="return the annotated image as JPEG")
    ) -> Response:
        """Detect people and hands in images. The results are the lines of `emotion-ros detect --json`."""
        async with requests.receive(request) as (names, images):
            if annotated and len(images) != 1:
                raise HTTPException(422, f"annotated: expected one image, got {len(images)}")
            if annotated and max(images[0].shape) > MAX_JPEG_SIDE_PX:
                raise HTTPException(
                    422, f"annotated: expected sides of at most {MAX_JPEG_SIDE_PX} px, got {max(images[0].shape)}"
                )
            perceptions = await backend.perceive(images)
            if annotated:
                return Response(await run_in_threadpool(_jpeg, images[0], perceptions[0]), media_type="image/jpeg")
        results = [_image_result(*pair) for pair in zip(names, perceptions, strict=True)]
        return JSONResponse({"model": perceptions[0].model, **extra_fields(), "results": results})


def _add_classify(app: FastAPI, backend: InferenceBackend, requests: ImageRequests) -> None:
    described: dict[str, Any] = {
        "response_model": schemas.ClassifyResponse,
        "responses": ERROR_RESPONSES,
        "openapi_extra": IMAGES_BODY,
    }

    @app.post("/v1/classify", **described)
    async def classify(request: Request) -> Response:
        """Classify crops without detection. Each image must show the `region` that `/v1/models` returns."""
        async with requests.receive(request) as (names, crops):
            results = await backend.classify(crops)
        pairs = zip(names, results, strict=True)
        return JSONResponse({"model": backend.info().model, "results": [_crop_result(*pair) for pair in pairs]})


def _add_models(app: FastAPI, backend: InferenceBackend) -> None:
    described: dict[str, Any] = {"response_model": schemas.ModelsResponse, "responses": _errors(401, 403)}

    @app.get("/v1/models", **described)
    async def models() -> Response:
        """Return the running model and the models of the catalog."""
        entries = [
            {"name": entry.name, "licence": entry.licence, "downloaded": entry.path().is_file()}
            for entry in catalog().values()
        ]
        return JSONResponse({**dataclasses.asdict(backend.info()), "catalog": entries})


def _add_status(app: FastAPI, backend: InferenceBackend, metrics: Metrics) -> None:
    @app.get("/healthz", response_model=schemas.StatusResponse)
    async def alive() -> Response:
        """Return 200 while the process runs."""
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", response_model=schemas.StatusResponse, responses={503: {"model": schemas.StatusResponse}})
    async def ready() -> Response:
        """Return 200 while images are processed, 503 while the service shuts down."""
        return JSONResponse({"status": "ok"}) if backend.ready else JSONResponse({"status": "closing"}, 503)

    text = {"content": {"text/plain": {"schema": {"type": "string"}}}}

    @app.get("/metrics", response_class=Response, responses={200: text, **_errors(401, 403)})
    async def prometheus() -> Response:
        """Return metrics in the text format of Prometheus."""
        return Response(metrics.render(backend.queued_images), media_type=metrics.CONTENT_TYPE)


def _errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: ERROR_RESPONSES[code] for code in codes}


def _image_result(name: str, perception: Perception) -> dict[str, Any]:
    return {"source": name, "frame": 0, "time": 0.0, **perception_record(perception)}


def _crop_result(name: str, result: CropResult) -> dict[str, Any]:
    return {
        "source": name,
        "label": result.label,
        "confidence": round(result.confidence, 4),
        "probabilities": {label: round(value, 4) for label, value in result.probabilities.items()},
    }


def _jpeg(image: Image, perception: Perception) -> bytes:
    return cv2.imencode(".jpg", draw(image, perception))[1].tobytes()
