"""The detector node: images in, emotions out."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from emotion_ros.config import DetectorConfig, PipelineConfig
from emotion_ros.config.options import options
from emotion_ros.errors import EmotionRosError
from emotion_ros.nodes.camera import check_topics
from emotion_ros.nodes.diagnostics import DiagnosticsCollector
from emotion_ros.nodes.heap import give_back_memory
from emotion_ros.nodes.parameters import changed, declare
from emotion_ros.nodes.processing_worker import ProcessingWorker
from emotion_ros.nodes.spin import spin_node, until_shutdown
from emotion_ros.perception.pipeline import RELOADED, Pipeline

LISTEN_EVERY = 0.1
"""Seconds between two looks whether somebody subscribes."""

UNHEARD = "nobody subscribes: no image is taken (see lazy)"

FIXED = {each.name for config in (DetectorConfig, PipelineConfig) for each in options(config) if not each.live}
"""Parameters that are read when the node is configured; those of :data:`RELOADED` may change later too."""


class Detector(LifecycleNode):
    """Life cycle, parameters and diagnostics. Images are processed by :class:`ProcessingWorker`."""

    def __init__(self) -> None:
        super().__init__("detector")
        self.config = declare(self, DetectorConfig, fixed=False)
        self._pipeline_config = declare(self, PipelineConfig, fixed=False)
        self._pipeline: Pipeline | None = None
        self._work: ProcessingWorker | None = None
        self._health = DiagnosticsCollector()
        self._state, self._trouble = "unconfigured", ""
        self._engines_told: dict[str, str] = {}
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0, self._diagnose)
        self.create_timer(LISTEN_EVERY, self._listen, clock=Clock(clock_type=ClockType.STEADY_TIME))
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
            self._work = ProcessingWorker(self, self._pipeline, self.config, self._health)
            self._announce()
        give_back_memory()  # of what loading took: 90 MiB
        self._state, self._trouble = "inactive", ""
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to take images."""
        with self._telling("activating"):
            self._working.begin()
        self._state = "active"
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop taking images; the models stay loaded."""
        self._working.end()
        self._state = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models."""
        self.stop()
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
        """End the work and free everything; also called once before the node is destroyed."""
        if self._work is not None:
            self._work.close()
            self._work = None
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None
            give_back_memory()
        self._state = "unconfigured"

    @contextmanager
    def _telling(self, doing: str) -> Iterator[None]:
        """rclpy goes to :meth:`on_error` without a word of what was raised: keep it for the log and diagnostics."""
        try:
            yield
        except Exception as error:
            self._trouble = f"{doing} went wrong: {error!r}; configure again"
            self.get_logger().error("".join(traceback.format_exception(error)))
            raise

    @property
    def _working(self) -> ProcessingWorker:
        """What there is once the node is configured."""
        assert self._work is not None
        return self._work

    def _listen(self) -> None:
        if self._work is None:
            return
        try:
            with until_shutdown():
                self._work.listen()
        except Exception as error:  # a subscription that cannot be made now is tried again soon: the node lives on
            self._work.fail(error)

    def _announce(self) -> None:
        """Tell which model runs, in the log and to whoever asks for its labels."""
        assert self._pipeline is not None
        classifier = self._pipeline.classifier
        self.get_logger().info(f"model {classifier.name} on {classifier.provider}")
        for camera in self._working.cameras.values():
            camera.publish_label_info(classifier.name, self._pipeline.labels, self._pipeline_config.min_confidence)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """``~/enable``: take images or not, while the node is active."""
        response.success = self._state == "active"
        if not response.success:
            response.message = f"the node is {self._state}; activate it first"
        elif request.data == self._working.running:
            response.message = "already so"
        else:
            self._working.begin() if request.data else self._working.end()
            response.message = "taking images" if request.data else "not taking images"
        return response

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
            self._pipeline.config, self._working.config = self._pipeline_config, self.config
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
        status.values += self._health.values(self._work.counts if self._work is not None else {})
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)

    def _engines(self) -> dict[str, str]:
        """How TensorRT engines fare that do not run; in the log when it begins, when it fails, and when they do."""
        engines = self._pipeline.engines if self._pipeline is not None else {}
        for name in engines.keys() | self._engines_told.keys():
            text = engines.get(name, "TensorRT engine runs")
            news = re.sub(r"\d+", "", text)  # the seconds so far are none
            if news != self._engines_told.get(name):
                self._engines_told[name] = news
                log = self.get_logger()
                log.warning(f"{name}: {text}") if name in engines else log.info(f"{name}: {text}")
        return engines

    def _level(self, engines: Mapping[str, str]) -> tuple[bytes, str]:
        work = self._work
        if self._trouble:
            return DiagnosticStatus.ERROR, self._trouble
        if work is None or not work.running:
            return DiagnosticStatus.OK, "not enabled" if self._state == "active" else self._state
        taken = work.taken
        sparing = work.attention.reason if taken else UNHEARD
        level, text = self._health.level(0.0 if sparing else self.config.min_rate)
        silent = [topic for topic in self._health.silent() if topic in taken]
        if silent and level != DiagnosticStatus.ERROR:
            return DiagnosticStatus.WARN, f"no image on {', '.join(work.cameras[each].source for each in silent)}"
        if engines and level == DiagnosticStatus.OK:
            return DiagnosticStatus.WARN, "; ".join(f"{name}: {engine}" for name, engine in engines.items())
        return level, sparing if sparing and level == DiagnosticStatus.OK else text


def main() -> int:
    """Run the node until it is interrupted."""
    return spin_node(Detector)
