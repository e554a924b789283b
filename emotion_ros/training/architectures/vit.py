"""Vision transformers (Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020)."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification


class _VisionTransformer(nn.Module):
    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.network = ViTForImageClassification(config)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(pixel_values=pixels).logits
        return logits


def build(labels: int, channels: int, size: int) -> nn.Module:
    """A small one, 2.7 million parameters: patches a sixth of the side wide, 6 layers of width 192."""
    shape = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 6, "num_attention_heads": 3}
    return _VisionTransformer(
        ViTConfig(image_size=size, patch_size=size // 6, num_channels=channels, num_labels=labels, **shape)
    )


def build_b16(labels: int, channels: int, size: int) -> nn.Module:
    """ViT-B/16, 86 million parameters."""
    return _VisionTransformer(ViTConfig(image_size=size, patch_size=16, num_channels=channels, num_labels=labels))
