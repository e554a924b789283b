"""A running detector: images on its topics, and parameters through its services."""

import contextlib
import itertools
import os
import time
from array import array

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from emotion_ros.msg import EmotionArray
from pictures import hostile_messages
from processes import peak_mebibytes, reset_peak, running
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from results import Result
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from texts import parameters

from emotion_ros.config import DetectorConfig, PipelineConfig
from emotion_ros.config.options import options
from emotion_ros.io.sources import frames
from emotion_ros.nodes.graph import Process
from emotion_ros.nodes.image_conversion import to_jpeg, to_message
from emotion_ros.perception.loaded_models import RELOADABLE

RAW, COMPRESSED = "raw/image_raw", "packed/image_raw"
SETTINGS = {"hands": False, "idle_rate": 0.0, "image_topics": [RAW, COMPRESSED]}

IMAGE_SECONDS, PARAMETER_SECONDS = 15.0, 40.0
"""Time until a good image after hostile ones is processed, and until a request is answered (a trial takes 30 s)."""

IMAGE_MEBIBYTES, PARAMETER_MEBIBYTES = 700, 300
"""An image of 50 million pixels takes up to 431 MB to decode, and 150 MB in its message."""

START_S = 300.0

DIAGNOSTICS_S = 1.5
"""Time in which new diagnostics arrive; they are published once a second."""

BURST = 100
"""Hostile images between two good ones. The detector processes the newest and drops the others."""

MODEL_INTERVAL = 10
"""Of that many requests about models one is made: each takes a child process, as `load ONNX models` does faster."""


class Attacker:
    """A node that publishes images to the detector and calls its services."""

    def __init__(self):
        rclpy.init()
        self._node = rclpy.create_node("attacker")
        self.stamps, self.counts = [], {}
        for topic in (RAW, COMPRESSED):
            emotions = topic.replace("image_raw", "emotions")
            self._node.create_subscription(EmotionArray, emotions, self._on_emotions, 50)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._raw = self._node.create_publisher(Image, RAW, 5)
        self._compressed = self._node.create_publisher(CompressedImage, f"{COMPRESSED}/compressed", 5)
        self._parameters = self._node.create_client(SetParameters, "detector/set_parameters")
        self._portrait, self._number = next(frames("sample")).image, itertools.count(1)

    def close(self):
        """Leave the ROS graph."""
        self._node.destroy_node()
        rclpy.try_shutdown()

    def until(self, condition, seconds):
        """Spin until a condition is true or a time has passed; return the condition's last result."""
        deadline = time.monotonic() + seconds
        while not (met := condition()) and time.monotonic() < deadline:
            rclpy.spin_once(self._node, timeout_sec=0.02)
        return met

    def publish(self, fields):
        """Publish a hostile image, raw or compressed."""
        kind, publisher = (CompressedImage, self._compressed) if hasattr(fields, "format") else (Image, self._raw)
        values = {name: value for name, value in vars(fields).items() if name != "data"}
        publisher.publish(kind(data=array("B", fields.data), **values))

    def seconds_to_answer(self, limit):
        """Return the seconds until a good image of both cameras is processed as such; infinite after a limit."""
        header = Header(frame_id="camera")
        header.stamp.sec = next(self._number)
        start, wanted = time.monotonic(), header.stamp.sec
        while time.monotonic() - start < limit:
            self._raw.publish(to_message(self._portrait, header))
            self._compressed.publish(to_jpeg(self._portrait, header))
            if self.until(lambda: self.stamps.count(wanted) >= 2, 0.5):
                return time.monotonic() - start
        return float("inf")

    def set_parameters(self, values, limit):
        """Set parameters, and return the reasons for which they are refused; None if no answer comes."""
        if not self._parameters.wait_for_service(limit):
            return None
        request = SetParameters.Request(
            parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in values.items()]
        )
        answer = self._parameters.call_async(request)
        if not self.until(answer.done, limit):
            return None
        return [each.reason for each in answer.result().results if not each.successful]

    def _on_emotions(self, message):
        if [person.label for person in message.emotions] == ["happy"]:
            self.stamps.append(message.header.stamp.sec)

    def _on_diagnostics(self, message):
        for status in message.status:
            self.counts.update(
                {pair.key: int(pair.value) for pair in status.values if pair.key in ("processed", "failed")}
            )


