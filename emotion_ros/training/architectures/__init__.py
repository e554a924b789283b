"""Networks that can be trained: name to a function (labels, channels) -> module that maps pixels to logits."""

from emotion_ros.training.architectures import resnet18

ARCHITECTURES = {"resnet18": resnet18.build}
