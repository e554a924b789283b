"""What of a picture a network sees: cropped by the code that crops at run time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import TracebackType

from emotion_ros.config import PipelineConfig
from emotion_ros.perception.association import associate_hands, filter_false_faces
from emotion_ros.perception.detection import HAND_DETECTORS, FaceDetector, HandDetector
from emotion_ros.perception.emotion.preprocess import region_crop
from emotion_ros.perception.loaded_models import create_face_detector
from emotion_ros.types import Image

CROPPED = 128
"""Pixels of the longer side up to which a picture is taken for a crop already, as FER2013's 48 × 48 are; a face in so
small a camera image would be too small to tell anything."""


@dataclass(frozen=True)
class View:
    """What a network sees.

    ``size``, ``color``, ``region``, ``margin`` and ``shift`` as in
    :class:`emotion_ros.perception.emotion.metadata.ModelMetadata`. ``crop``: ``yes``, find the region in each
    picture; ``no``,
    the pictures show it already; ``auto``, pictures up to :data:`CROPPED` pixels do.
    """

    size: int
    color: str
    region: str = "face"
    margin: float = 0.0
    shift: float = 0.0
    crop: str = "auto"


class RegionCrop:
    """Cuts the view's region out of pictures; of several people it takes the one with the largest face."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._config = PipelineConfig()

    def __enter__(self) -> RegionCrop:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for name in ("_faces", "_hands"):
            if name in vars(self):
                vars(self)[name].close()

    @cached_property
    def _faces(self) -> FaceDetector:
        return create_face_detector(self._config)

    @cached_property
    def _hands(self) -> HandDetector:
        return HAND_DETECTORS["mediapipe"](2)

    def __call__(self, image: Image) -> Image | None:
        """The region of a picture (BGR, h × w × 3); None where nobody is found."""
        view = self._view
        whole = view.crop == "no" or (view.crop == "auto" and max(image.shape[:2]) <= CROPPED)
        if whole or view.region == "frame":
            return image
        faces = self._faces.detect(image, self._config.min_face_confidence, self._config.min_face_size)
        if not faces:
            return None
        hands = self._hands.detect(image) if view.region == "face_hands" else ()
        faces = [faces[index] for index in filter_false_faces(faces, hands)]
        owned, _ = associate_hands(faces, hands)
        largest = max(range(len(faces)), key=lambda index: faces[index].box.width * faces[index].box.height)
        return region_crop(image, view.region, faces[largest], owned[largest], view.margin, view.shift)
