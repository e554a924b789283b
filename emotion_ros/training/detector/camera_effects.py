"""Effects of cameras and of light on training images."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from emotion_ros.types import Image


def simulate_camera(image: Image, random: Generator) -> Image:
    """Return a square image (BGR, uint8) with random exposure, grey, blur, noise and JPEG artefacts.

    Each is in a share of the images only.
    """
    if random.random() < 0.7:
        gain, gamma = random.uniform(0.5, 1.3), np.exp(random.uniform(-0.7, 0.7))
        curve = 255 * np.clip(gain * (np.arange(256) / 255) ** gamma, 0, 1)
        image = cv2.LUT(image, curve.astype(np.uint8))  # type: ignore[assignment]
    if random.random() < 0.2:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)  # type: ignore[assignment]
    if random.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), random.uniform(0.4, 1.4))  # type: ignore[assignment]
    if random.random() < 0.3:
        noise = random.standard_normal((len(image), len(image), 1), np.float32) * random.uniform(2, 14)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if random.random() < 0.4:
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 90))])[1]
        image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)  # type: ignore[assignment]
    return image
