"""Turns a face in an image by its mesh: an image of the same face in another pose.

The idea is that of Zhu et al., "Face Alignment Across Large Poses: A 3D Solution", 2016: the mesh is turned, its
surroundings are dragged along, and the image is drawn on its triangles.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.perception.head_pose import Rotation
from emotion_ros.training.faces.mesh_labels import Mesh
from emotion_ros.types import Image

# fmt: off
OUTLINE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
"""Vertices of the mesh along the outline of the face."""
# fmt: on

SKIN_VERTICES = 468
"""Vertices without those of the irises."""

HEAD_SCALE, HEAD_DEPTH = 1.35, 0.3
"""Outline of the head relative to that of the face, and how far behind it lies, in widths of the face: hair, ears and
neck turn with the face."""

SURROUNDINGS_SCALE = 2.4
"""Outline, relative to that of the face, up to which the surroundings are dragged along."""

SUBPIXEL_BITS = 4


def turned(image: Image, mesh: Mesh, rotation: Rotation, triangles: NDArray[np.int32]) -> tuple[Image, Mesh]:
    """Return an image with its face turned further, and the turned mesh.

    Args:
        image: BGR or grey, uint8.
        mesh: of the face, in pixels of the image.
        rotation: by which the face is turned, about the middle of the mesh.
        triangles: of the mesh, see :func:`skin_triangles`.
    """
    source = _with_surroundings(mesh)
    target = source.copy()
    fixed = len(OUTLINE)
    middle = mesh[:SKIN_VERTICES].mean(0)
    target[:-fixed] = (source[:-fixed] - middle) @ rotation.T + middle
    faces = np.concatenate([triangles, surrounding_triangles()])
    to_source = _triangle_warps(target[:, :2][faces], source[:, :2][faces])
    drawn = _drawn_triangles(target, faces, image.shape[:2])
    rows, columns = np.nonzero(drawn >= 0)
    warps = to_source[drawn[rows, columns]]
    where = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], -1)
    maps = np.stack(np.meshgrid(*(np.arange(side, dtype=np.float32) for side in image.shape[1::-1])), -1)
    maps[rows, columns] = np.einsum("nij,nj->ni", warps, where) - 0.5
    result = cv2.remap(image, maps, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return result, ((mesh - middle) @ rotation.T + middle).astype(np.float32)


def skin_triangles(frontal: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the triangles between the vertices of a frontal mesh, n × 3 indices (Delaunay).

    Args:
        frontal: 478 × 2 or 3, any unit.
    """
    points = frontal[:SKIN_VERTICES, :2] - frontal[:SKIN_VERTICES, :2].min(0)
    points = (points * (1000 / points.max()) + 10).astype(np.float32)
    subdivision = cv2.Subdiv2D((0, 0, 1100, 1100))
    numbers = {subdivision.insert(point.tolist()): index for index, point in enumerate(points)}
    corners = np.reshape(subdivision.getTriangleList(), (-1, 3, 2))
    inside = ((corners > 0) & (corners < 1100)).all((1, 2))
    located = [[numbers.get(subdivision.locate(corner.tolist())[2], -1) for corner in each] for each in corners[inside]]
    return np.array([each for each in located if min(each) >= 0], np.int32)


@cache
def surrounding_triangles() -> NDArray[np.int32]:
    """Return the triangles between the outlines of face, head and surroundings."""
    count = len(OUTLINE)
    rings = [np.array(OUTLINE), *(np.arange(count) + SKIN_VERTICES + number * count for number in (0, 1))]
    strips = []
    for inner, outer in pairwise(rings):
        following = np.roll(inner, -1), np.roll(outer, -1)
        strips += [np.stack([inner, following[0], outer], 1), np.stack([following[0], following[1], outer], 1)]
    return np.concatenate(strips).astype(np.int32)  # type: ignore[no-any-return]


def _with_surroundings(mesh: Mesh) -> NDArray[np.float64]:
    """Return the vertices of skin, outline of the head and outline of the surroundings."""
    outline = mesh[list(OUTLINE)].astype(float)
    middle, width = outline.mean(0), float(np.ptp(outline[:, 0]))
    head = middle + (outline - middle) * (HEAD_SCALE, HEAD_SCALE, 1) + (0, 0, HEAD_DEPTH * width)
    far = middle + (outline - middle) * (SURROUNDINGS_SCALE, SURROUNDINGS_SCALE, 1) + (0, 0, 2 * HEAD_DEPTH * width)
    return np.concatenate([mesh[:SKIN_VERTICES], head, far])


def _triangle_warps(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the affine maps, n × 2 × 3, from triangles to triangles, n × 3 × 2 each."""
    ones = np.ones((*source.shape[:2], 1))
    system = np.concatenate([source, ones], -1)
    flat = np.abs(np.linalg.det(system)) < 1e-6
    system[flat] = np.eye(3)
    return np.linalg.solve(system, target).transpose(0, 2, 1)  # type: ignore[no-any-return]


def _drawn_triangles(
    vertices: NDArray[np.float64], faces: NDArray[np.int32], shape: tuple[int, ...]
) -> NDArray[np.int32]:
    """Return for each pixel the number of the nearest triangle there, −1: none."""
    drawn = np.full(shape, -1, np.int32)
    corners = np.round((vertices[:, :2] - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32)[faces]
    for number in np.argsort(-vertices[:, 2][faces].mean(1)).tolist():
        cv2.fillConvexPoly(drawn, corners[number], number, cv2.LINE_8, SUBPIXEL_BITS)
    return drawn
