"""What the HTTP API answers, as its OpenAPI description has it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

Share = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[list[int], Field(min_length=4, max_length=4, description="x, y, width, height in pixels")]


class HandOut(BaseModel):
    """A hand."""

    side: str = Field(examples=["right"])
    box: Pixels
    confidence: Share
    gesture: str = Field(examples=["thumb_up"])
    gesture_confidence: Share
    landmarks: list[list[float]] = Field(description="21 points, x and y in pixels")


class PersonOut(BaseModel):
    """A person; see ``msg/Emotion.msg``."""

    id: str
    label: str = Field(description="of the surest emotion; unknown below the floor", examples=["happy"])
    confidence: Share
    probabilities: dict[str, Share]
    valence: float | None
    arousal: float | None
    face: Pixels
    face_confidence: Share
    quality: Share
    position: list[float] | None
    hands: list[HandOut]


class SeenOut(BaseModel):
    """What is in one image: a line of ``emotion-ros detect --json``."""

    source: str = Field(description="what the sender called the image")
    frame: int
    time: float
    width: int
    height: int
    people: list[PersonOut]
    hands: list[HandOut] = Field(description="that belong to no face")


class DetectOut(BaseModel):
    """People and hands of each image, in the order sent."""

    model: str = Field(examples=["emotion_resnet18@1f0c9a2b"])
    results: list[SeenOut]


class JudgedOut(BaseModel):
    """What the classifier says of one crop."""

    source: str
    label: str = Field(examples=["happy"])
    confidence: Share
    probabilities: dict[str, Share]


class ClassifyOut(BaseModel):
    """Emotion of each crop, in the order sent."""

    model: str
    results: list[JudgedOut]


class KnownModel(BaseModel):
    """A model of the catalog."""

    name: str
    licence: str
    here: bool = Field(description="whether its file is on this machine")


class ModelsOut(BaseModel):
    """What runs, and what could."""

    model: str
    provider: str = Field(examples=["cpu"])
    labels: list[str]
    region: str = Field(description="what a crop for /v1/classify shows: face, face_hands or frame")
    face_detector: str
    catalog: list[KnownModel]


class StatusOut(BaseModel):
    """Whether the service is well."""

    status: str = Field(examples=["ok"])


class Problem(BaseModel):
    """What was expected, what came, and what to do."""

    detail: str
