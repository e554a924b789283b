"""The recorder node: prints a line per person, and writes annotated.mp4 and emotions.jsonl."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Image as ImageMessage

from emotion_ros.config import RecorderConfig
from emotion_ros.errors import OutputError
from emotion_ros.msg import EmotionArray
from emotion_ros.nodes.images import to_bgr
from emotion_ros.nodes.main import spin_node
from emotion_ros.nodes.parameters import declare
from emotion_ros.nodes.qos import PUBLISH


class Recorder(Node):
    """Writes what the topics ``emotions`` and ``annotated`` bring, until it is interrupted."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.config = declare(self, RecorderConfig)
        self._folder = Path(self.config.out)
        self._lines = self._open_lines()
        self._video: cv2.VideoWriter | None = None
        self.images = self.pictures = self.faces = 0
        self.labels: dict[str, int] = {}
        self.create_subscription(EmotionArray, "emotions", self._on_emotions, PUBLISH)
        self.create_subscription(ImageMessage, "annotated", self._on_annotated, PUBLISH)

    def start(self) -> None:
        """Nothing to bring up."""

    def stop(self) -> None:
        """Finish the files and print the summary."""
        self._lines.close()
        if self._video is not None:
            self._video.release()
        likeliest = sorted(self.labels.items(), key=lambda pair: -pair[1])
        print(
            f"{self.images} images, {self.faces} faces"
            + (": " + ", ".join(f"{count} {label}" for label, count in likeliest) if likeliest else ""),
            flush=True,
        )
        print(f"written: {self._folder / 'emotions.jsonl'}", end="")
        print(f", {self._folder / 'annotated.mp4'} ({self.pictures} frames)" if self._video else "", flush=True)

    def _open_lines(self) -> TextIO:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return (self._folder / "emotions.jsonl").open("w")
        except OSError as error:
            raise OutputError(f"{self._folder}: expected a folder that can be written to: {error.strerror}") from error

    def _on_emotions(self, message: EmotionArray) -> None:
        self.images += 1
        people = [_person(each, message.labels) for each in message.emotions]
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        line = {"time": round(stamp, 6), "width": message.width, "height": message.height, "people": people}
        try:
            self._lines.write(json.dumps(line) + "\n")
        except OSError as error:
            self.get_logger().error(f"{self._lines.name}: cannot be written: {error}", throttle_duration_sec=5.0)
        for person in people:
            self.faces += 1
            self.labels[person["label"]] = self.labels.get(person["label"], 0) + 1
            _print(self.images, person)

    def _on_annotated(self, message: ImageMessage) -> None:
        image = to_bgr(message)
        if self._video is None:
            size = (message.width, message.height)
            path = str(self._folder / "annotated.mp4")
            self._video = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"mp4v"), self.config.rate, size)
        self._video.write(image)
        self.pictures += 1


def _person(message: Any, labels: list[str]) -> dict[str, Any]:
    face = message.face
    probabilities = np.round(np.asarray(message.probabilities, float), 4).tolist()
    return {
        "id": message.id,
        "label": message.label,
        "confidence": round(message.confidence, 4),
        "probabilities": dict(zip(labels, probabilities, strict=True)),
        "face": [face.x_offset, face.y_offset, face.width, face.height],
        "hands": [{"side": hand.side, "gesture": hand.gesture} for hand in message.hands],
    }


def _print(image: int, person: dict[str, Any]) -> None:
    hands = ", ".join(f"{hand['side']} hand" for hand in person["hands"])
    x, y, width, height = person["face"]
    who = f"image {image:4}  {person['id']:10} {person['label']:9} {person['confidence']:.2f}"
    text = f"{who}  face {width}×{height} at {x},{y}"
    print(text + (f"  {hands}" if hands else ""), file=sys.stdout, flush=True)


def main() -> int:
    """Run the node until it is interrupted."""
    return spin_node(Recorder)
