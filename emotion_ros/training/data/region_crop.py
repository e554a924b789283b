"""Crops the region of a picture that a network sees, with the code that crops at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import TracebackType

import cv2

from emotion_ros.config import PipelineConfig
from emotion_ros.perception.association import associate_hands, filter_false_faces
from emotion_ros.perception.detection import FaceDetector, HandDetector
from emotion_ros.perception.emotion.preprocess import region_crop
from emotion_ros.perception.face_points import FacePointsNetwork, refined
from emotion_ros.perception.loaded_models import create_face_detector, create_face_points, create_hand_detector
from emotion_ros.types import Face, Image

MAX_CROPPED_SIDE_PX = 64
"""Longer side up to which a picture counts as cropped already, as FER2013's 48 × 48 are."""

BORDER = 1 / 3
"""Border, as a share of the longer side, that is added to a picture in which no face is found: detectors miss faces
that fill the whole picture. Its pixels are those of the picture's edge."""

MAX_HANDS = 2
"""Hands that are searched for in a picture: those of one person."""


@dataclass(frozen=True)
class View:
    """The part of a picture that a network sees.

    ``size``, ``color``, ``region``, ``margin`` and ``shift`` as in
    :class:`emotion_ros.perception.emotion.metadata.ModelMetadata`. ``crop``: ``yes``, find the region in each picture;
    ``no``, the pictures show the region alone; ``auto``, pictures of up to :data:`MAX_CROPPED_SIDE_PX` pixels do.
    """

    size: int
    color: str
    region: str = "face"
    margin: float = 0.0
    shift: float = 0.0
    crop: str = "auto"


class RegionCrop:
    """Crops the view's region out of pictures; of several people that of the largest face. A context manager.

    Detectors are loaded at the first picture that needs them, and closed at the end of the context.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._config = PipelineConfig()

    def __enter__(self) -> RegionCrop:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for name in ("_faces", "_hands"):
            if name in vars(self):  # cached_property stores here what was loaded
                vars(self)[name].close()

    @cached_property
    def _faces(self) -> FaceDetector:
        return create_face_detector(self._config)

    @cached_property
    def _hands(self) -> HandDetector:
        return create_hand_detector(replace(self._config, max_hands=MAX_HANDS))

    @cached_property
    def _points(self) -> FacePointsNetwork:
        return create_face_points(self._config)

    def __call__(self, image: Image) -> Image | None:
        """Return the region of a picture (both BGR, uint8, h × w × 3); None if no face is found."""
        view = self._view
        is_cropped = view.crop == "no" or (view.crop == "auto" and max(image.shape[:2]) <= MAX_CROPPED_SIDE_PX)
        if is_cropped or view.region == "frame":
            return image
        faces = self._detect(image)
        if not faces:
            border = round(BORDER * max(image.shape[:2]))
            image = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
            faces = self._detect(image)
        if not faces:
            return None
        hands = self._hands.detect(image) if view.region == "face_hands" else ()
        faces = [faces[index] for index in filter_false_faces(faces, hands)]
        hands_of_faces, _ = associate_hands(faces, hands)
        largest = max(range(len(faces)), key=lambda index: faces[index].box.area)
        face = refined(faces[largest], self._points(image, [faces[largest]])[0])
        return region_crop(image, view.region, face, hands_of_faces[largest], view.margin, view.shift)

    def _detect(self, image: Image) -> Sequence[Face]:
        return self._faces.detect(image, self._config.min_face_confidence, self._config.min_face_size)
