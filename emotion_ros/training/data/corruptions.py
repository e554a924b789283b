"""What poor cameras, poor light and distance do to a picture of a face, as strongly as one likes.

The kinds follow Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions", 2019; how
strong the strongest is was chosen on pictures of 48 pixels: a person still tells most faces.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = (1 / 3, 2 / 3, 1.0)
"""Strengths at which models are compared."""

SIDE = 48
"""Pixels of the pictures for which the lengths below hold; on larger ones they grow along."""

REACH = 15
"""Side of the filters in pixels of such a picture, odd."""


def corrupt(pixels: Tensor, kind: str, strength: Tensor) -> Tensor:
    """Pictures (n × channels × size × size, float, 0…255) spoilt in one way, each as strongly as told (n, 0…1).

    Args:
        pixels: stay as they are.
        kind: one of :data:`KINDS`.
        strength: 0 is next to nothing.
    """
    return KINDS[kind](pixels, strength.to(pixels)).clamp(0, 255)


def _out_of_focus(pixels: Tensor, strength: Tensor) -> Tensor:
    """Gaussian, standard deviation 0.3 to 2.5 pixels."""
    x, y = _offsets(pixels)
    spread = (0.3 + 2.2 * strength).view(-1, 1, 1)
    return _filtered(pixels, torch.exp(-(x * x + y * y) / (2 * spread * spread)))


def _in_motion(pixels: Tensor, strength: Tensor) -> Tensor:
    """A line of 1 to 12 pixels in any direction."""
    x, y = _offsets(pixels)
    angle = torch.rand_like(strength).view(-1, 1, 1) * math.pi
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    half = (0.5 + 5.5 * strength).view(-1, 1, 1)
    return _filtered(pixels, (half + 0.5 - along.abs()).clamp(0, 1) * (1 - across.abs()).clamp(0, 1))


def _dark(pixels: Tensor, strength: Tensor) -> Tensor:
    """Light falls to a tenth, and the sensor's noise, 4 of 255, does not."""
    light = (1 - 0.9 * strength).view(-1, 1, 1, 1)
    return (pixels * light + 4 * torch.randn_like(pixels)).round()


def _noisy(pixels: Tensor, strength: Tensor) -> Tensor:
    """Gaussian noise, standard deviation 0 to 45 of 255."""
    return pixels + 45 * strength.view(-1, 1, 1, 1) * torch.randn_like(pixels)


def _far_away(pixels: Tensor, strength: Tensor) -> Tensor:
    """A face of 40 to 10 pixels, enlarged."""
    side = pixels.shape[-1]
    sides = ((40 - 30 * strength) * side / SIDE).round().int()
    small = pixels.clone()
    for each in set(sides.tolist()):
        chosen = sides == each
        few = F.interpolate(pixels[chosen], (each, each), mode="bilinear", antialias=True)
        small[chosen] = F.interpolate(few, (side, side), mode="bilinear").to(small)
    return small


def _tilted(pixels: Tensor, strength: Tensor) -> Tensor:
    """Turned by up to 45 degrees to either side."""
    sign = torch.where(torch.rand_like(strength) < 0.5, -1.0, 1.0)
    angle = sign * strength * math.pi / 4
    cos, sin, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = torch.stack([torch.stack([cos, -sin, none], 1), torch.stack([sin, cos, none], 1)], 1)
    grid = F.affine_grid(rows, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _compressed(pixels: Tensor, strength: Tensor) -> Tensor:
    """Through a JPEG encoder at a quality of 80 to 5."""
    changed = pixels.clone()
    for index, quality in enumerate((80 - 75 * strength).round().int().tolist()):
        image = np.ascontiguousarray(pixels[index].round().byte().cpu().numpy().transpose(1, 2, 0))
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = cv2.imdecode(jpeg, cv2.IMREAD_UNCHANGED).reshape(image.shape)
        changed[index] = torch.from_numpy(decoded.transpose(2, 0, 1).copy()).to(pixels)
    return changed


KINDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "out of focus": _out_of_focus,
    "in motion": _in_motion,
    "dark": _dark,
    "noisy": _noisy,
    "far away": _far_away,
    "compressed": _compressed,
    "tilted": _tilted,
}
"""What can be wrong with a picture."""


def _offsets(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Where each weight of a filter lies, in pixels of a picture of :data:`SIDE`: x (1 × 1 × k), y (1 × k × 1)."""
    scale = pixels.shape[-1] / SIDE
    half = round(REACH // 2 * scale)
    line = torch.arange(-half, half + 1, device=pixels.device, dtype=pixels.dtype) / scale
    return line.view(1, 1, -1), line.view(1, -1, 1)


def _filtered(pixels: Tensor, kernels: Tensor) -> Tensor:
    """Each picture under a filter of its own, n × k × k, which is brought to a sum of 1."""
    count, channels, height, width = pixels.shape
    half = kernels.shape[-1] // 2
    kernels = kernels / kernels.sum((1, 2), keepdim=True)
    weights = kernels.repeat_interleave(channels, 0).unsqueeze(1)
    padded = F.pad(pixels, (half, half, half, half), mode="replicate")
    flat = padded.reshape(1, count * channels, height + 2 * half, width + 2 * half)
    return F.conv2d(flat, weights, groups=count * channels).view(pixels.shape)
