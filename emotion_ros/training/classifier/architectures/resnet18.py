"""ResNet-18 (He et al., "Deep Residual Learning for Image Recognition", 2015) for small faces."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import ResNetConfig, ResNetForImageClassification
from transformers.models.resnet.modeling_resnet import ResNetConvLayer

MIN_POOLED_SIZE_PX = 112
"""Input size from which on the first max-pooling is kept."""

STEM_SIZE_PX, STEM_KERNEL, STEM_STRIDE = 48, 7, 2
"""Input size for which the first convolution of a network without pooling has this kernel and stride. Twice the size
has twice of both, so that the maps behind it, and nearly all of the cost, stay the same."""


class _MatrixConv(nn.Conv2d):
    """A 3 × 3 convolution that is computed as one matrix product in training on a CPU.

    On maps of 3 × 3 pixels oneDNN's convolution takes twice the time of the product. On other devices, in inference and
    in export this is an ordinary convolution with the same weights.
    """

    @classmethod
    def like(cls, other: nn.Conv2d) -> _MatrixConv:
        """Return the same convolution, with shared weights."""
        stride, padding = other.stride[0], other.padding[0]
        convolution = cls(other.in_channels, other.out_channels, 3, stride, padding, bias=False)  # type: ignore[arg-type]
        convolution.weight = other.weight
        return convolution

    def forward(self, pixels: Tensor) -> Tensor:
        if not self.training or pixels.device.type != "cpu":
            return super().forward(pixels)
        stride, channels = self.stride[0], self.in_channels
        padded = F.pad(pixels.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        rows, columns = (-(-side // stride) for side in pixels.shape[2:])
        shifted = [
            padded[:, y : y + stride * rows : stride, x : x + stride * columns : stride]
            for y in range(3)
            for x in range(3)
        ]
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.out_channels, 9 * channels)
        product = torch.cat(shifted, -1).reshape(-1, 9 * channels) @ weight.t()
        return product.view(-1, rows, columns, self.out_channels).permute(0, 3, 1, 2)


class ResNet18(nn.Module):
    """Normalised pixels, n × channels × size × size, to logits, n × labels.

    Below :data:`MIN_POOLED_SIZE_PX` there is no max-pooling after the first convolution: at 48 pixels it would reduce
    the map of the first stage to 12 × 12. From 96 pixels on, that convolution has a kernel of 14 × 14 and a stride
    of 4.
    """

    def __init__(self, labels: int, channels: int, size: int) -> None:
        super().__init__()
        self.network = ResNetForImageClassification(
            ResNetConfig(
                num_channels=channels,
                embedding_size=64,
                hidden_sizes=[64, 128, 256, 512],
                depths=[2, 2, 2, 2],
                layer_type="basic",
                num_labels=labels,
            )
        )
        if size < MIN_POOLED_SIZE_PX:
            scale = max(size // STEM_SIZE_PX, 1)
            kernel, stride = STEM_KERNEL * scale, STEM_STRIDE * scale
            stem = nn.Conv2d(channels, 64, kernel, stride, (kernel - 1) // 2, bias=False)
            self.network.resnet.embedder.embedder.convolution = stem
            self.network.resnet.embedder.pooler = nn.Identity()
        for layer in self.network.resnet.encoder.stages[-1].modules():
            if isinstance(layer, ResNetConvLayer) and layer.convolution.kernel_size == (3, 3):
                layer.convolution = _MatrixConv.like(layer.convolution)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the logits of a batch."""
        logits: Tensor = self.network(pixel_values=pixels).logits
        return logits


def build(labels: int, channels: int, size: int) -> nn.Module:
    """Return an untrained ResNet-18 for a number of labels, input channels (1 grey, 3 colour) and pixels per side."""
    return ResNet18(labels, channels, size)
