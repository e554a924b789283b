"""The HTTP API."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import cv2
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from emotion_ros import __version__
from emotion_ros.config import ServeConfig
from emotion_ros.inference.catalog import catalog
from emotion_ros.io.drawing import draw
from emotion_ros.io.records import perception_record
from emotion_ros.serving import schemas
from emotion_ros.serving.authentication import Authenticator
from emotion_ros.serving.batching import PER_IMAGE, BusyError, InferenceBackend
from emotion_ros.serving.metrics import Measured, Metrics
from emotion_ros.serving.uploads import (
    FIELD,
    FORMATS,
    MULTIPART,
    PixelBudget,
    Upload,
    UploadLimits,
    decode,
    read_uploads,
)
from emotion_ros.types import Image, Perception

LOG = logging.getLogger("emotion_ros.serving")

ROOM = 4
"""How many of the largest images may be decoded at once, of one request or of several."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is no form as its header says"},
    401: {"description": "The token is missing or wrong"},
    403: {"description": "Sent by another web site, or under another name"},
    408: {"description": "The body came too slowly"},
    413: {"description": "Too many bytes or pixels"},
    415: {"description": "No image of a format that is known"},
    422: {"description": "No image, a broken one, or a parameter that is none"},
    429: {"description": "Too many wait already; come back after Retry-After seconds"},
    503: {"description": "It took too long; come back after Retry-After seconds"},
}
for _about in PROBLEMS.values():
    _about["model"] = schemas.Problem

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "additionalProperties": False,
                    "properties": {
                        FIELD: {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                    },
                }
            },
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in FORMATS.values()},
        },
    }
}


def create_app(engine: InferenceBackend, config: ServeConfig, token: str, metrics: Metrics) -> FastAPI:
    """The HTTP API of a pipeline.

    Args:
        engine: answers; the caller closes it.
        config: limits.
        token: that callers must send; empty: callers on this machine need none.
        metrics: are told of requests.
    """
    guard = Depends(Authenticator(token))
    app = FastAPI(
        title="emotion_ros",
        version=__version__,
        description="People in pictures, and how they seem to feel. Pictures are neither kept nor logged.",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        dependencies=[Depends(HTTPBearer(auto_error=False))] if token else [],
    )
    service = add_detect(app, engine, config, guard)
    _add_classify(app, service, guard)
    _add_status(app, engine, metrics, guard)
    app.add_middleware(Measured, metrics=metrics)
    add_answers(app)
    return app


def add_answers(app: FastAPI) -> None:
    """What callers are told where something is wrong: one sentence, never a stack trace."""

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        said = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
        return JSONResponse({"detail": said}, 422)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        LOG.error("a request failed: %s: %s", type(error).__name__, error)
        return JSONResponse({"detail": "the service failed at this request; its log says why"}, 500)


class _Service:
    """From a request to images, as far as there is room and time."""

    def __init__(self, engine: InferenceBackend, config: ServeConfig) -> None:
        self.engine, self._config = engine, config
        self._limits = UploadLimits(config.max_body << 20, config.max_images, config.max_pixels * 10**6)
        self._room = PixelBudget(ROOM * self._limits.pixels)
        self._inside = 0

    @asynccontextmanager
    async def images(self, request: Request) -> AsyncIterator[tuple[list[Upload], list[Image]]]:
        """The images of a request, within its time; others wait no longer for it than until they are here.

        Raises:
            HTTPException: it is refused.
        """
        if self._inside >= self._config.queue:
            raise _busy(self.engine.waiting * PER_IMAGE)
        self._inside += 1
        status, said = 408, "expected the body"
        arriving = True
        self.engine.arriving += 1
        try:
            with anyio.fail_after(self._config.time_limit):
                uploads = await read_uploads(request, self._limits)
                status, said = 503, "expected to answer"
                async with self._room.take(self._pixels(uploads)):
                    images = [await decode(upload) for upload in uploads]
                    arriving = self._arrived()
                    yield uploads, images
        except TimeoutError as error:
            headers = {"Retry-After": "1"} if status == 503 else {"Connection": "close"}
            raise HTTPException(status, f"{said} within {self._config.time_limit:g} s", headers) from error
        except BusyError as error:
            raise _busy(error.seconds) from error
        finally:
            if arriving:
                self._arrived()
            self._inside -= 1

    def _pixels(self, uploads: Sequence[Upload]) -> int:
        total, most = sum(upload.pixels for upload in uploads), ROOM * self._limits.pixels
        if total > most:
            raise HTTPException(413, f"expected at most {most} pixels in a request, got {total}")
        return total

    def _arrived(self) -> bool:
        self.engine.arriving -= 1
        return False


