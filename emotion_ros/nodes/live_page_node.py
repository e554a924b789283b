"""The web node: the live page. It listens to the detector only while somebody watches."""

from __future__ import annotations

import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage

from emotion_ros.config import PipelineConfig, ServeConfig, WebConfig
from emotion_ros.io.emotion_messages import seconds, to_perception
from emotion_ros.io.records import perception_record
from emotion_ros.msg import EmotionArray
from emotion_ros.nodes.parameters import declare
from emotion_ros.nodes.qos import PUBLISH, image_subscription
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.serving.authentication import read_token
from emotion_ros.serving.batching import BatchingQueue
from emotion_ros.serving.live_page import LiveState, create_page
from emotion_ros.serving.server import address, listen, make_server
from emotion_ros.srv import StartCapture

LOOK = 0.2
"""Seconds between looks at whether somebody watches."""

STATUS = "emotion_ros"
"""What the name of the detector's diagnostic status holds."""

ANSWER = 5.0
"""Seconds that the capture node has to answer."""


class LivePage(Node):
    """Shows what ``annotated/compressed``, ``emotions`` and ``/diagnostics`` bring.

    It stores pictures by the capture node, where that runs.
    """

    def __init__(self) -> None:
        super().__init__("web")
        config = declare(self, WebConfig)
        token = read_token(config.token_file, config.host)
        self._listening = listen(config.host, config.port)
        serve = ServeConfig()
        self._feed = LiveState()
        self._engine = BatchingQueue(lambda: Pipeline(PipelineConfig()), serve.batch, serve.wait / 1000, serve.queue)
        self._capture = self.create_client(StartCapture, "capture/start")
        self._server = make_server(create_page(self._feed, self._engine, token, self._store), patience=1)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]}, name="http")
        self._subscriptions_of_watchers: list[Any] = []
        self.create_timer(LOOK, self._look)

    def start(self) -> None:
        """Answer browsers."""
        self._thread.start()
        self.get_logger().info(f"look at {address(self._listening)}")

    def stop(self) -> None:
        """Let browsers go."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._engine.close()

    def _look(self) -> None:
        """Listen while somebody watches: what nobody listens to, the detector does not make."""
        watched = bool(self._feed.watchers)
        if watched:
            self._feed.put(capture=self._capture.service_is_ready())
        if watched == bool(self._subscriptions_of_watchers):
            return
        if watched:
            newest = image_subscription("best_effort")
            self._subscriptions_of_watchers = [
                self.create_subscription(CompressedImage, "annotated/compressed", self._on_picture, newest),
                self.create_subscription(EmotionArray, "emotions", self._on_emotions, PUBLISH),
                self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10),
            ]
            return
        for each in self._subscriptions_of_watchers:
            self.destroy_subscription(each)
        self._subscriptions_of_watchers = []
        self._feed.forget()

    def _on_picture(self, message: CompressedImage) -> None:
        self._feed.put(bytes(message.data))

    def _on_emotions(self, message: EmotionArray) -> None:
        self._feed.put(
            people=perception_record(to_perception(message))["people"],
            labels=[*message.labels],
            model=message.model,
            stamp=seconds(message.header),
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if STATUS in status.name:
                self._feed.put(diagnostics={each.key: each.value for each in status.values}, health=status.message)

    def _store(self, label: str, count: int) -> tuple[bool, str]:
        """Called by the thread that answers browsers; the answer comes by the one that spins."""
        if not self._capture.service_is_ready():
            return False, "no capture node runs: give detect.launch.py capture:=FOLDER"
        answered = threading.Event()
        future = self._capture.call_async(StartCapture.Request(label=label, count=count))
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(ANSWER) or future.result() is None:
            return False, f"the capture node did not answer within {ANSWER:g} s"
        return future.result().success, future.result().message
