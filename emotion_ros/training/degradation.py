"""Training crops as bad cameras show them."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_ros.types import Image

LOW_RESOLUTION = 0.2, 0.75
"""Smallest and largest side, as a share of the crop's, to which a crop of low resolution is reduced."""


def degraded(image: Image, rng: np.random.Generator) -> Image:
    """Return a square crop in other light, in other colours or grey, blurred, of low resolution, noisy or compressed.

    Args:
        image: n × n × 3, BGR, or n × n, grey, uint8.
        rng: random numbers.
    """
    tones, side = _tones(rng), len(image)
    result: Image = cv2.LUT(image, tones if image.ndim == 3 else np.ascontiguousarray(tones[..., 0]))  # type: ignore[assignment]
    if rng.random() < 0.15 and image.ndim == 3:
        result = cv2.cvtColor(cv2.cvtColor(result, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)  # type: ignore[assignment]
    if rng.random() < 0.25:
        result = _blurred(result, rng)
    if rng.random() < 0.25:
        low = int(rng.integers(int(side * LOW_RESOLUTION[0]), int(side * LOW_RESOLUTION[1])))
        small = cv2.resize(result, (low, low), interpolation=cv2.INTER_AREA)
        result = cv2.resize(small, (side, side))  # type: ignore[assignment]
    if rng.random() < 0.3:
        noise = rng.standard_normal(result.shape, np.float32) * rng.uniform(2, 14)
        result = (result + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        encoded = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 80))])[1]
        result = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)  # type: ignore[assignment]
    return result


def _tones(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a table of random gamma, contrast, brightness and colour, 1 × 256 × 3."""
    values = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.3)) * 255
    values = (values - 128) * np.exp(rng.normal(0, 0.25)) + 128 + rng.normal(0, 20)
    colour = np.exp(rng.normal(0, 0.12, 3)) if rng.random() < 0.5 else np.ones(3)
    return (values[None, :, None] * colour).clip(0, 255).astype(np.uint8)  # type: ignore[no-any-return]


def _blurred(image: Image, rng: np.random.Generator) -> Image:
    """Return an image after a mean along a line of up to 9 pixels in any direction, as of a moving object."""
    length = int(rng.integers(2, 10))
    kernel = np.zeros((9, 9), np.float32)
    angle = rng.uniform(0, math.pi)
    reach = np.array([math.cos(angle), math.sin(angle)]) * (length - 1) / 2
    cv2.line(kernel, np.round(4 - reach).astype(int).tolist(), np.round(4 + reach).astype(int).tolist(), (1.0,))
    return cv2.filter2D(image, -1, kernel / kernel.sum())  # type: ignore[return-value]
