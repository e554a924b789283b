"""The eye network: heights of the lids and position of the iris in a crop of an eye."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from emotion_ros.perception.eye_crop import CROP_SIZE_PX
from emotion_ros.training.eyes.eye_labels import VALUES
from emotion_ros.training.layers import Residual, convolution

STEM_CHANNELS = 12
STAGES = (16, 32)
"""Channels of the stages after the first convolution; each halves width and height, and has a residual block."""

SQUEEZED_CHANNELS, HIDDEN = 16, 24
"""Channels of the deepest features that the last layers read at each of their positions, and values between these."""

DROPOUT = 0.1
"""Share of the deepest features that are left out in training."""

MIN_CONTRAST = 4.0
"""Grey levels that are added to the standard deviation by which a crop is divided, so that noise stays small."""


class EyeNetwork(nn.Module):
    """Residual blocks down to a stride of 4, and two linear layers that read where the features are."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(1, STEM_CHANNELS, 3)]
        inputs = STEM_CHANNELS
        for channels in STAGES:
            layers += [convolution(inputs, channels, 3, 2), Residual(channels, channels, 1)]
            inputs = channels
        self.features = nn.Sequential(*layers, convolution(inputs, SQUEEZED_CHANNELS, 1))
        cells = (CROP_SIZE_PX // 2 ** len(STAGES)) ** 2
        self.dropout = nn.Dropout(DROPOUT)
        self.hidden = nn.Linear(SQUEEZED_CHANNELS * cells, HIDDEN)
        self.values = nn.Linear(HIDDEN, len(VALUES))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return :data:`~emotion_ros.training.eyes.eye_labels.VALUES`, n × 4, float32.

        Args:
            pixels: n × 1 × 32 × 32, float32, grey, 0…255. Brightness and contrast of a crop do not matter.
        """
        centred = pixels - pixels.mean((2, 3), keepdim=True)
        contrast = centred.square().mean((2, 3), keepdim=True).sqrt() + MIN_CONTRAST
        features = self.dropout(self.features(centred / contrast).flatten(1))
        return self.values(F.relu(self.hidden(features)))  # type: ignore[no-any-return]
