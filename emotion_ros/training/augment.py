"""Random changes to training pictures, a whole batch at a time."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from emotion_ros.config import TrainConfig


def augment(pixels: Tensor, config: TrainConfig) -> Tensor:
    """A randomly changed copy of a batch (n × channels × size × size, float, 0…255), same shape and range."""
    changed = _relight(_move(pixels, config), config.light)
    return _erase(_compress(_blur(changed, config.blur), config.compress), config.erase)


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


def _blur(pixels: Tensor, probability: float) -> Tensor:
    """Some pictures are averaged over 3 × 3 pixels, as a face in motion or out of focus is."""
    if probability == 0:
        return pixels
    chosen = torch.rand(len(pixels), 1, 1, 1, device=pixels.device) < probability
    return torch.where(chosen, F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, 1), pixels)


def _compress(pixels: Tensor, probability: float) -> Tensor:
    """Some pictures go through a real JPEG encoder at a quality of 20 to 80."""
    if probability == 0:
        return pixels
    changed = pixels.clone()
    for index in (torch.rand(len(pixels)) < probability).nonzero().flatten().tolist():
        quality = int(torch.randint(20, 81, ()))
        image = pixels[index].round().byte().cpu().numpy().transpose(1, 2, 0)
        jpeg = cv2.imencode(".jpg", np.ascontiguousarray(image), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = cv2.imdecode(jpeg, cv2.IMREAD_UNCHANGED).reshape(image.shape)
        changed[index] = torch.from_numpy(decoded.transpose(2, 0, 1).copy()).to(pixels)
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
