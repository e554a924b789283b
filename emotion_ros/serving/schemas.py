"""Response bodies of the HTTP API, as described in its OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]
Box = Annotated[list[int], Field(min_length=4, max_length=4, description="x, y, width, height in pixels")]

EXAMPLE_PROBABILITIES = {
    "angry": 0.0,
    "disgust": 0.0,
    "fear": 0.0,
    "happy": 0.9999,
    "neutral": 0.0001,
    "sad": 0.0,
    "surprise": 0.0,
}

EXAMPLE_PERSON = {
    "id": "axvuf",
    "label": "happy",
    "confidence": 0.9999,
    "probabilities": EXAMPLE_PROBABILITIES,
    "valence": 0.81,
    "arousal": 0.51,
    "face": [209, 106, 119, 119],
    "face_confidence": 0.9561,
    "quality": 1.0,
    "position": None,
    "head_pose": {"yaw": 0.03, "pitch": -0.05, "roll": 0.11},
    "attention": 1.0,
    "engagement": "engaging",
    "hands": [],
}

EXAMPLE_MODEL = "emotion_resnet18@b50ed82f"


def _example(content: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [content]})


class Hand(BaseModel):
    """A detected hand; see ``msg/Hand.msg``."""

    side: str = Field(examples=["right"])
    box: Box
    confidence: Probability
    gesture: str = Field(examples=["thumb_up"])
    gesture_confidence: Probability
    landmarks: list[list[float]] = Field(description="21 points, x and y in pixels")


class HeadPose(BaseModel):
    """Rotation of a head away from looking straight into the camera, radians; see ``msg/Emotion.msg``."""

    yaw: float
    pitch: float
    roll: float


class Person(BaseModel):
    """A detected person; see ``msg/Emotion.msg``."""

    id: str
    label: str = Field(description="most probable emotion; unknown below min_confidence", examples=["happy"])
    confidence: Probability
    probabilities: dict[str, Probability]
    valence: float | None
    arousal: float | None
    face: Box
    face_confidence: Probability
    quality: Probability
    position: list[float] | None = None
    head_pose: HeadPose | None = None
    attention: Probability | None = Field(None, description="how surely the person looks at the camera")
    engagement: str = Field("", description="engaging if the person looks at the camera from nearby, else disengaged")
    hands: list[Hand]


class ImageResult(BaseModel):
    """People and hands in one image; a line of ``emotion-ros detect --json``."""

    source: str = Field(description="file name in the form; body for an image without a form")
    frame: int
    time: float
    width: int
    height: int
    people: list[Person]
    hands: list[Hand] = Field(description="hands that are not associated with a face")
    events: list[dict[str, Any]] = Field([], description="changes of expression; pictures have none")


class DetectResponse(BaseModel):
    """People and hands in each image, in the order of the request."""

    model_config = _example(
        {
            "model": EXAMPLE_MODEL,
            "results": [
                {
                    "source": "sample.jpg",
                    "frame": 0,
                    "time": 0.0,
                    "width": 640,
                    "height": 480,
                    "people": [EXAMPLE_PERSON],
                    "hands": [],
                    "events": [],
                }
            ],
        }
    )

    model: str
    results: list[ImageResult]


class ClassifiedCrop(BaseModel):
    """Classification of one crop."""

    source: str
    label: str = Field(examples=["happy"])
    confidence: Probability
    probabilities: dict[str, Probability]


class ClassifyResponse(BaseModel):
    """Classification of each crop, in the order of the request."""

    model_config = _example(
        {
            "model": EXAMPLE_MODEL,
            "results": [
                {"source": "face.png", "label": "happy", "confidence": 0.9999, "probabilities": EXAMPLE_PROBABILITIES}
            ],
        }
    )

    model: str
    results: list[ClassifiedCrop]


class CatalogModel(BaseModel):
    """A model of the catalog."""

    name: str
    licence: str
    downloaded: bool = Field(description="true if its file is on this machine")


class ModelsResponse(BaseModel):
    """The running model and the models of the catalog."""

    model: str
    provider: str = Field(examples=["cpu"])
    labels: list[str]
    region: str = Field(description="image region that a crop for /v1/classify must show: face, face_hands or frame")
    face_detector: str
    catalog: list[CatalogModel]


class StatusResponse(BaseModel):
    """State of the service."""

    status: str = Field(examples=["ok"])


class ErrorResponse(BaseModel):
    """An error: what was expected, what was received, and what to do."""

    model_config = _example({"detail": "body: expected JPEG, PNG, WEBP, BMP, got another format"})

    detail: str
