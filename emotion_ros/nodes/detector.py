"""The detector node: images in, emotions out."""

from __future__ import annotations

import collections
import threading
import time
import traceback
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from vision_msgs.msg import Detection2DArray

from emotion_ros.config import DetectorConfig, PipelineConfig, options
from emotion_ros.drawing import draw
from emotion_ros.errors import ConfigError, EmotionRosError
from emotion_ros.msg import EmotionArray
from emotion_ros.nodes.images import decode, to_bgr, to_jpeg, to_message
from emotion_ros.nodes.main import spin_node, until_shutdown
from emotion_ros.nodes.messages import to_detections, to_emotion_array
from emotion_ros.nodes.newest import Newest
from emotion_ros.nodes.parameters import changed, declare
from emotion_ros.nodes.qos import PUBLISH, image_subscription
from emotion_ros.pipeline import Pipeline
from emotion_ros.types import Image, Perception

NO_IMAGE_AFTER = 2.0
"""Seconds without an image after which diagnostics warn."""

LOG_EVERY = 5.0
"""Seconds between two log lines about frames that fail."""

FIXED = {each.name for config in (DetectorConfig, PipelineConfig) for each in options(config) if not each.live}
"""Parameters that are read when the node is configured."""


class Detector(LifecycleNode):
    """Only plumbing: the callback stores the newest image, one worker runs the pipeline and publishes."""

    def __init__(self) -> None:
        super().__init__("detector")
        self.config = declare(self, DetectorConfig, fixed=False)
        self._pipeline_config = declare(self, PipelineConfig, fixed=False)
        self._pipeline: Pipeline | None = None
        self._newest: Newest[Any] = Newest()
        self._worker: threading.Thread | None = None
        self._subscription: Any = None
        self._processed = self._failed = 0
        self._last_error, self._last_image = "", time.monotonic()
        self._latencies: collections.deque[float] = collections.deque(maxlen=100)
        self._emotions = self.create_publisher(EmotionArray, "emotions", PUBLISH)
        self._detections = self.create_publisher(Detection2DArray, "detections", PUBLISH)
        self._annotated = self.create_publisher(ImageMessage, "annotated", PUBLISH)
        self._jpeg = self.create_publisher(CompressedImage, "annotated/compressed", PUBLISH)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0, self._diagnose)
        self.add_on_set_parameters_callback(self._on_parameters)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models and warm them up."""
        try:
            self._pipeline = Pipeline(self._pipeline_config)
        except EmotionRosError as error:
            self._last_error = str(error)
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        self._last_error = ""
        classifier = self._pipeline.classifier
        self.get_logger().info(f"model {classifier.name} on {classifier.provider}")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to take images."""
        self._newest = Newest()
        self._last_image = time.monotonic()
        self._worker = threading.Thread(target=self._work, args=(self._newest,), name="pipeline", daemon=True)
        self._worker.start()
        compressed = self.config.image_transport == "compressed"
        kind, topic = (CompressedImage, "image_raw/compressed") if compressed else (ImageMessage, "image_raw")
        qos = image_subscription(self.config.reliability)
        self._subscription = self.create_subscription(kind, topic, self._on_image, qos)
        self.get_logger().info(f"waiting for images on {self._subscription.topic_name} ({self.config.reliability})")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop taking images; the models stay loaded."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything."""
        self._stop()
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def start(self) -> None:
        """Bring itself up, where the parameter ``autostart`` says so."""
        if self.config.autostart and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def stop(self) -> None:
        """End the worker; called once before the node is destroyed."""
        self._stop()
        self._free()

    def _stop(self) -> None:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        self._newest.close()
        if self._worker is not None:
            self._worker.join(timeout=2)
            self._worker = None

    def _free(self) -> None:
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None

    def _on_image(self, message: Any) -> None:
        self._last_image = time.monotonic()
        self._newest.put(message)

    def _work(self, newest: Newest[Any]) -> None:
        while (message := newest.take()) is not None:
            try:
                with until_shutdown():
                    self._process(message)
            except Exception as error:  # whatever a frame brings costs that frame, never the node
                self._failed += 1
                self._last_error = str(error)
                text = str(error) if isinstance(error, EmotionRosError) else traceback.format_exc()
                self.get_logger().error(text, throttle_duration_sec=LOG_EVERY)

    def _process(self, message: Any) -> None:
        assert self._pipeline is not None
        image = decode(message) if isinstance(message, CompressedImage) else to_bgr(message)
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        perception = self._pipeline.perceive(image, stamp)
        self._publish(image, perception, message.header)
        self._processed += 1
        self._latencies.append(self.get_clock().now().nanoseconds * 1e-9 - stamp)

    def _publish(self, image: Image, perception: Perception, header: Any) -> None:
        self._emotions.publish(to_emotion_array(perception, header))
        if self._detections.get_subscription_count():
            self._detections.publish(to_detections(perception, header))
        raw, jpeg = self._annotated.get_subscription_count(), self._jpeg.get_subscription_count()
        if raw or jpeg:
            picture = draw(image, perception)
            if raw:
                self._annotated.publish(to_message(picture, header))
            if jpeg:
                self._jpeg.publish(to_jpeg(picture, header, self.config.jpeg_quality))

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        values = {each.name: each.value for each in parameters}
        stuck = [name for name in values if name in FIXED] if self._pipeline is not None else []
        if stuck:
            reason = (
                f"{', '.join(stuck)}: can change only while the node is unconfigured; deactivate and clean up first"
            )
            return SetParametersResult(successful=False, reason=reason)
        try:
            configs = changed(self.config, values), changed(self._pipeline_config, values)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.config, self._pipeline_config = configs
        if self._pipeline is not None:
            self._pipeline.config = self._pipeline_config
        return SetParametersResult(successful=True)

    def _diagnose(self) -> None:
        level, text = self._health()
        latency = np.percentile([*self._latencies] or [0.0], [50, 95]) * 1000
        values = {
            "received": self._newest.received,
            "processed": self._processed,
            "dropped": self._newest.dropped,
            "failed": self._failed,
            "latency p50 ms": f"{latency[0]:.1f}",
            "latency p95 ms": f"{latency[1]:.1f}",
            "model": self._pipeline.classifier.name if self._pipeline else "",
            "provider": self._pipeline.classifier.provider if self._pipeline else "",
            "last error": self._last_error,
        }
        status = DiagnosticStatus(level=level, name=f"{self.get_name()}: perception", message=text, hardware_id="")
        status.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)

    def _health(self) -> tuple[bytes, str]:
        if self._subscription is None:
            return (
                (DiagnosticStatus.ERROR, self._last_error) if self._last_error else (DiagnosticStatus.OK, "not active")
            )
        if time.monotonic() - self._last_image > NO_IMAGE_AFTER:
            return DiagnosticStatus.WARN, f"no image on {self._subscription.topic_name}"
        return DiagnosticStatus.OK, "running"


def main() -> int:
    """Run the node until it is interrupted."""
    return spin_node(Detector)
