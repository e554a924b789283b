"""The thread of the detector node that runs the pipeline and publishes."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rclpy.node import Node

from emotion_ros.config import DetectorConfig
from emotion_ros.errors import EmotionRosError
from emotion_ros.io.emotion_messages import seconds
from emotion_ros.io.heap import give_back_memory
from emotion_ros.io.topic_names import output_prefixes
from emotion_ros.nodes.camera import Camera
from emotion_ros.nodes.diagnostics import DiagnosticsCollector
from emotion_ros.nodes.frame_processor import Arrival, FrameProcessor, Settings
from emotion_ros.nodes.group_publisher import GroupPublisher
from emotion_ros.nodes.latest_frame_slot import LatestFrameSlot
from emotion_ros.nodes.receive_buffer import ReceiveBuffer
from emotion_ros.nodes.spin import until_shutdown
from emotion_ros.nodes.watchdog import Watchdog
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.state import Frame
from emotion_ros.types import Perception

if TYPE_CHECKING:
    from emotion_ros.nodes.hri_publisher import HriPublisher

LOG_INTERVAL_S = 5.0
"""Seconds between two log lines about frames that fail."""

WAKE_UP_INTERVAL_S = 0.2
"""Seconds after which the worker wakes without images: people expire, and settings are applied."""

JOIN_TIMEOUT_S = 2.0
"""Seconds that closing waits for an inference; a longer one ends by itself, and the worker frees the networks then."""


class ProcessingWorker:
    """Callbacks store the newest image of each camera; one thread runs the pipeline and publishes.

    The thread lives from construction to :meth:`close` and owns the pipeline, and with it the state of all cameras. All
    public methods but :meth:`report_failure` are called by the thread that spins the node.
    Publishers exist from construction to :meth:`close`; cameras are subscribed to while the worker is started and an
    output has subscribers.

    Args:
        node: gets publishers and subscriptions.
        pipeline: handed over to the worker's thread, which also closes it.
        config: settings of the node.
        diagnostics: records the result of each frame.

    Attributes:
        cameras: by topic.
        stalled: seconds for which the worker's thread has been hanging; 0: it runs. See :meth:`check_progress`.

    Raises:
        ConfigError: the image topics cannot share outputs.
    """

    def __init__(
        self, node: Node, pipeline: Pipeline, config: DetectorConfig, diagnostics: DiagnosticsCollector
    ) -> None:
        self._node, self._diagnostics = node, diagnostics
        prefixes = output_prefixes(config.image_topics)
        self.cameras: dict[str, Camera] = {}
        self._hri: HriPublisher | None = None
        try:
            self.cameras = {topic: Camera(node, topic, prefix) for topic, prefix in prefixes.items()}
            self._hri = _create_hri_publisher(node, config) if config.humans else None
        except Exception:
            for camera in self.cameras.values():
                camera.close()
            raise
        self._group = GroupPublisher(node)
        self._buffers = {topic: ReceiveBuffer() for topic in prefixes}  # of the node's thread
        # The latest settings of the node's thread, and those that the worker's thread runs with.
        self._settings = self._applied = Settings(config, pipeline.config, pipeline.models)
        self._pending: deque[Settings] = deque()  # from apply() to the worker; append and popleft are atomic
        self._announced = False
        self._slot: LatestFrameSlot[Arrival] = LatestFrameSlot()
        # Guards the publishers and _activation. Held by the worker for one publication, and by the node's thread
        # while it starts or stops: a result of an inference that began before a stop is never published after it.
        self._publishing = threading.Lock()
        self._activation, self._started = 0, False
        # Replaced by the worker's thread, read by the node's.
        self._skipped = 0
        self._idle_cameras: frozenset[str] = frozenset()
        self._watchdog, self.stalled = Watchdog(), 0.0
        self._thread = threading.Thread(target=self._run, args=(pipeline,), name="pipeline", daemon=True)
        self._thread.start()

    @property
    def is_started(self) -> bool:
        """True while images are processed."""
        return self._started

    @property
    def is_idle(self) -> bool:
        """True while images of all cameras are skipped because no face is visible."""
        subscribed = self.subscribed
        return self._settings.detector.idle_rate > 0 and bool(subscribed) and self._idle_cameras.issuperset(subscribed)

    @property
    def subscribed(self) -> list[str]:
        """Topics of the cameras that are subscribed to."""
        return [topic for topic, camera in self.cameras.items() if camera.is_subscribed]

    @property
    def counts(self) -> dict[str, int]:
        """Images since construction: received, replaced by newer ones, and skipped while no face was visible."""
        slot = self._slot
        return {"received": slot.received.total(), "dropped": slot.dropped.total(), "skipped": self._skipped}

    def start(self) -> None:
        """Process images while outputs have subscribers."""
        self._diagnostics.start()
        with self._publishing:
            self._activation += 1
            self._started = True
        self.update_subscriptions()
        if not self.subscribed:
            self._node.get_logger().info("ready; subscribes to images when an output has a subscriber (see lazy)")

    def stop(self) -> None:
        """Unsubscribe from all cameras and publish empty lists of people."""
        for camera in self.cameras.values():
            camera.unsubscribe()
        with self._publishing:
            self._started = False
        self._remove_people()

    def close(self) -> None:
        """Stop, end the thread and destroy all publishers. The worker frees the networks."""
        self.stop()
        self._slot.close()
        self._thread.join(JOIN_TIMEOUT_S)
        if self._thread.is_alive():
            self._node.get_logger().warning("an inference is still running; its networks are freed when it ends")
        with self._publishing, until_shutdown():
            for camera in self.cameras.values():
                camera.close()
            self._group.close()
            if self._hri is not None:
                self._hri.close()

    @property
    def shared_list(self) -> str:
        """See :attr:`HriPublisher.shared_list`."""
        return self._hri.shared_list if self._hri is not None else ""

    def apply(self, settings: Settings) -> None:
        """Use new settings from the next image on."""
        self._settings = settings
        self._pending.append(settings)

    def update_subscriptions(self) -> None:
        """Subscribe to and unsubscribe from each camera to match the demand. Called periodically."""
        if not self._started:
            return
        config = self._settings.detector
        shared = (self._group, self._hri) if self._hri is not None else (self._group,)
        all_wanted = not config.lazy or any(output.has_subscribers for output in shared)
        for topic, camera in self.cameras.items():
            is_wanted = all_wanted or camera.has_subscribers
            if is_wanted and not camera.is_subscribed:
                camera.subscribe(config, self._on_image)
                self._diagnostics.expect_images(topic)
                self._node.get_logger().info(f"subscribed to {camera.subscription}")
            elif camera.is_subscribed and not is_wanted:
                camera.unsubscribe()
            elif self._buffers[topic].is_oversized:
                camera.unsubscribe()  # the next call subscribes again
                self._buffers[topic].release()
                give_back_memory()
            elif camera.follow_publishers():
                self._node.get_logger().info(f"now subscribed to {camera.subscription}, as published")

    def check_progress(self) -> None:
        """Publish empty lists of people once if an inference does not return. Called periodically.

        The worker's thread, which removes people otherwise, cannot do it then.
        """
        before, self.stalled = self.stalled, self._watchdog.check()
        if self.stalled and not before:
            self._remove_people()

    def report_failure(self, camera: str | None, error: Exception) -> None:
        """Log and count an error of a frame. Called by both threads."""
        self._diagnostics.record_failure(camera, str(error) or repr(error))
        text = str(error) if isinstance(error, EmotionRosError) else "".join(traceback.format_exception(error))
        self._node.get_logger().error(text, throttle_duration_sec=LOG_INTERVAL_S)

    def _remove_people(self) -> None:
        if self._hri is not None:
            with self._publishing, until_shutdown():
                self._hri.publish_empty()

    def _on_image(self, camera: str, message: Any) -> None:
        self._diagnostics.record_arrival(camera)
        self._buffers[camera].record(len(message.data))
        self._slot.put(camera, Arrival(message, time.monotonic(), self._activation))

    def _run(self, pipeline: Pipeline) -> None:
        """Body of the worker's thread."""
        processor = FrameProcessor(pipeline, self.cameras, self._node.get_logger().warning, self.report_failure)
        try:
            while (arrivals := self._slot.take(WAKE_UP_INTERVAL_S)) is not None:
                self._watchdog.beat()
                try:
                    with until_shutdown():
                        self._step(processor, arrivals)
                except Exception as error:  # a failed frame is skipped, the node continues
                    self.report_failure(None, error)
        finally:
            pipeline.close()

    def _step(self, processor: FrameProcessor, arrivals: Mapping[str, Arrival]) -> None:
        """Apply new settings and process the newest image of each camera. Runs in the worker's thread."""
        begin = time.monotonic()
        settings = self._configure(processor)
        current = {topic: each for topic, each in arrivals.items() if each.activation == self._activation}
        results = processor.process(current, settings)
        self._skipped, self._idle_cameras = processor.skipped, processor.idle_cameras
        for frame, perception in results:
            try:
                with until_shutdown():
                    self._publish(frame, perception, current[frame.camera], settings)
            except Exception as error:  # a result that cannot be published is skipped
                self.report_failure(frame.camera, error)
        if self._hri is not None:  # after the people of all cameras were published
            with self._publishing:
                self._hri.expire(settings.pipeline.track_timeout, begin)

    def _configure(self, processor: FrameProcessor) -> Settings:
        """Apply all settings that arrived, one after the other: networks that were replaced at once are freed too."""
        changed = not self._announced
        while self._pending:
            self._applied = self._pending.popleft()
            changed |= processor.configure(self._applied)
        if changed:
            self._announce(self._applied)
            self._announced = True
        return self._applied

    def _publish(self, frame: Frame, perception: Perception, arrival: Arrival, settings: Settings) -> None:
        header = arrival.message.header
        with self._publishing:
            if not self._started or arrival.activation != self._activation:
                return
            is_shown = any(camera.shows_markers for camera in self.cameras.values())
            group = self._group.publish(frame.camera, perception, frame.stamp, header, settings.pipeline, is_shown)
            self.cameras[frame.camera].publish(frame.image, perception, header, group)
            if self._hri is not None:
                self._hri.publish(frame.camera, frame.image, perception, header, settings.pipeline.track_timeout)
        now = self._node.get_clock().now().nanoseconds * 1e-9
        self._diagnostics.record_result(frame.camera, perception, now - seconds(header))

    def _announce(self, settings: Settings) -> None:
        """Log and publish which model and labels are used."""
        emotion = settings.models.emotion
        with self._publishing, until_shutdown():
            for camera in self.cameras.values():
                camera.publish_label_info(emotion.classifier.name, emotion.labels, settings.pipeline.min_confidence)
        self._node.get_logger().info(f"model {emotion.classifier.name} on {emotion.classifier.provider}")


def _create_hri_publisher(node: Node, config: DetectorConfig) -> HriPublisher | None:
    prefix = config.humans_prefix
    try:
        from emotion_ros.nodes.hri_publisher import HriPublisher
    except ImportError as error:
        text = f"{error}: nothing is published under {prefix}; install hri_msgs and tf2_msgs, or set humans: false"
        node.get_logger().warning(text)
        return None
    return HriPublisher(node, prefix, config.persons, config.publish_tf)
