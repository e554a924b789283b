"""Random changes to training pictures, a whole batch at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from emotion_ros.config import TrainConfig
from emotion_ros.training.data.corruptions import KINDS, corrupt


def augment(pixels: Tensor, config: TrainConfig) -> Tensor:
    """A randomly changed copy of a batch (n × channels × size × size, float, 0…255), same shape and range."""
    changed = _relight(_move(pixels, config), config.light)
    return _degrade(_erase(changed, config.erase), config.degrade)


def mix(pixels: Tensor, parts: Sequence[Tensor], alpha: float) -> tuple[Tensor, list[Tensor]]:
    """Each picture with another of its batch laid over it more or less, and their targets in the same shares.

    A picture's own share, one for the whole batch, is the larger of two that come from Beta(alpha, alpha) (Zhang et
    al., "mixup: Beyond Empirical Risk Minimization", 2017); alpha of 0 changes nothing.
    """
    if alpha == 0:
        return pixels, list(parts)
    drawn = torch.distributions.Beta(alpha, alpha).sample().item()
    share = max(drawn, 1 - drawn)
    order = torch.randperm(len(pixels), device=pixels.device)
    return torch.lerp(pixels[order], pixels, share), [torch.lerp(part[order], part, share) for part in parts]


def _uniform(count: int, limit: float, like: Tensor) -> Tensor:
    return (torch.rand(count, device=like.device) * 2 - 1) * limit


def _move(pixels: Tensor, config: TrainConfig) -> Tensor:
    """Rotation, zoom, shift and mirroring in one resampling."""
    count = len(pixels)
    angle = _uniform(count, math.radians(config.rotate), pixels)
    scale = 1 / (1 + _uniform(count, config.zoom, pixels))
    mirror = torch.where(torch.rand(count, device=pixels.device) < 0.5, -1.0, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = [
        torch.stack([cos * mirror, -sin, 2 * _uniform(count, config.shift, pixels)], 1),
        torch.stack([sin * mirror, cos, 2 * _uniform(count, config.shift, pixels)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _relight(pixels: Tensor, limit: float) -> Tensor:
    count = len(pixels)
    contrast = 1 + _uniform(count, limit, pixels).view(-1, 1, 1, 1)
    brightness = 128 * _uniform(count, limit, pixels).view(-1, 1, 1, 1)
    mean = pixels.mean((1, 2, 3), keepdim=True)
    return ((pixels - mean) * contrast + mean + brightness).clamp(0, 255)


def _degrade(pixels: Tensor, probability: float) -> Tensor:
    """Some pictures are spoilt in one of the ways of :mod:`~emotion_ros.training.data.corruptions`, more or less."""
    if probability == 0:
        return pixels
    kinds = [kind for kind in KINDS if kind != "tilted"]  # which the rotation does
    strength = torch.rand(len(pixels), device=pixels.device)
    chosen = torch.randint(len(kinds), (len(pixels),), device=pixels.device)
    spared = torch.rand(len(pixels), device=pixels.device) >= probability
    changed = pixels.clone()
    for index, kind in enumerate(kinds):
        rows = (chosen == index) & ~spared
        if rows.any():
            changed[rows] = corrupt(pixels[rows], kind, strength[rows])
    return changed


def _erase(pixels: Tensor, probability: float) -> Tensor:
    """A rectangle of 2 to 20 % of some pictures becomes noise (Zhong et al., "Random Erasing", 2017)."""
    count, _, height, width = pixels.shape
    area = torch.empty(count, 1, 1, device=pixels.device).uniform_(0.02, 0.2)
    ratio = torch.empty(count, 1, 1, device=pixels.device).uniform_(math.log(0.4), math.log(2.5)).exp()
    half_h, half_w = (area * ratio).sqrt() / 2, (area / ratio).sqrt() / 2
    y = (torch.arange(height, device=pixels.device).view(1, -1, 1) + 0.5) / height
    x = (torch.arange(width, device=pixels.device).view(1, 1, -1) + 0.5) / width
    centre_y, centre_x = torch.rand_like(area), torch.rand_like(area)
    inside = ((y - centre_y).abs() < half_h) & ((x - centre_x).abs() < half_w)
    chosen = torch.rand_like(area) < probability
    return torch.where((inside & chosen).unsqueeze(1), torch.rand_like(pixels) * 255, pixels)