@contextlib.contextmanager
def attacked_detector():
    """Yield an attacker, the process of a detector that processes its images, and the detector's output."""
    os.environ["ROS_DOMAIN_ID"] = str(60 + os.getpid() % 40)  # no other node of this machine is attacked
    os.environ["ROS_LOCALHOST_ONLY"] = "1"
    _, *command = Process("detector", SETTINGS).command()
    with running(command) as (process, output):
        attacker = Attacker()
        try:
            if attacker.seconds_to_answer(START_S) > START_S:
                raise SystemExit(f"attack: the detector did not start: {output()}")
            yield attacker, process, output
        finally:
            attacker.close()


def attack_images(seed, count):
    """Publish images until the detector has processed or refused ``count``, and return the :class:`Result`."""
    result = Result("images to a detector node", (IMAGE_SECONDS, IMAGE_MEBIBYTES))
    with attacked_detector() as (attacker, process, output):
        messages = hostile_messages(seed)
        attacker.until(lambda: attacker.counts, IMAGE_SECONDS)
        attacker.until(lambda: False, DIAGNOSTICS_S)
        first, before = {**attacker.counts, "good": len(attacker.stamps)}, reset_peak(process)
        while result.tried < count and process.poll() is None and not result.failures:
            tried = result.tried
            for message in itertools.islice(messages, BURST):
                attacker.publish(message)
                attacker.until(lambda: False, 0.02)
            seconds = attacker.seconds_to_answer(2 * IMAGE_SECONDS)
            attacker.until(lambda: False, DIAGNOSTICS_S)
            good = len(attacker.stamps) - first["good"]
            result.accepted = attacker.counts["processed"] - first["processed"] - good
            result.refused = attacker.counts["failed"] - first["failed"]
            _check(result, seconds, peak_mebibytes(process) - before)
            if result.tried == tried:
                result.failures.append("none of a burst of hostile images was processed or refused")
        _check_alive(result, process, output)
    return result


def attack_parameters(seed, count):
    """Set parameters of a detector that runs, ``count`` times, and return the :class:`Result`."""
    result = Result("parameters of a detector node", (PARAMETER_SECONDS, PARAMETER_MEBIBYTES))
    defaults = {each.name: each.default for config in (DetectorConfig, PipelineConfig) for each in options(config)}
    with attacked_detector() as (attacker, process, output):
        before, requests, trials = reset_peak(process), parameters(seed), itertools.count()
        while result.tried < count and process.poll() is None:
            values = {name: value for name, value in next(requests)[1].items() if _is_parameter(name, value)}
            if not values or (RELOADABLE & set(values) and next(trials) % MODEL_INTERVAL):
                continue
            start = time.monotonic()
            reasons = attacker.set_parameters(values, PARAMETER_SECONDS)
            seconds, memory = time.monotonic() - start, peak_mebibytes(process) - before
            lines = reasons is None or any(len(reason.splitlines()) != 1 for reason in reasons)
            result.record(
                "failed" if lines else "refused" if reasons else "accepted",
                seconds,
                memory,
                f"{values!r:.200}: {reasons}",
            )
        live = {name: value for name, value in {**defaults, **SETTINGS}.items() if name in _live() - RELOADABLE}
        attacker.set_parameters(live, PARAMETER_SECONDS)
        attacker.set_parameters({name: defaults[name] for name in RELOADABLE & set(defaults)}, PARAMETER_SECONDS)
        if attacker.seconds_to_answer(IMAGE_SECONDS) > IMAGE_SECONDS:
            result.failures.append("a good image is not processed afterwards")
        _check_alive(result, process, output)
    return result


def _live():
    return {each.name for config in (DetectorConfig, PipelineConfig) for each in options(config) if each.live}


def _is_parameter(name, value):
    """Return whether ROS has a type for a value."""
    try:
        serialize_message(Parameter(name, value=value).to_parameter_msg())
    except Exception:  # of rclpy and of the message, of several types
        return False
    return value is not None


def _check(result, seconds, memory):
    """Check the bounds of a burst; it adds no input."""
    result.slowest, result.memory = max(result.slowest, seconds), max(result.memory, memory)
    if seconds > IMAGE_SECONDS or memory > IMAGE_MEBIBYTES:
        result.failures.append(f"a good image after a burst took {seconds:.1f} s, the node {memory} MiB")


def _check_alive(result, process, output):
    if process.poll() is not None:
        result.failures.append(f"the detector ended with {process.poll()}: {output()[-300:]}")
