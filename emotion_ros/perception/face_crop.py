"""The square of an image that the face landmark network gets: around a face, rotated so that the eyes are level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.emotion.preprocess import face_square, roll
from emotion_ros.perception.rotated_crop import IDENTITY, Matrix2, RotatedCrop
from emotion_ros.types import Points

CROP_SIZE_PX = 64
"""Side of the network's input."""

CROP_SCALE = 1.6
"""Side of the crop as a multiple of that of :func:`face_square`: chin and ears are inside."""

MIN_SIDE_PX = 4.0
"""Lower limit of the crop's side in the image."""


@dataclass(frozen=True)
class FaceCrop(RotatedCrop):
    """A rotated square around a face.

    Attributes:
        sight: 2 × 2, from the image to that of a camera that looks straight at the face, around the crop's middle.
    """

    size_px = CROP_SIZE_PX
    sight: Matrix2 = IDENTITY

    @property
    def view(self) -> Matrix2:
        """See :class:`RotatedCrop`."""
        return self.sight


def crop_of_face(landmarks: Points, sight: NDArray[np.float64] | None = None) -> FaceCrop:
    """Return the crop of a face.

    Args:
        landmarks: at least four points in pixels: right eye, left eye, nose tip, middle of the mouth.
        sight: see :class:`FaceCrop`; None: the camera looks straight at the face.
    """
    view = np.eye(2) if sight is None else sight
    middle = (landmarks[0] + landmarks[1] + 2 * landmarks[3]) / 4
    seen = ((landmarks - middle) @ view.T).astype(np.float32)
    (x, y), side = middle.tolist(), max(CROP_SCALE * face_square(seen).width, MIN_SIDE_PX)
    return FaceCrop(x, y, side, roll(seen), (tuple(view[0].tolist()), tuple(view[1].tolist())))  # type: ignore[arg-type]
