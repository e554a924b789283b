"""Labelled objects in mirrored and warped images."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.training.detector.object_kinds import ObjectKind
from emotion_ros.training.detector.photos import STATE_COLUMN, Photo
from emotion_ros.types import Image


def mirrored(photo: Photo, kind: ObjectKind) -> tuple[Image, NDArray[np.float32]]:
    """Return a photo's image and labels, flipped horizontally."""
    width, labels = photo.image.shape[1], photo.faces.copy()
    labels[:, 0] = width - photo.faces[:, 0] - photo.faces[:, 2]
    points = _points(labels)[:, list(kind.mirrored)]
    points[..., 0] = width - points[..., 0]
    labels[:, 4:STATE_COLUMN] = points.reshape(len(labels), 2 * len(kind.points))
    return np.ascontiguousarray(photo.image[:, ::-1]), labels


def warped(labels: NDArray[np.float32], warp: NDArray[Any], angle: float, scale: float) -> NDArray[np.float32]:
    """Return labels after a warp: each box encloses the rotated ellipse that the old one enclosed.

    Args:
        labels: n × (5 + 2 · landmarks); the state is kept.
        warp: 2 × 3, affine, a rotation by ``angle`` degrees, a scaling by ``scale`` and a shift.
        angle: see ``warp``.
        scale: see ``warp``.
    """
    x, y, width, height = labels[:, :4].astype(float).T
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    middles = np.stack([x + width / 2, y + height / 2], -1) @ warp[:, :2].T + warp[:, 2]
    sizes = scale * np.stack([np.hypot(width * cos, height * sin), np.hypot(width * sin, height * cos)], -1)
    points = _points(labels) @ warp[:, :2].T + warp[:, 2]
    values = [middles - sizes / 2, sizes, points.reshape(len(labels), labels.shape[1] - 5), labels[:, STATE_COLUMN:]]
    return np.concatenate(values, 1).astype(np.float32)  # type: ignore[no-any-return]


def _points(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the landmarks, n × landmarks × 2."""
    return labels[:, 4:STATE_COLUMN].reshape(len(labels), (labels.shape[1] - 5) // 2, 2)


def pixel_warp(warp: NDArray[Any]) -> NDArray[Any]:
    """Return a warp of labels as :func:`cv2.warpAffine` takes it.

    Labels count from the outer corner of the first pixel, that function counts from its middle: half a pixel less.
    """
    result = warp.copy()
    result[:, 2] += warp[:, :2] @ (0.5, 0.5) - 0.5
    return result


def downscale(image: Image, warp: NDArray[Any], scale: float) -> tuple[Image, NDArray[Any]]:
    """Average an image to about its final size if that is less than half, so that warping it does not alias.

    Args:
        image: h × w × 3 or 4.
        warp: 2 × 3, affine, from pixels of the image to those of the result.
        scale: of the warp.

    Returns:
        The image, and the warp from its pixels to those of the result.
    """
    if scale >= 0.5:
        return image, warp
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    enlarge = np.diag([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0], 1.0])
    return small, warp @ enlarge  # type: ignore[return-value]
