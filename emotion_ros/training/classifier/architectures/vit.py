"""Vision transformers (Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020)."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification


class _VisionTransformer(nn.Module):
    """A ViT with unfused attention: torch's fused attention takes twice the time on a CPU in bf16."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.network = ViTForImageClassification._from_config(config, attn_implementation="eager")

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(pixel_values=pixels).logits
        return logits


def build(labels: int, channels: int, size: int) -> nn.Module:
    """Return an untrained small ViT: 1.2 million parameters, 6 layers of width 128, patches of 8 × 8 pixels.

    Two convolutions precede the transformer; without them it learns nothing from some ten thousand pictures (Xiao et
    al., "Early Convolutions Help Transformers See Better", 2021).
    """
    stem = [
        *(nn.Conv2d(channels, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
    ]
    shape = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 6, "num_attention_heads": 4}
    config = ViTConfig(image_size=-(-size // 4), patch_size=2, num_channels=64, num_labels=labels, **shape)
    return nn.Sequential(*stem, _VisionTransformer(config))


def build_b16(labels: int, channels: int, size: int) -> nn.Module:
    """Return an untrained ViT-B/16, 86 million parameters."""
    return _VisionTransformer(ViTConfig(image_size=size, patch_size=16, num_channels=channels, num_labels=labels))
