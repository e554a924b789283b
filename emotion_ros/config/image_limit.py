"""The option that limits the size of images."""

from __future__ import annotations

from typing import Any

from emotion_ros.config.options import option

MAX_IMAGE_PIXELS = 50_000_000
"""Default limit on width × height: the largest photos of common cameras have 45 megapixels. In BGR, 150 MB."""


def image_pixels_option(*, live: bool = False) -> Any:
    """Dataclass field ``max_image_pixels`` of a config whose images come from others."""
    return option(
        MAX_IMAGE_PIXELS,
        "maximum width × height of an image; a larger one is refused before it is decoded",
        minimum=1024,
        maximum=1 << 30,  # OpenCV's own limit: CV_IO_MAX_IMAGE_PIXELS in its loadsave.cpp
        live=live,
        group="limit",
    )
