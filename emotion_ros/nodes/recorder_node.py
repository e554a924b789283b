"""The recorder node: prints a line per person, and writes annotated.mp4 and emotions.jsonl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

from rclpy.node import Node
from sensor_msgs.msg import Image as ImageMessage

from emotion_ros.config import RecorderConfig
from emotion_ros.errors import OutputError
from emotion_ros.io.emotion_messages import seconds, to_perception
from emotion_ros.io.records import perception_record
from emotion_ros.io.video import VideoFile
from emotion_ros.msg import EmotionArray
from emotion_ros.nodes.image_conversion import to_bgr
from emotion_ros.nodes.parameters import declare
from emotion_ros.nodes.qos import PUBLISH
from emotion_ros.nodes.spin import spin_node


class Recorder(Node):
    """Writes what the topics ``emotions`` and ``annotated`` bring, until it is interrupted."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.config = declare(self, RecorderConfig)
        folder = Path(self.config.out)
        self._lines = _open_lines(folder)
        self._video = VideoFile(folder / "annotated.mp4")
        self._failed = False
        self.images = self.faces = 0
        self.labels: dict[str, int] = {}
        self.create_subscription(EmotionArray, "emotions", self._on_emotions, PUBLISH)
        self.create_subscription(ImageMessage, "annotated", self._on_annotated, PUBLISH)

    def start(self) -> None:
        """Nothing to bring up."""

    def stop(self) -> None:
        """Finish the files and print the summary.

        Raises:
            OutputError: a file could not be written whole.
        """
        self._video.close()
        counts = sorted(self.labels.items(), key=lambda pair: -pair[1])
        seen = ", ".join(f"{count} {label}" for label, count in counts)
        print(f"{self.images} images, {self.faces} faces" + (f": {seen}" if seen else ""))
        print(f"written: {self._lines.name}, {self._video.path} ({self._video.frames} frames)", flush=True)
        if self._failed or not self._video.written:
            raise OutputError(f"{self.config.out}: not everything could be written; is the disk full?")

    def _on_emotions(self, message: EmotionArray) -> None:
        self.images += 1
        record = perception_record(to_perception(message))
        self._write(json.dumps({"time": round(seconds(message.header), 6), **record}) + "\n")
        for person in record["people"]:
            self.faces += 1
            self.labels[person["label"]] = self.labels.get(person["label"], 0) + 1
            print(_described(self.images, person), flush=True)

    def _write(self, line: str) -> None:
        """Each line is on the disk at once: what was written stays, whatever comes."""
        try:
            self._lines.write(line)
            self._lines.flush()
        except OSError as error:
            self._failed = True
            self.get_logger().error(f"{self._lines.name}: cannot be written: {error}", throttle_duration_sec=5.0)

    def _on_annotated(self, message: ImageMessage) -> None:
        self._video.add(to_bgr(message), seconds(message.header))


def _open_lines(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / "emotions.jsonl").open("w")
    except OSError as error:
        raise OutputError(f"{folder}: expected a folder that can be written to: {error.strerror}") from error


def _described(image: int, person: dict[str, Any]) -> str:
    x, y, width, height = person["face"]
    who = f"image {image:4}  {person['id']:10} {person['label']:9} {person['confidence']:.2f}"
    return f"{who}  face {width}×{height} at {x},{y}" + "".join(
        f"  {hand['side']} hand {hand['gesture']}" for hand in person["hands"]
    )


def main() -> int:
    """Run the node until it is interrupted."""
    return spin_node(Recorder)
