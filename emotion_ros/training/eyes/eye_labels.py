"""What the eye network learns of an eye: heights of its lids and the position of its iris, from a face mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_ros.training.faces.mesh_labels import Mesh

VALUES = ("upper_lid", "lower_lid", "iris_x", "iris_y")
"""Values of an eye, in units of its width: heights above the line between the corners, and how far the middle of the
iris is on the outer side of the middle between the corners."""


@dataclass(frozen=True)
class EyeVertices:
    """Vertices of the mesh, see :data:`~emotion_ros.training.faces.mesh_labels.Mesh`, at an eye: corners, middle thirds
    of the lids' edges, middle of the iris."""

    inner: int
    outer: int
    upper: tuple[int, ...]
    lower: tuple[int, ...]
    iris: int


RIGHT = EyeVertices(133, 33, (160, 159, 158), (144, 145, 153), 468)
LEFT = EyeVertices(362, 263, (387, 386, 385), (373, 374, 380), 473)


def eye_values(mesh: Mesh, eye: EyeVertices) -> NDArray[np.float32]:
    """Return :data:`VALUES` of an eye, 4 float32."""
    points = mesh[:, :2].astype(float)
    inner, outer = points[eye.inner], points[eye.outer]
    width = max(float(np.linalg.norm(outer - inner)), 1e-6)
    outward = (outer - inner) / width
    upward = np.array([outward[1], -outward[0]]) * (1 if eye is LEFT else -1)
    middle = (inner + outer) / 2
    upper, lower, iris = ((points[list(part)].mean(0) - middle) / width for part in (eye.upper, eye.lower, (eye.iris,)))
    return np.array([upper @ upward, lower @ upward, iris @ outward, iris @ upward], np.float32)
