"""The detector node: images in, emotions out."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence, Set
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from emotion_ros.config import DetectorConfig, PipelineConfig
from emotion_ros.config.options import options
from emotion_ros.errors import ConfigError, EmotionRosError, one_line
from emotion_ros.io.heap import give_back_memory
from emotion_ros.nodes.camera import check_topics
from emotion_ros.nodes.diagnostics import STATUS_NAME, DiagnosticsCollector
from emotion_ros.nodes.frame_processor import Settings
from emotion_ros.nodes.parameter_services import PreparedParameterService, in_thread
from emotion_ros.nodes.parameters import changed, declare
from emotion_ros.nodes.processing_worker import ProcessingWorker
from emotion_ros.nodes.spin import spin_node, until_shutdown
from emotion_ros.nodes.starts import count_start
from emotion_ros.perception.loaded_models import RELOADABLE, LoadedModels, load_models
from emotion_ros.perception.model_trial import try_models
from emotion_ros.perception.pipeline import Pipeline

SUBSCRIPTION_INTERVAL_S = 0.1
"""Seconds between two checks whether the outputs have subscribers."""

NO_SUBSCRIBERS = "no output has subscribers: no camera is subscribed to (see lazy)"
STALLED = "no image was processed for {:.0f} s: an inference does not return; restart the detector"
IDLE = "no face is visible: images are processed at idle_rate"
SHARED_LIST = (
    "another node publishes {} too, so that people come and go in it; give one detector all cameras (image_topics), or "
    "each detector a humans_prefix of its own; beside a manager of persons set persons: false"
)
SHARED_NAME = (
    "another node is named {}: requests reach one of both, and both publish; end one, or rename it with --ros-args -r "
    "__node:=NAME"
)

FIXED = {option.name for config in (DetectorConfig, PipelineConfig) for option in options(config) if not option.live}
"""Parameters that are read when the node is configured; those of :data:`RELOADABLE` may change later too."""


class Detector(LifecycleNode):
    """Life cycle, parameters and diagnostics. Images are processed by :class:`ProcessingWorker` in its own thread."""

    def __init__(self, **arguments: Any) -> None:
        """Declare the parameters; ``arguments`` are those of :class:`rclpy.node.Node`."""
        super().__init__("detector", start_parameter_services=False, **arguments)
        self._config = declare(self, DetectorConfig, fixed=False)
        self._pipeline_config = declare(self, PipelineConfig, fixed=False)
        self._models: LoadedModels | None = None
        self._worker: ProcessingWorker | None = None
        self._collector = DiagnosticsCollector()
        self._restarts = count_start()
        self._state, self._failure = "unconfigured", ""
        self._reported_engines: dict[str, str] = {}  # of the present models only
        self._reported_losses: Set[str] = frozenset()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # timers of the system's clock stop while it is set back
        self.create_timer(1.0, self._publish_diagnostics, clock=steady)
        self.create_timer(SUBSCRIPTION_INTERVAL_S, self._update_subscriptions, clock=steady)
        self.create_service(SetBool, "~/enable", self._on_enable)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._trying = False
        self._parameter_service = PreparedParameterService(self, self._try_models)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the networks and create the publishers. A failure is logged, and the node stays unconfigured."""
        try:
            check_topics(self, self._config.image_topics)
            self._models = load_models(self._pipeline_config)
            self._worker = self._create_worker(self._models)
        except Exception as error:  # reported, and the node stays unconfigured
            self._report_failure("configuring", error)
            self._models = None
            return TransitionCallbackReturn.FAILURE
        give_back_memory()  # loading takes 90 MiB that are free now
        self._state, self._failure = "inactive", ""
        return TransitionCallbackReturn.SUCCESS

    def _create_worker(self, models: LoadedModels) -> ProcessingWorker:
        pipeline = Pipeline(self._pipeline_config, models)
        try:
            return ProcessingWorker(self, pipeline, self._config, self._collector)
        except Exception:
            pipeline.close()
            raise

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to process images."""
        try:
            self._active_worker.start()
        except Exception as error:  # rclpy calls on_error without the exception: report it here
            self._report_failure("activating", error)
            raise
        self._state = "active"
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop processing images; the networks stay loaded."""
        self._active_worker.stop()
        self._state = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the networks."""
        self.stop()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything."""
        self.stop()
        self._state = "finalized"
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything after a transition that failed; the node can be configured again."""
        self.stop()
        return TransitionCallbackReturn.SUCCESS

    def start(self) -> None:
        """Configure and activate the node, unless ``autostart`` is false."""
        if self._config.autostart and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def stop(self) -> None:
        """Free everything. Also called once before the node is destroyed."""
        if self._worker is not None:
            self._worker.close()
            self._worker = self._models = None
            self._reported_engines = {}
            give_back_memory()
        self._state = "unconfigured"

    @property
    def _active_worker(self) -> ProcessingWorker:
        assert self._worker is not None, "the node is configured in these states"
        return self._worker

    def _report_failure(self, activity: str, error: Exception) -> None:
        """Log why a transition failed, and keep it for diagnostics."""
        if not self.context.ok():  # interrupted in the middle of a transition
            return
        expected = isinstance(error, EmotionRosError)
        self._failure = str(error) if expected else f"{activity} failed: {one_line(error)}; then configure again"
        self.get_logger().error(self._failure)
        if not expected:
            self.get_logger().error("".join(traceback.format_exception(error)))

    def _update_subscriptions(self) -> None:
        if self._worker is None:
            return
        try:
            with until_shutdown():
                self._worker.check_progress()
                self._worker.update_subscriptions()
        except Exception as error:  # a subscription that cannot be created is tried again with the next timer
            self._worker.report_failure(None, error)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """``~/enable``: start or stop processing images while the node is active."""
        response.success = self._state == "active"
        if not response.success:
            response.message = f"the node is {self._state}; activate it first"
        elif request.data == self._active_worker.is_started:
            response.message = "no change"
        elif request.data:
            self._active_worker.start()
            response.message = "processing images"
        else:
            self._active_worker.stop()
            response.message = "not processing images"
        return response

    async def _try_models(self, parameters: Sequence[Parameter]) -> None:
        """Try networks in a child process before :meth:`_on_parameters` loads them; images are processed meanwhile.

        Raises:
            ConfigError: a value cannot be used, or other networks are being tried.
            ModelError: the networks cannot be used.
        """
        values = {parameter.name: parameter.value for parameter in parameters}
        names = RELOADABLE & set(values)
        if self._worker is None or not names:
            return
        config = changed(self._pipeline_config, values)
        if self._trying:  # requests cannot start any number of processes
            raise ConfigError(f"{', '.join(sorted(names))}: another change of the models is being tried; try again")
        self._trying = True
        try:
            await in_thread(self.executor, lambda: try_models(config, names))
        finally:
            self._trying = False

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Check new values, load networks if needed, and hand both to the worker."""
        values = {parameter.name: parameter.value for parameter in parameters}
        fixed = [name for name in values if name in FIXED - RELOADABLE] if self._worker is not None else []
        if fixed:
            reason = (
                f"{', '.join(fixed)}: can change only while the node is unconfigured; deactivate and clean up first"
            )
            return SetParametersResult(successful=False, reason=reason)
        try:
            config, pipeline_config = changed(self._config, values), changed(self._pipeline_config, values)
            if self._worker is not None and self._models is not None:
                if RELOADABLE & set(values):
                    self._models = load_models(pipeline_config, self._models, RELOADABLE & set(values))
                    self._reported_engines = {}
                self._worker.apply(Settings(config, pipeline_config, self._models))
        except Exception as error:  # any exception while loading rejects the value; the old model stays
            return SetParametersResult(successful=False, reason=one_line(error))
        self._config, self._pipeline_config = config, pipeline_config
        return SetParametersResult(successful=True)

    def _publish_diagnostics(self) -> None:
        with until_shutdown():
            array = DiagnosticArray(status=[self._diagnose()])
            array.header.stamp = self.get_clock().now().to_msg()
            self._diagnostics.publish(array)

    def _diagnose(self) -> DiagnosticStatus:
        engines = self._engine_status()
        level, text = self._level(engines)
        name = STATUS_NAME + self.get_namespace().rstrip("/")
        status = DiagnosticStatus(level=level, name=name, message=text)
        classifier = self._models.emotion.classifier if self._models is not None else None
        values = {
            "Module name": self.get_name(),
            "Current lifecycle state": self._state,
            **({} if self._restarts is None else {"restarts": str(self._restarts)}),
            "model": classifier.name if classifier else "",
            "provider": classifier.provider if classifier else "",
            **{f"engine of {network}": text for network, text in engines.items()},
        }
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        status.values += self._collector.key_values(self._worker.counts if self._worker is not None else {})
        return status

    def _engine_status(self) -> Mapping[str, str]:
        """TensorRT engines that do not run; changes are logged: building started, failed, or finished."""
        engines = self._models.engine_status if self._models is not None else {}
        for network in engines.keys() | self._reported_engines.keys():
            text = engines.get(network, "the TensorRT engine runs")
            key = re.sub(r"\d+", "", text)  # the seconds of building are not a change
            if key != self._reported_engines.get(network):
                self._reported_engines[network] = key
                log = self.get_logger()
                log.warning(f"{network}: {text}") if network in engines else log.info(f"{network}: {text}")
        return engines

    def _level(self, engines: Mapping[str, str]) -> tuple[bytes, str]:
        """Level and message of the diagnostics."""
        worker = self._worker
        if self._failure:
            return DiagnosticStatus.ERROR, self._failure
        if worker is None or not worker.is_started:
            return DiagnosticStatus.OK, "not enabled" if self._state == "active" else self._state
        if worker.stalled:
            return DiagnosticStatus.ERROR, STALLED.format(worker.stalled)
        subscribed = worker.subscribed
        throttled = (IDLE if worker.is_idle else "") if subscribed else NO_SUBSCRIBERS
        level, text = self._collector.level(0.0 if throttled else self._config.min_rate, subscribed)
        problems = list(self._missing_images(worker).values())
        if self._has_namesake():
            problems.append(SHARED_NAME.format(self.get_fully_qualified_name()))
        if worker.shared_list:
            problems.append(SHARED_LIST.format(worker.shared_list))
        if level == DiagnosticStatus.OK:
            problems += [f"{network}: {status}" for network, status in engines.items()]
        if problems and level != DiagnosticStatus.ERROR:
            return DiagnosticStatus.WARN, "; ".join(problems)
        return level, throttled if throttled and level == DiagnosticStatus.OK else text

    def _has_namesake(self) -> bool:
        names = self.get_node_names_and_namespaces()
        return bool(names.count((self.get_name(), self.get_namespace())) > 1)

    def _missing_images(self, worker: ProcessingWorker) -> Mapping[str, str]:
        """Cameras whose images do not arrive, and why. Losses are logged once until the images arrive again."""
        losses = {topic: loss for topic in worker.subscribed if (loss := worker.cameras[topic].describe_loss())}
        for topic in losses.keys() - self._reported_losses:
            self.get_logger().warning(losses[topic])
        self._reported_losses = losses.keys()
        silent = [topic for topic in self._collector.silent_cameras() if topic in worker.subscribed]
        return {**{topic: f"no image on {worker.cameras[topic].describe_source()}" for topic in silent}, **losses}


def main() -> int:
    """Run the node until it is interrupted."""
    return spin_node(Detector)
