"""From messages to perceptions, in the worker's thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotion_ros.config import DetectorConfig, PipelineConfig
from emotion_ros.io.emotion_messages import seconds
from emotion_ros.io.frame_clock import FrameClock
from emotion_ros.nodes.camera import Camera
from emotion_ros.perception.loaded_models import LoadedModels
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.schedule import is_due, is_idle
from emotion_ros.perception.state import Frame
from emotion_ros.types import Perception


@dataclass(frozen=True)
class Settings:
    """Settings and networks of the worker. Replaced as a whole, between two images."""

    detector: DetectorConfig
    pipeline: PipelineConfig
    models: LoadedModels


@dataclass(frozen=True)
class Arrival:
    """An image message.

    Attributes:
        message: sensor_msgs/Image or CompressedImage.
        time: of its arrival, seconds of the monotonic clock.
        activation: of the worker, in which it arrived.
    """

    message: Any
    time: float
    activation: int


class FrameProcessor:
    """Decodes the images that are due and perceives the people in them. Used by one thread only.

    Args:
        pipeline: owned from now on.
        cameras: by topic.
        warn: logs a warning.
        report_failure: logs and counts an error of a camera's frame.

    Attributes:
        skipped: number of images that were not due, or older than the one before.
        idle_cameras: topics of the cameras in front of which no face is visible.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        cameras: Mapping[str, Camera],
        warn: Callable[[str], object],
        report_failure: Callable[[str, Exception], None],
    ) -> None:
        self._pipeline, self._cameras, self._warn, self._report_failure = pipeline, cameras, warn, report_failure
        self._clocks = {topic: FrameClock() for topic in cameras}
        self._warned: set[tuple[str, str]] = set()
        self.skipped = 0
        self.idle_cameras: frozenset[str] = frozenset()

    def configure(self, settings: Settings) -> bool:
        """Apply settings that changed since the last image.

        Returns:
            True if the labels, the model or ``min_confidence`` changed.
        """
        pipeline, before = self._pipeline, self._pipeline.config
        replaced = settings.models.emotion is not pipeline.models.emotion
        if settings.models is not pipeline.models or settings.pipeline != before:
            pipeline.configure(settings.pipeline, settings.models)
        return replaced or settings.pipeline.min_confidence != before.min_confidence

    def process(self, arrivals: Mapping[str, Arrival], settings: Settings) -> list[tuple[Frame, Perception]]:
        """Perceive the newest image of each camera. A frame that fails is reported and left out."""
        due = [topic for topic, arrival in arrivals.items() if self._is_due(topic, arrival, settings)]
        max_pixels = settings.pipeline.max_image_pixels
        decoded = [self._decode(topic, arrivals[topic], max_pixels) for topic in due]
        return self._perceive([frame for frame in decoded if frame is not None])

    def _perceive(self, frames: Sequence[Frame]) -> list[tuple[Frame, Perception]]:
        if not frames:
            return []
        try:
            return list(zip(frames, self._pipeline.perceive_all(frames), strict=True))
        except Exception as error:  # a failed frame is skipped, the node continues
            if len(frames) == 1:
                self._fail(frames[0].camera, error)
                return []
        return [result for frame in frames for result in self._perceive([frame])]

    def _decode(self, topic: str, arrival: Arrival, max_pixels: int) -> Frame | None:
        try:
            return self._cameras[topic].to_frame(arrival.message, self._clocks[topic].time, max_pixels)
        except Exception as error:  # a message that cannot be decoded is skipped
            self._fail(topic, error)
            return None

    def _fail(self, topic: str, error: Exception) -> None:
        self._pipeline.record_failure(topic, self._clocks[topic].time)
        self._report_failure(topic, error)

    def _is_due(self, topic: str, arrival: Arrival, settings: Settings) -> bool:
        clock, stamp = self._clocks[topic], seconds(arrival.message.header)
        if clock.is_late(stamp, arrival.time):  # processed, it would make everybody a new person
            self._warn_once(topic, "the stamps of the images are not monotonic; images that are late are skipped")
            self.skipped += 1
            return False
        time, history = clock.update(stamp, arrival.time), self._pipeline.history(topic)
        if clock.is_stalled:
            self._warn_once(topic, "the stamps of the images do not advance; their arrival times are used instead")
        timeout = settings.pipeline.track_timeout
        others = self.idle_cameras - {topic}
        self.idle_cameras = others | {topic} if is_idle(history, time, timeout) else others
        due = is_due(history, time, settings.detector.idle_rate, timeout)
        self.skipped += not due
        return due

    def _warn_once(self, topic: str, text: str) -> None:
        if (topic, text) not in self._warned:
            self._warned.add((topic, text))
            self._warn(f"{topic}: {text}")
