"""A small network of depth-wise convolutions (Howard et al., "MobileNets", 2017), for microcontrollers."""

from __future__ import annotations

from torch import nn

FIRST = 32
"""Channels of the first convolution."""

BLOCKS = ((48, 1), (96, 2), (96, 1), (192, 2), (192, 1), (256, 2), (256, 1))
"""Channels and stride of each block, chosen for an int8 file below 300,000 bytes."""


def build(labels: int, channels: int, size: int) -> nn.Module:
    """Return an untrained network for a number of labels and input channels (1 grey, 3 colour), for any size."""
    layers = _convolution(channels, FIRST, 3, stride=2)
    previous = FIRST
    for width, stride in BLOCKS:
        layers += _convolution(previous, previous, 3, stride, groups=previous) + _convolution(previous, width, 1)
        previous = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(previous, labels))


def _convolution(inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU6()]
