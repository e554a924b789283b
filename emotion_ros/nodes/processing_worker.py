"""What the detector node does between images and messages."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rclpy.node import Node

from emotion_ros.config import DetectorConfig
from emotion_ros.errors import EmotionRosError
from emotion_ros.nodes.camera import Camera
from emotion_ros.nodes.diagnostics import DiagnosticsCollector
from emotion_ros.nodes.frame_throttle import FrameThrottle
from emotion_ros.nodes.latest_frame_slot import LatestFrameSlot
from emotion_ros.nodes.spin import until_shutdown
from emotion_ros.perception.pipeline import Pipeline

if TYPE_CHECKING:
    from emotion_ros.nodes.hri_publisher import HriPublisher

LOG_EVERY = 5.0
"""Seconds between two log lines about frames that fail."""


class ProcessingWorker:
    """Callbacks store the newest image of each camera, one thread runs the pipeline and publishes.

    There are publishers from its creation to :meth:`close`, and subscriptions while it runs and somebody wants to know.

    Args:
        node: gets publishers and subscriptions.
        pipeline: what the images go through.
        config: may be replaced at any time, as far as it is live.
        health: is told how frames fare.
    """

    def __init__(self, node: Node, pipeline: Pipeline, config: DetectorConfig, health: DiagnosticsCollector) -> None:
        self.config = config
        self._node, self._pipeline, self._health = node, pipeline, health
        topics = config.image_topics
        self.cameras = {topic: Camera(node, topic, len(topics) == 1) for topic in topics}
        self._humans = _humans(node) if config.humans else None
        self._thread: threading.Thread | None = None
        self._newest: LatestFrameSlot[Any] = LatestFrameSlot()
        self.attention = FrameThrottle()

    @property
    def running(self) -> bool:
        """Whether images are taken, where they are wanted."""
        return self._thread is not None

    @property
    def taken(self) -> list[str]:
        """Topics whose images are taken now."""
        return [topic for topic, camera in self.cameras.items() if camera.open_now]

    @property
    def counts(self) -> dict[str, int]:
        """Images since it began: those that came, those that newer ones replaced, and those not worth a look."""
        newest = self._newest
        spared = self.attention.spared
        return {"received": newest.received.total(), "dropped": newest.dropped.total(), "not looked at": spared}

    def begin(self) -> None:
        """Take images, as far as they are wanted."""
        self._newest, self.attention = LatestFrameSlot(), FrameThrottle()
        self._health.begin()
        self._thread = threading.Thread(target=self._run, args=(self._newest,), name="pipeline", daemon=True)
        self._thread.start()
        self.listen()
        if not self.taken:
            self._node.get_logger().info("ready; images are taken as soon as somebody subscribes (see lazy)")

    def listen(self) -> None:
        """Take images of the cameras that somebody wants to know of, and of no others; to be called again and again."""
        if self._thread is None:
            return
        all_wanted = not self.config.lazy or (self._humans is not None and self._humans.heard)
        for topic, camera in self.cameras.items():
            wanted = all_wanted or camera.heard
            if wanted and not camera.open_now:
                name = camera.open(self.config, self._on_image)
                self._health.expect(topic)
                self._node.get_logger().info(f"waiting for images on {name} ({self.config.reliability})")
            elif camera.open_now and not wanted:
                camera.shut()

    def fail(self, error: Exception) -> None:
        """Tell of what went wrong with an image, or on the way to one, in the log and in diagnostics."""
        self._health.failure(str(error))
        text = str(error) if isinstance(error, EmotionRosError) else "".join(traceback.format_exception(error))
        self._node.get_logger().error(text, throttle_duration_sec=LOG_EVERY)

    def end(self) -> None:
        """Take no more images."""
        for camera in self.cameras.values():
            camera.shut()
        self._newest.close()
        if self._thread is not None:
            self._thread.join(timeout=2)
            self._thread = None
        if self._humans is not None:
            with until_shutdown():
                self._humans.publish_empty()

    def close(self) -> None:
        """End, and take the topics away."""
        self.end()
        for camera in self.cameras.values():
            camera.close()
        if self._humans is not None:
            with until_shutdown():
                self._humans.close()

    def _on_image(self, camera: str, message: Any) -> None:
        self._health.arrived(camera)
        self._newest.put(camera, message)

    def _run(self, newest: LatestFrameSlot[Any]) -> None:
        while (messages := newest.take()) is not None:
            try:
                with until_shutdown():
                    self._process(messages)
            except Exception as error:  # whatever a frame brings costs that frame, never the node
                self.fail(error)

    def _process(self, messages: Mapping[str, Any]) -> None:
        """The newest image of each camera, their faces classified together."""
        shots = []
        memory = self._pipeline.config.track_timeout
        for topic, message in messages.items():
            if not self.attention.passes(topic, self.config, memory):
                continue
            try:
                shots.append(self.cameras[topic].shot(message))
            except EmotionRosError as error:
                self.fail(error)
        if not shots:
            return
        for shot, perception in zip(shots, self._pipeline.perceive_all(shots), strict=True):
            header = messages[shot.camera].header
            self.cameras[shot.camera].publish(shot.image, perception, header)
            if perception.people:
                self.attention.met(shot.camera)
            if self._humans is not None:
                self._humans.publish(shot.camera, shot.image, perception, header, memory)
            now = self._node.get_clock().now().nanoseconds * 1e-9
            self._health.done(shot.camera, perception, now - shot.stamp)


def _humans(node: Node) -> HriPublisher | None:
    try:
        from emotion_ros.nodes.hri_publisher import HriPublisher
    except ImportError as error:
        text = f"{error}: nothing is published under /humans; install hri_msgs, or set humans: false"
        node.get_logger().warning(text)
        return None
    return HriPublisher(node)
