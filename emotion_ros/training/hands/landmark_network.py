"""The hand landmark network: 21 points, presence and side of the hand in a crop."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emotion_ros.perception.detection.hand_crop import CROP_SIZE_PX
from emotion_ros.training.layers import Residual, convolution, linear

LANDMARKS = 21

VALUES = 2 * LANDMARKS + 2
"""Values per crop: x and y of the landmarks in pixels of the crop, the logits of presence and of a right hand."""

HEATMAP_STRIDE = 4
"""Pixels of the crop between neighbouring values of a heatmap."""

STAGES = ((16, 1, 1), (48, 2, 2), (128, 3, 2))
"""Channels, blocks and stride of the stages after the first convolutions."""


class LandmarkNetwork(nn.Module):
    """Residual blocks down to a stride of 16, a feature pyramid up to 4, and a heatmap per landmark.

    A landmark is the mean position of its heatmap's softmax (Nibali et al., "Numerical Coordinate Regression with
    Convolutional Neural Networks", 2018). Presence and side come from the mean of the deepest features and the
    landmarks.

    Args:
        width: channels of the pyramid.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        inputs = STAGES[0][0]
        self.stem = nn.Sequential(convolution(3, 16, 3, 2), convolution(16, inputs, 3, 2))
        stages = []
        for channels, blocks, stride in STAGES:
            further = [Residual(channels, channels, 1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(Residual(inputs, channels, stride), *further))
            inputs = channels
        self.stages = nn.ModuleList(stages)
        self.laterals = nn.ModuleList(linear(channels, width, 1) for channels, _, _ in STAGES)
        self.merges = nn.ModuleList(convolution(width, width, 3) for _ in STAGES[1:])
        self.heatmaps = nn.Conv2d(width, LANDMARKS, 1)
        self.wide = convolution(inputs, 2 * inputs, 1)
        self.classifier = nn.Sequential(
            nn.Linear(2 * inputs + 2 * LANDMARKS, inputs), nn.ReLU(inplace=True), nn.Linear(inputs, 2)
        )
        self.positions: Tensor
        self.register_buffer("positions", self.positions_of(CROP_SIZE_PX // HEATMAP_STRIDE), persistent=False)

    @staticmethod
    def positions_of(side: int) -> Tensor:
        """Return the coordinates of a heatmap's columns, or rows, as shares of the crop's side."""
        return (torch.arange(side) + 0.5) / side

    def forward(self, pixels: Tensor) -> Tensor:
        """Return n × 44, float32, see :data:`VALUES`, for n × 3 × 128 × 128, float32, BGR of 0…255."""
        return self.with_heatmaps(pixels)[0]

    def with_heatmaps(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values, n × 44, and the heatmaps' logits, n × 21 × 32 × 32."""
        features = [self.stem(pixels / 127.5 - 1)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        merged = self.laterals[-1](features[-1])
        for level in range(len(self.merges) - 1, -1, -1):
            above = F.interpolate(merged, scale_factor=2.0)
            merged = self.merges[level](above + self.laterals[level](features[level + 1]))
        maps = self.heatmaps(merged).float()  # in bf16 a landmark would be off by up to half a pixel
        heat = maps.flatten(2).softmax(-1).reshape(maps.shape)
        points = torch.stack([(heat.sum(2) * self.positions).sum(-1), (heat.sum(3) * self.positions).sum(-1)], -1)
        deep = self.wide(features[-1]).mean((2, 3))
        logits = self.classifier(torch.cat([deep, points.detach().flatten(1) - 0.5], 1))
        return torch.cat([points.flatten(1) * CROP_SIZE_PX, logits], 1), maps
