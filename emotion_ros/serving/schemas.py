"""What the HTTP API answers, as its OpenAPI description has it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[list[int], Field(min_length=4, max_length=4, description="x, y, width, height in pixels")]


HAPPY = {"angry": 0.0, "disgust": 0.0, "fear": 0.0, "happy": 0.9999, "neutral": 0.0001, "sad": 0.0, "surprise": 0.0}

PERSON = {
    "id": "axvuf",
    "label": "happy",
    "confidence": 0.9999,
    "probabilities": HAPPY,
    "valence": 0.81,
    "arousal": 0.51,
    "face": [209, 106, 119, 119],
    "face_confidence": 0.9561,
    "quality": 1.0,
    "position": None,
    "hands": [],
}

MODEL = "emotion_resnet18@b50ed82f"


def _example(content: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [content]})


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
    position: list[float] | None = None
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

    model_config = _example(
        {
            "model": MODEL,
            "results": [
                {
                    "source": "sample.jpg",
                    "frame": 0,
                    "time": 0.0,
                    "width": 640,
                    "height": 480,
                    "people": [PERSON],
                    "hands": [],
                }
            ],
        }
    )

    model: str
    results: list[SeenOut]


class JudgedOut(BaseModel):
    """What the classifier says of one crop."""

    source: str
    label: str = Field(examples=["happy"])
    confidence: Share
    probabilities: dict[str, Share]


class ClassifyOut(BaseModel):
    """Emotion of each crop, in the order sent."""

    model_config = _example(
        {
            "model": MODEL,
            "results": [{"source": "face.png", "label": "happy", "confidence": 0.9999, "probabilities": HAPPY}],
        }
    )

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

    model_config = _example({"detail": "body: expected JPEG, PNG, WEBP, BMP, got something else"})

    detail: str
