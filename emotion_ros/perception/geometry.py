"""Estimates the position of a face relative to the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.head_pose import rotation_in_camera, view_rotation
from emotion_ros.types import Face, HeadPose, Position

PUPIL_DISTANCE_M = 0.063
"""Mean distance between an adult's pupils; 0.052 to 0.078 m for nearly all (Dodgson, "Variation and extrema of human
interpupillary distance", 2004). Children's are smaller: their distance is overestimated."""


@dataclass(frozen=True)
class CameraIntrinsics:
    """A pinhole camera: focal lengths and principal point in pixels of an image of ``width`` × ``height``."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    @property
    def is_usable(self) -> bool:
        """Whether a camera can have these values: drivers without a calibration publish zeros, NaN or an identity."""
        values = (self.fx, self.fy, self.cx, self.cy, float(self.width), float(self.height))
        if not all(map(math.isfinite, values)) or min(self.fx, self.fy, self.width, self.height) <= 0:
            return False
        focal_lengths = self.fx / self.width, self.fy / self.width
        is_lens = all(MIN_FOCAL_WIDTHS <= each <= MAX_FOCAL_WIDTHS for each in focal_lengths)
        return is_lens and 1 / MAX_PIXEL_ASPECT <= self.fx / self.fy <= MAX_PIXEL_ASPECT


MIN_FOCAL_WIDTHS, MAX_FOCAL_WIDTHS = 0.1, 100.0
"""Focal lengths that are believed, in image widths: a horizontal field of view of 157°, and one of 0.6°."""

MAX_PIXEL_ASPECT = 2.0
"""Ratio of the focal lengths that is believed: pixels are square, but images may be scaled in one direction."""

MIN_FORESHORTENING = 0.5
"""Smallest share of the pupils' distance that is taken to be seen, that of a yaw of 60°: beyond, an eye is hidden."""

ASSUMED_FIELD_OF_VIEW_RAD = math.radians(60)
"""Horizontal field of view of a camera without intrinsics: that of most webcams and of a RealSense D435 lies between
55° and 70°."""


def line_of_sight(
    point: tuple[float, float], intrinsics: CameraIntrinsics | None, width: int, height: int
) -> NDArray[np.float64]:
    """Return how the surroundings of a point look to a camera that is turned to look straight at it.

    Perspective shows what is beside the image's middle stretched, as if it were turned. Lens distortion is not
    corrected.

    Args:
        point: x, y in pixels.
        intrinsics: the camera's; their image size may differ from the image's. None, or not usable: square pixels and a
            horizontal field of view of :data:`ASSUMED_FIELD_OF_VIEW_RAD` are assumed.
        width: of the image in pixels.
        height: of the image in pixels.

    Returns:
        2 × 2, from offsets in pixels of the image to offsets in pixels of the other camera, of equal scale in the
        image's middle.
    """
    if intrinsics is None or not intrinsics.is_usable:
        focal = width / 2 / math.tan(ASSUMED_FIELD_OF_VIEW_RAD / 2)
        intrinsics = CameraIntrinsics(focal, focal, width / 2, height / 2, width, height)
    scale = np.array((intrinsics.width / width, intrinsics.height / height)) / (intrinsics.fx, intrinsics.fy)
    x, y = np.array(point) * scale - (intrinsics.cx / intrinsics.fx, intrinsics.cy / intrinsics.fy)
    direction = np.array((x, y, 1.0))
    # The derivative of the projection after the turn, at the direction that it turns to +z.
    jacobian = view_rotation(direction)[:2, :2] / np.linalg.norm(direction)
    return jacobian * scale / scale.mean()  # type: ignore[no-any-return]


def face_position(
    face: Face, intrinsics: CameraIntrinsics | None, width: int, height: int, pose: HeadPose | None = None
) -> Position | None:
    """Return the midpoint of the eyes in metres: x to the right, y down, z forward (optical frame, REP-103).

    The distance assumes an adult. Lens distortion is not corrected.

    Args:
        face: with right and left eye as its first landmarks, in pixels.
        intrinsics: the camera's; their image size may differ from the image's.
        width: of the image in pixels.
        height: of the image in pixels.
        pose: of the head, which shortens the distance of the pupils in the image. None: the person faces the camera; a
            head turned by 30° gives a distance 15 % too large.

    Returns:
        None if the intrinsics are None or not usable, or if the face has no two different eyes.
    """
    if intrinsics is None or not intrinsics.is_usable or len(face.landmarks) < 2:
        return None
    scale = intrinsics.width / width, intrinsics.height / height
    eyes = face.landmarks[:2].astype(float) * scale
    focal, centre = (intrinsics.fx, intrinsics.fy), (intrinsics.cx, intrinsics.cy)
    pupil_distance = float(np.linalg.norm((eyes[1] - eyes[0]) / focal))  # at a depth of 1 m
    if pupil_distance <= 0:
        return None
    x, y = ((eyes.mean(0) - centre) / focal).tolist()
    if pose is not None:
        across = rotation_in_camera(pose, (x, y, 1.0))[:, 0]  # from pupil to pupil, and then as it is projected
        seen = float(np.hypot(across[0] - x * across[2], across[1] - y * across[2]))
        pupil_distance /= max(seen, MIN_FORESHORTENING)
    z = PUPIL_DISTANCE_M / pupil_distance
    return x * z, y * z, z
