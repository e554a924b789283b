"""The face landmark network: 70 points of a face and the rotation of the head in a crop."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emotion_ros.perception.face_crop import CROP_SIZE_PX
from emotion_ros.training.faces.face_crops import ROTATION, VALUES
from emotion_ros.training.layers import Residual, convolution

STEM_CHANNELS = 16
STAGES = ((32, 1), (48, 1), (72, 1))
"""Channels and residual blocks of the stages after the first convolution; each halves width and height."""

SQUEEZED_CHANNELS, HIDDEN = 24, 64
"""Channels of the deepest features that the last layers read at each of their positions, and values between these."""


class FaceNetwork(nn.Module):
    """Residual blocks down to a stride of 16, and two linear layers that read where the features are."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(1, STEM_CHANNELS, 3, 2)]
        inputs = STEM_CHANNELS
        for channels, blocks in STAGES:
            layers.append(convolution(inputs, channels, 3, 2))
            layers += [Residual(channels, channels, 1) for _ in range(blocks)]
            inputs = channels
        self.features = nn.Sequential(*layers, convolution(inputs, SQUEEZED_CHANNELS, 1))
        cells = (CROP_SIZE_PX // 2 ** (1 + len(STAGES))) ** 2
        self.hidden = nn.Linear(SQUEEZED_CHANNELS * cells, HIDDEN)
        self.values = nn.Linear(HIDDEN, VALUES)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return n × 146, float32, see :func:`emotion_ros.training.faces.face_crops.training_crop`.

        Args:
            pixels: n × 1 × 64 × 64, float32, grey, 0…255.
        """
        features = self.features(pixels / 127.5 - 1).flatten(1)
        values = self.values(F.relu(self.hidden(features)))
        points = (values[:, :ROTATION] + 0.5) * CROP_SIZE_PX
        return torch.cat([points, values[:, ROTATION:]], 1)
