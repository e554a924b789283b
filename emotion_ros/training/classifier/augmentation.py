"""Random augmentation of training pictures, one batch at a time."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from emotion_ros.config import TrainConfig
from emotion_ros.training.data.corruptions import KINDS, LUMINANCE, corrupt, luminance, positions

MAX_ROTATION_DEG = 12.0
MAX_ZOOM, MAX_SHIFT = 0.15, 0.08
"""Largest change of scale, and largest shift, as shares of the side."""

MAX_LIGHT_CHANGE = 0.25
"""Largest change of brightness and contrast, as a share. These four hold at strength 1 of
:attr:`emotion_ros.config.TrainConfig.augment`; the runs of the shipped model used 1 to 1.7 times as much."""

GREY_SHARE, MAX_COLOUR_CHANGE = 0.3, 0.15
"""Share of the colour pictures that become grey, as from a camera without colour, and largest change of each colour's
brightness, as a share. A smaller share leaves a network that calls grey faces neutral too often, if its grey training
pictures have other class frequencies than those in colour, see models/emotion_resnet18.md."""

ERASED_AREA, ERASED_ASPECT_RATIO = (0.02, 0.2), (0.4, 2.5)
"""Area (as a share of the picture) and height over width of an erased rectangle."""


def augment(pixels: Tensor, config: TrainConfig) -> Tensor:
    """Return a randomly changed copy of a batch.

    Args:
        pixels: n × channels × size × size, float, 0…255.
        config: strength and probabilities.

    Returns:
        Pixels of the same shape and range.
    """
    changed = _transform(pixels, config.augment)
    if changed.shape[1] == len(LUMINANCE):
        changed = _change_colour(changed)
    changed = _change_light(changed, MAX_LIGHT_CHANGE * config.augment)
    return _degrade(_erase(changed, config.erase), config.degrade)


def _uniform(count: int, limit: float, like: Tensor) -> Tensor:
    return (torch.rand(count, device=like.device) * 2 - 1) * limit


def _transform(pixels: Tensor, strength: float) -> Tensor:
    """Rotate, zoom, shift and mirror in one resampling."""
    count = len(pixels)
    angle = _uniform(count, strength * math.radians(MAX_ROTATION_DEG), pixels)
    scale = 1 / (1 + _uniform(count, strength * MAX_ZOOM, pixels))
    mirror = torch.where(torch.rand(count, device=pixels.device) < 0.5, -1.0, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    shift = 2 * strength * MAX_SHIFT  # in affine_grid's coordinates, where a side is 2 long
    rows = [
        torch.stack([cos * mirror, -sin, _uniform(count, shift, pixels)], 1),
        torch.stack([sin * mirror, cos, _uniform(count, shift, pixels)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _change_light(pixels: Tensor, limit: float) -> Tensor:
    count = len(pixels)
    contrast = 1 + _uniform(count, limit, pixels).view(-1, 1, 1, 1)
    brightness = 128 * _uniform(count, limit, pixels).view(-1, 1, 1, 1)
    mean = pixels.mean((1, 2, 3), keepdim=True)
    return ((pixels - mean) * contrast + mean + brightness).clamp(0, 255)


def _change_colour(pixels: Tensor) -> Tensor:
    """Change the brightness of each colour, and make some pictures grey."""
    count = len(pixels)
    cast = 1 + _uniform(count * len(LUMINANCE), MAX_COLOUR_CHANGE, pixels).view(count, -1, 1, 1)
    is_grey = torch.rand(count, 1, 1, 1, device=pixels.device) < GREY_SHARE
    return torch.where(is_grey, luminance(pixels), pixels * cast)


def _degrade(pixels: Tensor, probability: float) -> Tensor:
    """Corrupt some pictures by a random kind of :mod:`emotion_ros.training.data.corruptions` and a random strength."""
    if probability == 0:
        return pixels
    kinds = [kind for kind in KINDS if kind != "tilted"]  # the rotation of _transform covers it
    strength = torch.rand(len(pixels), device=pixels.device)
    chosen = torch.randint(len(kinds), (len(pixels),), device=pixels.device)
    degraded = torch.rand(len(pixels), device=pixels.device) < probability
    changed = pixels.clone()
    for index, kind in enumerate(kinds):
        rows = (chosen == index) & degraded
        if rows.any():
            changed[rows] = corrupt(pixels[rows], kind, strength[rows])
    return changed


def _erase(pixels: Tensor, probability: float) -> Tensor:
    """Replace a rectangle of some pictures by noise (Zhong et al., "Random Erasing", 2017)."""
    count = len(pixels)
    area = torch.empty(count, 1, 1, device=pixels.device).uniform_(*ERASED_AREA)
    ratio = torch.empty(count, 1, 1, device=pixels.device).uniform_(*map(math.log, ERASED_ASPECT_RATIO)).exp()
    half_height, half_width = (area * ratio).sqrt() / 2, (area / ratio).sqrt() / 2
    x, y = positions(pixels)
    center_y, center_x = torch.rand_like(area), torch.rand_like(area)
    inside = ((y - center_y).abs() < half_height) & ((x - center_x).abs() < half_width)
    erased = torch.rand_like(area) < probability
    return torch.where((inside & erased).unsqueeze(1), torch.rand_like(pixels) * 255, pixels)
