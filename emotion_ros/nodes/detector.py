"""The detector node: images in, emotions out."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from emotion_ros.config import DetectorConfig, PipelineConfig
from emotion_ros.errors import EmotionRosError
from emotion_ros.nodes.attention import Attention
from emotion_ros.nodes.camera import Camera, check_topics
from emotion_ros.nodes.health import Health
from emotion_ros.nodes.main import spin_node, until_shutdown
from emotion_ros.nodes.memory import give_back_memory
from emotion_ros.nodes.newest import Newest
from emotion_ros.nodes.parameters import changed, declare
from emotion_ros.options import options
from emotion_ros.pipeline import RELOADED, Pipeline

if TYPE_CHECKING:
    from emotion_ros.nodes.humans import Humans

LOG_EVERY = 5.0
"""Seconds between two log lines about frames that fail."""

FIXED = {each.name for config in (DetectorConfig, PipelineConfig) for each in options(config) if not each.live}
"""Parameters that are read when the node is configured; those of :data:`RELOADED` may change later too."""


class Detector(LifecycleNode):
    """Only plumbing: callbacks store the newest image of each camera, one worker runs the pipeline and publishes."""

    def __init__(self) -> None:
        super().__init__("detector")
        self.config = declare(self, DetectorConfig, fixed=False)
        self._pipeline_config = declare(self, PipelineConfig, fixed=False)
        self._pipeline: Pipeline | None = None
        self._cameras: dict[str, Camera] = {}
        self._humans: Humans | None = None
        self._newest: Newest[Any] = Newest()
        self._worker: threading.Thread | None = None
        self._health, self._attention = Health(), Attention()
        self._state, self._trouble = "unconfigured", ""
        self._engines_told: dict[str, str] = {}
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0, self._diagnose)
        self.create_service(SetBool, "~/enable", self._on_enable)
        self.add_on_set_parameters_callback(self._on_parameters)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models and warm them up."""
        try:
            check_topics(self, self.config.image_topics)
            self._pipeline = Pipeline(self._pipeline_config)
        except EmotionRosError as error:
            self._trouble = str(error)
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        with self._telling("configuring"):
            topics = self.config.image_topics
            self._cameras = {topic: Camera(self, topic, len(topics) == 1) for topic in topics}
            self._humans = self._tell_of_humans() if self.config.humans else None
            self._announce()
        give_back_memory()  # of what loading took: 90 MiB
        self._state, self._trouble = "inactive", ""
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to take images."""
        with self._telling("activating"):
            self._open()
        self._state = "active"
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop taking images; the models stay loaded."""
        self._shut()
        self._state = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything."""
        self.stop()
        self._state = "finalized"
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition went wrong: free everything, to be configured anew."""
        self.stop()
        return TransitionCallbackReturn.SUCCESS

    def start(self) -> None:
        """Bring itself up, where the parameter ``autostart`` says so."""
        if self.config.autostart and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def stop(self) -> None:
        """End the worker and free everything; also called once before the node is destroyed."""
        self._shut()
        self._free()

    @contextmanager
    def _telling(self, doing: str) -> Iterator[None]:
        """rclpy goes to :meth:`on_error` without a word of what was raised: keep it for the log and diagnostics."""
        try:
            yield
        except Exception as error:
            self._trouble = f"{doing} went wrong: {error!r}; configure again"
            self.get_logger().error("".join(traceback.format_exception(error)))
            raise

    def _tell_of_humans(self) -> Humans | None:
        try:
            from emotion_ros.nodes.humans import Humans
        except ImportError as error:
            text = f"{error}: nothing is published under /humans; install hri_msgs, or set humans: false"
            self.get_logger().warning(text)
            return None
        return Humans(self)

    def _open(self) -> None:
        """Take images: a worker, and a subscription per camera."""
        self._newest, self._attention = Newest(), Attention()
        self._health.watch([*self._cameras])
        self._worker = threading.Thread(target=self._work, args=(self._newest,), name="pipeline", daemon=True)
        self._worker.start()
        topics = [camera.open(self.config, self._on_image) for camera in self._cameras.values()]
        self.get_logger().info(f"waiting for images on {', '.join(topics)} ({self.config.reliability})")

    def _shut(self) -> None:
        for camera in self._cameras.values():
            camera.shut()
        self._newest.close()
        if self._worker is not None:
            self._worker.join(timeout=2)
            self._worker = None
        if self._humans is not None:
            with until_shutdown():
                self._humans.goodbye()

    def _free(self) -> None:
        for camera in self._cameras.values():
            camera.close()
        self._cameras = {}
        if self._humans is not None:
            with until_shutdown():
                self._humans.close()
            self._humans = None
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None
            give_back_memory()
        self._state = "unconfigured"

    def _announce(self) -> None:
        """Tell which model runs, in the log and to whoever asks for its labels."""
        assert self._pipeline is not None
        classifier = self._pipeline.classifier
        self.get_logger().info(f"model {classifier.name} on {classifier.provider}")
        for camera in self._cameras.values():
            camera.say_labels(classifier.name, self._pipeline.labels, self._pipeline_config.confidence_floor)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """``~/enable``: take images or not, while the node is active."""
        response.success = self._state == "active"
        if not response.success:
            response.message = f"the node is {self._state}; activate it first"
        elif request.data == (self._worker is not None):
            response.message = "already so"
        else:
            self._open() if request.data else self._shut()
            response.message = "taking images" if request.data else "not taking images"
        return response

    def _on_image(self, camera: str, message: Any) -> None:
        self._health.arrived(camera)
        self._newest.put(camera, message)

    def _work(self, newest: Newest[Any]) -> None:
        while (messages := newest.take()) is not None:
            try:
                with until_shutdown():
                    self._process(messages)
            except Exception as error:  # whatever a frame brings costs that frame, never the node
                self._fail(error)

    def _process(self, messages: Mapping[str, Any]) -> None:
        """The newest image of each camera, their faces classified together."""
        assert self._pipeline is not None
        shots = []
        others = self._humans is not None and self._humans.heard
        memory = self._pipeline_config.track_memory
        for topic, message in messages.items():
            if not self._attention.passes(topic, others or self._cameras[topic].heard, self.config, memory):
                continue
            try:
                shots.append(self._cameras[topic].shot(message))
            except EmotionRosError as error:
                self._fail(error)
        if not shots:
            return
        for shot, perception in zip(shots, self._pipeline.perceive_all(shots), strict=True):
            header = messages[shot.camera].header
            self._cameras[shot.camera].publish(shot.image, perception, header, self.config.jpeg_quality)
            if perception.people:
                self._attention.met(shot.camera)
            if self._humans is not None:
                self._humans.publish(shot.camera, shot.image, perception, header, memory)
            self._health.done(shot.camera, perception, self.get_clock().now().nanoseconds * 1e-9 - shot.stamp)

    def _fail(self, error: Exception) -> None:
        self._health.failure(str(error))
        text = str(error) if isinstance(error, EmotionRosError) else "".join(traceback.format_exception(error))
        self.get_logger().error(text, throttle_duration_sec=LOG_EVERY)

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        values = {each.name: each.value for each in parameters}
        stuck = [name for name in values if name in FIXED - RELOADED] if self._pipeline is not None else []
        if stuck:
            reason = (
                f"{', '.join(stuck)}: can change only while the node is unconfigured; deactivate and clean up first"
            )
            return SetParametersResult(successful=False, reason=reason)
        try:
            configs = changed(self.config, values), changed(self._pipeline_config, values)
            if self._pipeline is not None and RELOADED & set(values):
                self._pipeline.reload(configs[1], RELOADED & set(values))
        except EmotionRosError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.config, self._pipeline_config = configs
        if self._pipeline is not None:
            self._pipeline.config = self._pipeline_config
            if RELOADED & set(values):
                self._announce()
        return SetParametersResult(successful=True)

    def _diagnose(self) -> None:
        engines = self._engines()
        level, text = self._level(engines)
        place = self.get_namespace().rstrip("/")
        status = DiagnosticStatus(level=level, name=f"/social_perception/faces/emotion_ros{place}", message=text)
        classifier = self._pipeline.classifier if self._pipeline is not None else None
        about = {
            "Module name": self.get_name(),
            "Current lifecycle state": self._state,
            "model": classifier.name if classifier else "",
            "provider": classifier.provider if classifier else "",
            **{f"engine of {name}": each for name, each in engines.items()},
        }
        status.values = [KeyValue(key=key, value=value) for key, value in about.items()]
        status.values += self._health.values(self._newest.received, self._newest.dropped, self._attention.spared)
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)

    def _engines(self) -> dict[str, str]:
        """How TensorRT engines fare that do not run; said in the log when it begins, when it fails, and at the end."""
        engines = self._pipeline.engines if self._pipeline is not None else {}
        for name in engines.keys() | self._engines_told.keys():
            text = engines.get(name, "TensorRT engine runs").split(" for ")[0]
            if text != self._engines_told.get(name):
                self.get_logger().info(f"{name}: {text}")
                self._engines_told[name] = text
        return engines

    def _level(self, engines: Mapping[str, str]) -> tuple[bytes, str]:
        if self._trouble:
            return DiagnosticStatus.ERROR, self._trouble
        if self._worker is None:
            return DiagnosticStatus.OK, "not enabled" if self._state == "active" else self._state
        sparing = self._attention.reason
        level, text = self._health.level(0.0 if sparing else self.config.minimum_rate)
        silent = self._health.silent()
        if silent and level != DiagnosticStatus.ERROR:
            return DiagnosticStatus.WARN, f"no image on {', '.join(self._cameras[each].source for each in silent)}"
        if engines and level == DiagnosticStatus.OK:
            return DiagnosticStatus.WARN, "; ".join(f"{name}: {engine}" for name, engine in engines.items())
        if sparing and level == DiagnosticStatus.OK:
            return level, f"{sparing}: not all images are looked at (see lazy, empty_rate)"
        return level, text


def main() -> int:
    """Run the node until it is interrupted."""
    return spin_node(Detector)
