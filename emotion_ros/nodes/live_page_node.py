"""The web node: serves the live page and subscribes to the detector's topics while the page is open."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage

from emotion_ros.config import ServeConfig, WebConfig
from emotion_ros.io.emotion_messages import seconds, to_perception
from emotion_ros.io.event_messages import to_event, to_group
from emotion_ros.io.records import event_record, group_record, perception_record
from emotion_ros.msg import EmotionArray, ExpressionEvent, GroupMood
from emotion_ros.nodes.detector_settings import DetectorSettings
from emotion_ros.nodes.diagnostics import STATUS_NAME
from emotion_ros.nodes.parameters import declare
from emotion_ros.nodes.qos import EVENTS, PUBLISH, image_subscription
from emotion_ros.serving.authentication import read_token
from emotion_ros.serving.batching import BatchingQueue
from emotion_ros.serving.live_page import LiveState, create_page
from emotion_ros.serving.server import create_server, listen, url_of
from emotion_ros.srv import StartCapture

VIEWER_CHECK_INTERVAL_S = 0.2
"""Seconds between two checks for viewers."""

OUTDATED_AFTER_S = 3.0
"""Seconds without a message after which the page forgets the last one: the detector or its camera stopped. Diagnostics
come each second; a detector that sends fewer images sees nobody (``idle_rate``)."""

NO_DIAGNOSTICS = "no message of the detector"

CAPTURE_TIMEOUT_S = 5.0
"""Maximum seconds for an answer of the capture node."""

SHOWN_EVENTS = 10
"""Changes of expression that the page lists, newest first."""

SHUTDOWN_TIMEOUT_S = 1
"""Maximum seconds for open requests to finish; pages reconnect by themselves."""


class LivePage(Node):
    """Shows ``annotated/compressed``, ``emotions``, ``events``, ``group`` and ``/diagnostics`` in browsers.

    Three threads: the executor's runs the callbacks and the timer, ``http`` answers browsers, and the one of
    :class:`BatchingQueue` classifies dropped pictures with the settings of the detector.
    """

    def __init__(self) -> None:
        super().__init__("web")
        config = declare(self, WebConfig)
        token = read_token(config.token_file, config.host)
        self._listening = listen(config.host, config.port)
        limits = ServeConfig()
        self._settings = settings = DetectorSettings(self)
        self._state = LiveState()
        self._backend = BatchingQueue(settings.read, limits.max_batch_size, limits.max_queue_size)
        self._capture = self.create_client(StartCapture, "capture/start")
        page = create_page(self._state, self._backend, token, self._start_capture, lambda: settings.source)
        self._server = create_server(page, SHUTDOWN_TIMEOUT_S)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]}, name="http")
        self._detector_subscriptions: list[Any] = []
        self._events: deque[dict[str, Any]] = deque(maxlen=SHOWN_EVENTS)
        self._last_emotions = self._last_diagnostics = 0.0  # arrival, or subscription, seconds of the monotonic clock
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # timers of the system's clock stop while it is set back
        self.create_timer(VIEWER_CHECK_INTERVAL_S, self._update_subscriptions, clock=steady)

    def start(self) -> None:
        """Start the web server."""
        self._thread.start()
        self.get_logger().info(f"live page: {url_of(self._listening)}")

    def stop(self) -> None:
        """Stop the web server and free the pipeline."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._settings.close()
        self._backend.close()

    def _update_subscriptions(self) -> None:
        """Subscribe while the page is open: without subscribers the detector does not draw images."""
        has_viewers = bool(self._state.viewers)
        if has_viewers:
            self._state.update(capture=self._capture.service_is_ready())
        if has_viewers and not self._detector_subscriptions:
            self._subscribe()
        elif self._detector_subscriptions and not has_viewers:
            self._unsubscribe()
        elif has_viewers:
            self._forget_outdated(time.monotonic() - OUTDATED_AFTER_S)

    def _forget_outdated(self, limit: float) -> None:
        """Remove from the page what arrived before a time of the monotonic clock."""
        if self._last_emotions < limit:
            self._state.update(people=[], group=None)
        if self._last_diagnostics < limit:
            self._state.update(diagnostics={}, status=NO_DIAGNOSTICS)

    def _subscribe(self) -> None:
        self._last_emotions = self._last_diagnostics = time.monotonic()
        self._detector_subscriptions = [
            self.create_subscription(
                CompressedImage, "annotated/compressed", self._on_image, image_subscription("best_effort")
            ),
            self.create_subscription(EmotionArray, "emotions", self._on_emotions, PUBLISH),
            self.create_subscription(ExpressionEvent, "events", self._on_event, EVENTS),
            self.create_subscription(GroupMood, "group", self._on_group, PUBLISH),
            self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10),
        ]

    def _unsubscribe(self) -> None:
        for subscription in self._detector_subscriptions:
            self.destroy_subscription(subscription)
        self._detector_subscriptions = []
        self._events.clear()
        self._state.clear()

    def _on_image(self, message: CompressedImage) -> None:
        self._state.update(bytes(message.data))

    def _on_emotions(self, message: EmotionArray) -> None:
        self._last_emotions = time.monotonic()
        self._state.update(
            people=perception_record(to_perception(message))["people"],
            labels=[*message.labels],
            model=message.model,
            stamp=seconds(message.header),
        )

    def _on_event(self, message: ExpressionEvent) -> None:
        self._events.appendleft(event_record(to_event(message)))
        self._state.update(events=[*self._events])

    def _on_group(self, message: GroupMood) -> None:
        self._state.update(group=group_record(to_group(message)))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if self._is_of_detector(status.name):
                self._last_diagnostics = time.monotonic()
                self._state.update(diagnostics={item.key: item.value for item in status.values}, status=status.message)

    def _is_of_detector(self, status: str) -> bool:
        """Return whether a status is of a detector in this node's namespace, or above it: cameras have their own."""
        own = f"{STATUS_NAME}{self.get_namespace().rstrip('/')}/"
        return status.startswith(STATUS_NAME) and own.startswith(f"{status}/")

    def _start_capture(self, label: str, count: int) -> tuple[bool, str]:
        """Request pictures from the capture node. Called by the web server's thread, answered by the executor's."""
        if not self._capture.service_is_ready():
            return False, "no capture node runs; start one with detect.launch.py capture:=FOLDER"
        answered = threading.Event()
        future = self._capture.call_async(StartCapture.Request(label=label, count=count))
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(CAPTURE_TIMEOUT_S) or future.result() is None:
            return False, f"the capture node did not answer within {CAPTURE_TIMEOUT_S:g} s"
        return future.result().success, future.result().message
