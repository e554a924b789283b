"""Eight convolutions and three dense layers, for small grey faces."""

from __future__ import annotations

from torch import nn

WIDTHS = (32, 64, 192, 448)
"""Channels of the four pairs of convolutions; a max-pooling after each pair halves the map. The large maps
have few channels because they cost most time."""

DENSE = 1024
"""Width of the first dense layer, which has most of the weights (30 MB in all at 48 × 48)."""


def build(labels: int, channels: int, size: int) -> nn.Module:
    """Return an untrained network for a number of labels, input channels (1 grey, 3 colour) and pixels per side."""
    layers: list[nn.Module] = []
    previous = channels
    for width in WIDTHS:
        for _ in range(2):
            layers += [nn.Conv2d(previous, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            previous = width
        layers += [nn.MaxPool2d(2)]
    side = size // 2 ** len(WIDTHS)
    layers += [nn.Flatten(), nn.Dropout(0.4), nn.Linear(previous * side * side, DENSE), nn.ReLU()]
    layers += [nn.Dropout(0.4), nn.Linear(DENSE, 256), nn.ReLU(), nn.Linear(256, labels)]
    return nn.Sequential(*layers)
