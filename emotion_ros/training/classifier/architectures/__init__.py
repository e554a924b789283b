"""Networks: name to a function (labels, channels, size) -> module that maps normalised pixels to logits."""

from emotion_ros.training.classifier.architectures import cnn8, resnet18, tiny, vit

ARCHITECTURES = {
    "resnet18": resnet18.build,
    "cnn8": cnn8.build,
    "tiny": tiny.build,
    "vit": vit.build,
    "vit_b16": vit.build_b16,
}
