"""Corruptions of face pictures by poor cameras, poor light, distance and what covers a face, at any strength.

The kinds follow Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions", 2019. The
highest strength of each was chosen by eye on pictures of 48 pixels: a person still recognises most expressions.
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

REFERENCE_SIZE_PX = 48
"""Size of the pictures in which the lengths below are pixels. They grow in proportion to the size of a picture."""

FILTER_SIZE_PX = 15
"""Width and height of the filters for pictures of that size, odd."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey picture (ITU-R BT.601, as in OpenCV)."""

SENSOR_NOISE = 4.0
"""Standard deviation of the noise of a dark picture, grey levels of 255."""

MASK_COLOURS = (150.0, 190.0, 215.0), (235.0, 235.0, 235.0), (35.0, 35.0, 35.0)
"""Red, green and blue of medical masks and of black ones, 0…255."""


def corrupt(pixels: Tensor, kind: str, strength: Tensor) -> Tensor:
    """Return corrupted copies of pictures.

    Args:
        pixels: n × channels × size × size, float, 0…255; not changed.
        kind: one of :data:`KINDS`.
        strength: n, 0…1, one per picture. 0 changes a picture least, not always not at all.

    Returns:
        Shape, type and range of ``pixels``.
    """
    return KINDS[kind](pixels, strength.to(pixels)).clamp(0, 255)


def _out_of_focus(pixels: Tensor, strength: Tensor) -> Tensor:
    """Apply a Gaussian filter with a standard deviation of 0.3 to 2.5 pixels."""
    x, y = _offsets(pixels)
    spread = (0.3 + 2.2 * strength).view(-1, 1, 1)
    return _filtered(pixels, torch.exp(-(x * x + y * y) / (2 * spread * spread)))


def _in_motion(pixels: Tensor, strength: Tensor) -> Tensor:
    """Average over a line of 1 to 12 pixels in a random direction."""
    x, y = _offsets(pixels)
    angle = torch.rand_like(strength).view(-1, 1, 1) * math.pi
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    half = (0.5 + 5.5 * strength).view(-1, 1, 1)
    return _filtered(pixels, (half + 0.5 - along.abs()).clamp(0, 1) * (1 - across.abs()).clamp(0, 1))


def _dark(pixels: Tensor, strength: Tensor) -> Tensor:
    """Multiply by 1 to 0.1, then add the noise of a sensor, which does not fall with the light."""
    light = (1 - 0.9 * strength).view(-1, 1, 1, 1)
    return (pixels * light + SENSOR_NOISE * torch.randn_like(pixels)).round()


def _noisy(pixels: Tensor, strength: Tensor) -> Tensor:
    """Add Gaussian noise with a standard deviation of 0 to 45 grey levels of 255."""
    return pixels + 45 * strength.view(-1, 1, 1, 1) * torch.randn_like(pixels)


def _far_away(pixels: Tensor, strength: Tensor) -> Tensor:
    """Shrink to 40 to 10 pixels and enlarge again."""
    size = pixels.shape[-1]
    small_sizes = ((40 - 30 * strength) * size / REFERENCE_SIZE_PX).round().int()
    result = pixels.clone()
    for small_size in set(small_sizes.tolist()):
        chosen = small_sizes == small_size
        small = F.interpolate(pixels[chosen], (small_size, small_size), mode="bilinear", antialias=True)
        result[chosen] = F.interpolate(small, (size, size), mode="bilinear").to(result)
    return result


