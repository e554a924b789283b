"""Frames with as many moving faces as one likes: the sample's, over a wall, 640×480 or larger."""

import cv2
import numpy as np
import skimage.data

from emotion_ros.cli.benchmark_pipeline import CROWDS

COUNTS = (0, *CROWDS)
SIZES = ((640, 480), (1280, 720))
FRAMES = 30

HEAD = (slice(10, 250), slice(130, 330))
"""Of the portrait: rows and columns that hold the head; the face fills half of it."""


def sequence(count, size):
    """FRAMES images, BGR, n × h × w × 3, uint8: each head sways in a place of its own, with a camera's noise."""
    width, height = size
    rng = np.random.default_rng(count)
    wall = cv2.GaussianBlur(rng.integers(60, 160, (height, width, 3), np.uint8), (0, 0), 9)
    head = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)[HEAD]
    columns, rows = CROWDS.get(count, (1, 1))
    tall = round(0.8 * min(height / rows, width / columns * 1.2))
    head = cv2.resize(head, (round(tall * head.shape[1] / head.shape[0]), tall))
    frames = np.empty((FRAMES, height, width, 3), np.uint8)
    for number in range(FRAMES):
        image = wall.copy()
        for index in range(count):
            paste(image, head, index, number, (width // columns, height // rows), columns)
        frames[number] = np.clip(image + rng.normal(0, 4, image.shape), 0, 255)
    return frames


def paste(image, head, index, number, place, columns):
    """Put a head into its place, a little to one side."""
    angle = 2 * np.pi * (number / FRAMES + index / 8)
    spare_x, spare_y = place[0] - head.shape[1], place[1] - head.shape[0]
    x = index % columns * place[0] + round(spare_x / 2 * (1 + 0.8 * np.cos(angle)))
    y = index // columns * place[1] + round(spare_y / 2 * (1 + 0.8 * np.sin(angle)))
    image[y : y + head.shape[0], x : x + head.shape[1]] = head


def clip(source, size=(640, 480)):
    """The first frames of what the user named, all in one size."""
    from emotion_ros.io.sources import frames

    images = (cv2.resize(each.image, size) for each in frames(source) if each.image is not None)
    return np.stack([image for image, _ in zip(images, range(60), strict=False)])
