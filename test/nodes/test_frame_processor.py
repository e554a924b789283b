"""From messages to perceptions: a failure costs its own camera only, and settings arrive between two images."""

from types import SimpleNamespace

import pytest
from std_msgs.msg import Header

from emotion_ros.config import DetectorConfig, PipelineConfig
from emotion_ros.nodes.frame_processor import Arrival, FrameProcessor, Settings
from emotion_ros.perception.loaded_models import load_models
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.state import Frame

CONFIG = PipelineConfig(hands=False)


class Decoder:
    """Decodes to a given image, or fails, in place of a camera's messages."""

    def __init__(self, topic, image):
        self.topic, self.image = topic, image

    def to_frame(self, message, time, max_pixels):
        if self.image is None:
            raise RuntimeError("undecodable")
        return Frame(self.image, time, self.topic)


@pytest.fixture
def pipeline():
    made = Pipeline(CONFIG)
    yield made
    made.close()


@pytest.fixture
def processor(pipeline):
    """A function that creates a processor of cameras with these images; its failures are in ``failures``."""

    def create(**images):
        failures = []
        cameras = {topic: Decoder(topic, image) for topic, image in images.items()}
        made = FrameProcessor(pipeline, cameras, failures.append, lambda *failure: failures.append(failure))
        made.failures = failures
        return made

    return create


def arrivals(seconds, *topics):
    header = Header()
    header.stamp.sec, header.stamp.nanosec = divmod(round(seconds * 1e9), 10**9)
    return {topic: Arrival(SimpleNamespace(header=header), seconds, 0) for topic in topics}


def settings(pipeline, **changes):
    return Settings(DetectorConfig(), PipelineConfig(hands=False, **changes), pipeline.models)


def test_camera_that_fails_costs_the_others_nothing(processor, pipeline, portrait):
    cameras = processor(good=portrait, bad=None)
    for number in range(3):
        results = cameras.process(arrivals(1 + number / 30, "good", "bad"), settings(pipeline))
        assert [(frame.camera, len(perception.people)) for frame, perception in results] == [("good", 1)]
    assert [(camera, str(error)) for camera, error in cameras.failures] == [("bad", "undecodable")] * 3


def test_image_that_cannot_be_perceived_costs_only_itself(processor, pipeline, portrait):
    cameras = processor(good=portrait, bad=portrait[:, :, 0])
    results = cameras.process(arrivals(1.0, "good", "bad"), settings(pipeline))
    assert [frame.camera for frame, _ in results] == ["good"]
    assert [camera for camera, _ in cameras.failures] == ["bad"]


def test_camera_that_always_fails_is_processed_at_the_idle_rate(processor, pipeline):
    cameras = processor(bad=None)
    for number in range(90):
        cameras.process(arrivals(10 + number / 30, "bad"), settings(pipeline))
    assert len(cameras.failures) == pytest.approx(30 + 2 * 5, abs=3)  # a second of all, then two at 5 Hz
    assert cameras.skipped == 90 - len(cameras.failures)


def test_settings_arrive_between_two_images_and_report_changed_labels(processor, pipeline, portrait):
    cameras = processor(front=portrait)
    assert not cameras.configure(settings(pipeline))
    assert cameras.configure(settings(pipeline, min_confidence=1.0))
    ((_, perception),) = cameras.process(arrivals(1.0, "front"), settings(pipeline, min_confidence=1.0))
    assert [person.label for person in perception.people] == ["unknown"]
    config = PipelineConfig(hands=False, label_map="{joy: [happy]}")
    models = load_models(config, pipeline.models, {"label_map"})
    assert cameras.configure(Settings(DetectorConfig(), config, models))
    assert models.faces is pipeline.models.faces
    ((_, perception),) = cameras.process(arrivals(1.1, "front"), settings(pipeline))
    assert "joy" in perception.labels