def _busy(seconds: float) -> HTTPException:
    wait = str(max(math.ceil(seconds), 1))
    return HTTPException(429, f"too many requests wait; come back in {wait} s", {"Retry-After": wait})


def add_detect(app: FastAPI, engine: InferenceBackend, config: ServeConfig, guard: Any) -> _Service:
    """``/v1/detect``, and what takes images in for it."""
    service = _Service(engine, config)
    said = {
        200: {
            "description": "What is in each image, or with annotated=true the picture",
            "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        }
    }
    detected: dict[str, Any] = {"response_model": schemas.DetectOut, "responses": {**PROBLEMS, **said}}

    @app.post("/v1/detect", dependencies=[guard], openapi_extra=BODY, **detected)
    async def detect(
        request: Request, annotated: bool = Query(False, description="answer with the picture, as JPEG")
    ) -> Response:
        """Find people and hands in one image or several, as ``emotion-ros detect --json`` does."""
        async with service.images(request) as (uploads, images):
            if annotated and len(images) != 1:
                raise HTTPException(422, f"annotated: expected one image, got {len(images)}")
            seen = await service.engine.perceive(images)
            if annotated:
                return Response(await run_in_threadpool(_picture, images[0], seen[0]), media_type="image/jpeg")
        return JSONResponse({"model": seen[0].model, "results": _results(uploads, seen)})

    return service


def _add_classify(app: FastAPI, service: _Service, guard: Any) -> None:
    @app.post(
        "/v1/classify",
        dependencies=[guard],
        openapi_extra=BODY,
        response_model=schemas.ClassifyOut,
        responses=PROBLEMS,
    )
    async def classify(request: Request) -> Response:
        """Judge crops that show what the model wants to see: the ``region`` that /v1/models tells."""
        async with service.images(request) as (uploads, crops):
            judged = await service.engine.classify(crops)
        results = [
            {
                "source": upload.name,
                "label": each.label,
                "confidence": round(each.confidence, 4),
                "probabilities": {label: round(value, 4) for label, value in each.probabilities.items()},
            }
            for upload, each in zip(uploads, judged, strict=True)
        ]
        return JSONResponse({"model": service.engine.about().model, "results": results})


def _add_status(app: FastAPI, engine: InferenceBackend, metrics: Metrics, guard: Any) -> None:
    refusals: dict[int | str, dict[str, Any]] = {code: PROBLEMS[code] for code in (401, 403)}

    @app.get("/v1/models", dependencies=[guard], response_model=schemas.ModelsOut, responses=refusals)
    async def models() -> Response:
        """What runs, and what could."""
        known = [
            {"name": each.name, "licence": each.licence, "here": each.path().is_file()} for each in catalog().values()
        ]
        return JSONResponse({**dataclasses.asdict(engine.about()), "catalog": known})

    @app.get("/healthz", response_model=schemas.StatusOut)
    async def alive() -> Response:
        """Whether the process answers."""
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", response_model=schemas.StatusOut, responses={503: {"model": schemas.StatusOut}})
    async def ready() -> Response:
        """Whether images are answered."""
        return JSONResponse({"status": "ok"}) if engine.ready else JSONResponse({"status": "closing"}, 503)

    plain = {"content": {"text/plain": {"schema": {"type": "string"}}}}

    @app.get("/metrics", dependencies=[guard], response_class=Response, responses={200: plain, **refusals})
    async def figures() -> Response:
        """Figures for Prometheus."""
        return Response(metrics.text(engine.waiting), media_type=metrics.KIND)


def _results(uploads: Sequence[Upload], seen: Sequence[Perception]) -> list[dict[str, Any]]:
    return [
        {"source": upload.name, "frame": 0, "time": 0.0, **perception_record(each)}
        for upload, each in zip(uploads, seen, strict=True)
    ]


def _picture(image: Image, perception: Perception) -> bytes:
    return cv2.imencode(".jpg", draw(image, perception))[1].tobytes()
