"""The recorder node: prints a line per person; writes annotated.mp4 and emotions.jsonl into a folder that is named."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter, deque
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image as ImageMessage

from emotion_ros.config import RecorderConfig
from emotion_ros.errors import ImageError, OutputError
from emotion_ros.io.emotion_messages import seconds, to_perception
from emotion_ros.io.event_messages import to_event
from emotion_ros.io.records import event_record, perception_record
from emotion_ros.io.video import VideoFile
from emotion_ros.msg import EmotionArray, ExpressionEvent
from emotion_ros.nodes.image_conversion import to_bgr
from emotion_ros.nodes.parameters import declare
from emotion_ros.nodes.qos import PUBLISH
from emotion_ros.nodes.spin import spin_node

LOG_INTERVAL_S = 5.0
"""Minimum time between two log lines about the same failure."""


EMOTIONS_DEPTH = 100
"""Queued messages: writing the frames of a pause blocks for up to some seconds, and no line may be lost meanwhile."""


class Recorder(Node):
    """Prints the messages of ``emotions``, and writes them and those of ``annotated`` to files if there is a folder.

    Subscribes from its creation on.

    Raises:
        ConfigError: a parameter has a wrong value.
        OutputError: the output folder cannot be written to.
    """

    def __init__(self) -> None:
        super().__init__("recorder")
        self.config = declare(self, RecorderConfig)
        self._recording = _Recording(Path(self.config.out)) if self.config.out else None
        self._image_count = 0
        self._label_counts: Counter[str] = Counter()
        self._events: deque[dict[str, Any]] = deque(maxlen=EMOTIONS_DEPTH)  # until the line of the next image
        self.create_subscription(ExpressionEvent, "events", self._on_event, EMOTIONS_DEPTH)
        self.create_subscription(EmotionArray, "emotions", self._on_emotions, EMOTIONS_DEPTH)
        if self._recording:
            self.create_subscription(ImageMessage, "annotated", partial(self._on_annotated, self._recording), PUBLISH)

    def start(self) -> None:
        """Do nothing: the subscriptions exist already."""

    def stop(self) -> None:
        """Finish the files and print the summary.

        Raises:
            OutputError: a file is incomplete.
        """
        counts = ", ".join(f"{count} {label}" for label, count in self._label_counts.most_common())
        self._print(
            f"{self._image_count} images, {self._label_counts.total()} faces" + (f": {counts}" if counts else "")
        )
        if self._recording:
            self._print(f"written: {self._recording.close()}")
            if not self._recording.complete:
                raise OutputError(f"{self.config.out}: not everything could be written; is the disk full?")

    def _on_event(self, message: ExpressionEvent) -> None:
        self._events.append(event_record(to_event(message)))

    def _on_emotions(self, message: EmotionArray) -> None:
        self._image_count += 1
        record = {**perception_record(to_perception(message)), "events": [*self._events]}
        self._events.clear()
        if self._recording:
            self._write_line(self._recording, {"time": round(seconds(message.header), 6), **record})
        for person in record["people"]:
            self._label_counts[person["label"]] += 1
            self._print(_person_line(self._image_count, person))

    def _print(self, line: str) -> None:
        """Print a line; if the reader of the output has ended, as in ``run | head``, stop the node."""
        try:
            print(line, flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # later lines, and the flush at exit
            self.context.try_shutdown()

    def _write_line(self, recording: _Recording, record: dict[str, Any]) -> None:
        try:
            recording.write_line(json.dumps(record))
        except OSError as error:
            text = f"{recording.lines_name}: cannot be written: {error}"
            self.get_logger().error(text, throttle_duration_sec=LOG_INTERVAL_S)

    def _on_annotated(self, recording: _Recording, message: ImageMessage) -> None:
        try:
            recording.video.add(to_bgr(message, sys.maxsize), seconds(message.header))
        except ImageError as error:
            self.get_logger().error(f"annotated: {error}", throttle_duration_sec=LOG_INTERVAL_S)


class _Recording:
    """The files of a recording: ``emotions.jsonl`` and ``annotated.mp4``.

    Attributes:
        video: the latter.
        lines_name: path of the former.

    Raises:
        OutputError: the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lines = (folder / "emotions.jsonl").open("w")
        except OSError as error:
            raise OutputError(f"{folder}: expected a folder that can be written to: {error.strerror}") from error
        self.video, self.lines_name, self._line_lost = VideoFile(folder / "annotated.mp4"), self._lines.name, False

    def write_line(self, line: str) -> None:
        """Write a line to the disk at once, so that it is kept if the process is killed.

        Raises:
            OSError: it could not be written.
        """
        try:
            self._lines.write(f"{line}\n")
            self._lines.flush()
        except OSError:
            self._line_lost = True
            raise

    def close(self) -> str:
        """Finish the video and return what was written."""
        self.video.close()
        return f"{self.lines_name}, {self.video.path} ({self.video.frames} frames)"

    @property
    def complete(self) -> bool:
        """Whether all lines and images were written."""
        return not self._line_lost and self.video.written


def _person_line(image: int, person: dict[str, Any]) -> str:
    x, y, width, height = person["face"]
    emotion = f"image {image:4}  {person['id']:10} {person['label']:9} {person['confidence']:.2f}"
    hands = "".join(f"  {hand['side']} hand {hand['gesture']}" for hand in person["hands"])
    return f"{emotion}  face {width}×{height} at {x},{y}{hands}"


def main() -> int:
    """Run the node until it is interrupted."""
    return spin_node(Recorder)
