"""Image sequences for the comparison: moving copies of the sample's face on a blurred background, or a user's clip."""

import cv2
import numpy as np
import skimage.data

from emotion_ros.cli.benchmark_pipeline import CROWDS

FACE_COUNTS = (0, *CROWDS)
SIZES = ((640, 480), (1280, 720))
"""Width and height in pixels."""

FRAME_COUNT = 30
MAX_CLIP_FRAMES = 60

HEAD_REGION = (slice(10, 250), slice(130, 330))
"""Rows and columns of the head in skimage's portrait of an astronaut; the face fills half of them."""

HEAD_SHARE = 0.8
"""Height of a head as a share of its cell's height or of 1.2 times its width, whichever is smaller."""

NOISE = 4
"""Standard deviation of the camera noise, in grey levels."""


def sequence(count, size):
    """Return :data:`FRAME_COUNT` images, BGR, n × h × w × 3, uint8, with noise.

    Args:
        count: number of faces; each moves inside its own cell of a grid.
        size: width and height in pixels.
    """
    width, height = size
    rng = np.random.default_rng(count)
    background = cv2.GaussianBlur(rng.integers(60, 160, (height, width, 3), np.uint8), (0, 0), 9)
    columns, rows = CROWDS.get(count, (1, 1))
    head = scaled_head(round(HEAD_SHARE * min(height / rows, width / columns * 1.2)))
    frames = np.empty((FRAME_COUNT, height, width, 3), np.uint8)
    for number in range(FRAME_COUNT):
        image = background.copy()
        for index in range(count):
            paste(image, head, index, number, (width // columns, height // rows), columns)
        frames[number] = np.clip(image + rng.normal(0, NOISE, image.shape), 0, 255)
    return frames


def scaled_head(height):
    """Return the sample's head, BGR, uint8, ``height`` pixels high."""
    head = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)[HEAD_REGION]
    return cv2.resize(head, (round(height * head.shape[1] / head.shape[0]), height))


def paste(image, head, index, number, cell, columns):
    """Paste a head into its cell, on a circle around the cell's centre.

    Args:
        image: is changed.
        head: is pasted.
        index: of the cell, row by row.
        number: of the frame.
        cell: width and height in pixels.
        columns: of the grid.
    """
    angle = 2 * np.pi * (number / FRAME_COUNT + index / 8)
    spare_x, spare_y = cell[0] - head.shape[1], cell[1] - head.shape[0]
    x = index % columns * cell[0] + round(spare_x / 2 * (1 + 0.8 * np.cos(angle)))
    y = index // columns * cell[1] + round(spare_y / 2 * (1 + 0.8 * np.sin(angle)))
    image[y : y + head.shape[0], x : x + head.shape[1]] = head


def clip(source, size=(640, 480)):
    """Return the first :data:`MAX_CLIP_FRAMES` images of a file or folder, resized, n × h × w × 3, uint8."""
    from emotion_ros.io.sources import frames

    images = (cv2.resize(frame.image, size) for frame in frames(source) if frame.image is not None)
    return np.stack([image for image, _ in zip(images, range(MAX_CLIP_FRAMES), strict=False)])