def _tilted(pixels: Tensor, strength: Tensor) -> Tensor:
    """Rotate by 0 to 45 degrees to a random side."""
    sign = torch.where(torch.rand_like(strength) < 0.5, -1.0, 1.0)
    angle = sign * strength * math.pi / 4
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rotation = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = F.affine_grid(rotation, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _compressed(pixels: Tensor, strength: Tensor) -> Tensor:
    """Encode and decode as JPEG with a quality of 80 to 5."""
    result = pixels.clone()
    for index, quality in enumerate((80 - 75 * strength).round().int().tolist()):
        image = np.ascontiguousarray(pixels[index].round().byte().cpu().numpy().transpose(1, 2, 0))
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = cv2.imdecode(jpeg, cv2.IMREAD_UNCHANGED).reshape(image.shape)
        result[index] = torch.from_numpy(decoded.transpose(2, 0, 1).copy()).to(pixels)
    return result


def _less_colour(pixels: Tensor, strength: Tensor) -> Tensor:
    """Blend with the grey picture; at strength 1 no colour is left, as with a monochrome camera; grey is kept."""
    if pixels.shape[1] != len(LUMINANCE):
        return pixels
    return pixels.lerp(luminance(pixels), strength.view(-1, 1, 1, 1))


def _masked(pixels: Tensor, strength: Tensor) -> Tensor:
    """Cover the face by a mask with folds, from the chin up to the lips, the tip or the bridge of the nose."""
    x, y = positions(pixels)
    top = (0.95 - 0.49 * strength).view(-1, 1, 1) + 0.6 * (x - 0.5) ** 2  # highest on the nose
    cover = _inside(pixels, y - top) * _inside(pixels, 0.46 - (x - 0.5).abs())
    colours = torch.tensor(MASK_COLOURS, device=pixels.device, dtype=pixels.dtype).view(-1, 3, 1, 1)
    if pixels.shape[1] == 1:
        colours = luminance(colours)
    colour = colours[torch.randint(len(MASK_COLOURS), (len(pixels),), device=pixels.device)]
    folds = 1 - 0.12 * (y * 12 * math.pi).cos() ** 8
    return _covered(pixels, cover, colour * folds.unsqueeze(1))


def _behind_a_hand(pixels: Tensor, strength: Tensor) -> Tensor:
    """Cover the mouth and a cheek by four fingers of the colour of the face, which grow with the strength."""
    x, y = positions(pixels)
    middle_x, angle = 0.5 + 0.4 * (torch.rand(2, len(pixels), 1, 1, device=pixels.device, dtype=pixels.dtype) - 0.5)
    angle = (angle - 0.5) * 2.5  # up to 0.5 to either side
    along = (x - middle_x) * angle.cos() + (y - 0.75) * angle.sin()
    across = (y - 0.75) * angle.cos() - (x - middle_x) * angle.sin()
    length, width = (0.1 + 0.35 * strength).view(-1, 1, 1), (0.04 + 0.2 * strength).view(-1, 1, 1)
    radius = ((along / length) ** 4 + (across / width) ** 4) ** 0.25  # a rectangle with round corners
    cover = _inside(pixels, (1 - radius) * width)
    size = pixels.shape[-1]
    cheeks = pixels[:, :, int(0.4 * size) : int(0.65 * size), int(0.3 * size) : int(0.7 * size)]
    gaps = 1 - 0.45 * (across / width * 2 * math.pi).cos() ** 12  # between the fingers
    return _covered(pixels, cover, cheeks.mean((2, 3), keepdim=True) * gaps.unsqueeze(1))


KINDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "out of focus": _out_of_focus,
    "in motion": _in_motion,
    "dark": _dark,
    "noisy": _noisy,
    "far away": _far_away,
    "compressed": _compressed,
    "tilted": _tilted,
    "less colour": _less_colour,
    "masked": _masked,
    "behind a hand": _behind_a_hand,
}
"""Name of each corruption to its function of pixels and strengths."""


def luminance(pixels: Tensor) -> Tensor:
    """Return the grey values of RGB pictures, n × 1 × height × width, for n × 3 × height × width."""
    weights = torch.tensor(LUMINANCE, device=pixels.device, dtype=pixels.dtype).view(1, -1, 1, 1)
    return (pixels * weights).sum(1, keepdim=True)


def positions(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return x (1 × 1 × size) and y (1 × size × 1) of the pixels, 0…1 from the left and from the top."""
    line = (torch.arange(pixels.shape[-1], device=pixels.device, dtype=pixels.dtype) + 0.5) / pixels.shape[-1]
    return line.view(1, 1, -1), line.view(1, -1, 1)


def _inside(pixels: Tensor, depth: Tensor) -> Tensor:
    """Return 1 inside a shape and 0 outside, with an edge of a pixel, for the depth in it in sides of the picture."""
    return (depth * pixels.shape[-1] + 0.5).clamp(0, 1)


def _covered(pixels: Tensor, cover: Tensor, colour: Tensor) -> Tensor:
    """Return pictures with a colour, n × channels × height × width, where ``cover``, n × height × width, is 1."""
    return torch.lerp(pixels, colour, cover.unsqueeze(1).to(pixels))


def _offsets(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return x (1 × 1 × k) and y (1 × k × 1) of each weight of a filter from its middle, in reference pixels."""
    scale = pixels.shape[-1] / REFERENCE_SIZE_PX
    half = round(FILTER_SIZE_PX // 2 * scale)
    line = torch.arange(-half, half + 1, device=pixels.device, dtype=pixels.dtype) / scale
    return line.view(1, 1, -1), line.view(1, -1, 1)


def _filtered(pixels: Tensor, kernels: Tensor) -> Tensor:
    """Return each picture filtered with its own kernel, n × k × k, which is scaled to a sum of 1."""
    count, channels, height, width = pixels.shape
    half = kernels.shape[-1] // 2
    kernels = kernels / kernels.sum((1, 2), keepdim=True)
    weights = kernels.repeat_interleave(channels, 0).unsqueeze(1)
    padded = F.pad(pixels, (half, half, half, half), mode="replicate")
    flat = padded.reshape(1, count * channels, height + 2 * half, width + 2 * half)
    return F.conv2d(flat, weights, groups=count * channels).view(pixels.shape)
