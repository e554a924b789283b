"""A small network of depth-wise convolutions (Howard et al., "MobileNets", 2017), for microcontrollers."""

from __future__ import annotations

from torch import nn

BLOCKS = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (192, 2), (192, 1))
"""Channels and stride of each block."""


def build(labels: int, channels: int, size: int) -> nn.Module:
    """An untrained network for that many labels and input channels (1 grey, 3 colour), any size."""
    layers = _convolution(channels, 24, 3, stride=2)
    previous = 24
    for width, stride in BLOCKS:
        layers += _convolution(previous, previous, 3, stride, groups=previous) + _convolution(previous, width, 1)
        previous = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(previous, labels))


def _convolution(inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU6()]
