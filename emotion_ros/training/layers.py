"""Layers of the landmark networks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution of side × side with batch normalisation and ReLU."""
    return nn.Sequential(linear(inputs, outputs, side, stride), nn.ReLU(inplace=True))


def linear(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution of side × side with batch normalisation."""
    convolution = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two convolutions, added to their input, which is first averaged if the block has a stride.

    The block of He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", 2019.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(convolution(inputs, outputs, 3, stride), linear(outputs, outputs, 3))
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.AvgPool2d(stride), linear(inputs, outputs, 1))

    def forward(self, values: Tensor) -> Tensor:
        """Return n × outputs × h × w for n × inputs × h · stride × w · stride."""
        return F.relu(self.layers(values) + self.shortcut(values))
