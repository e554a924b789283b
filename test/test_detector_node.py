"""The real detector node in a process of its own, seen from another."""

import signal
import time
from array import array

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from emotion_ros.msg import EmotionArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from emotion_ros.catalog import default_model
from emotion_ros.nodes.images import decode, to_jpeg, to_message


@pytest.fixture
def camera(listener):
    """A publisher of images that waits for the detector first."""
    publisher = listener.node.create_publisher(Image, "image_raw", 5)

    def publish(message):
        assert listener.until(publisher.get_subscription_count), "the detector did not come up"
        publisher.publish(message)

    return publish


def header(seconds=7):
    made = Header(frame_id="camera")
    made.stamp.sec = seconds
    return made


def set_parameter(listener, name, value):
    kinds = {
        float: ("double_value", ParameterType.PARAMETER_DOUBLE),
        str: ("string_value", ParameterType.PARAMETER_STRING),
    }
    field, kind = kinds[type(value)]
    request = SetParameters.Request()
    request.parameters = [Parameter(name=name, value=ParameterValue(type=kind, **{field: value}))]
    (result,) = listener.call(SetParameters, "detector/set_parameters", request).results
    return result


def change_state(listener, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return listener.call(ChangeState, "detector/change_state", request).success


def state(listener):
    return listener.call(GetState, "detector/get_state", GetState.Request()).current_state.label


def test_bad_images_cost_only_themselves_and_the_node_ends_cleanly(listener, camera, start, portrait):
    detector = start("detector", hands=False)
    heard = listener.hear(EmotionArray, "emotions")
    good = to_message(portrait, header())
    flaws = [{"encoding": "hologram"}, {"step": 3}, {"data": array("B", b"123")}, {"width": 0}]
    for number, flaw in enumerate(flaws):
        bad = to_message(portrait, header())
        for name, value in flaw.items():
            setattr(bad, name, value)
        camera(bad)
        time.sleep(0.2)
        heard.clear()
        camera(good)
        assert listener.until(lambda: heard), f"silent after bad image {number}"
    message = heard[-1]
    assert message.header == header()
    assert (message.width, message.height) == (640, 480)
    assert [each.label for each in message.emotions] == ["happy"]
    assert sum(message.emotions[0].probabilities) == pytest.approx(1, abs=1e-4)

    begin = time.monotonic()
    detector.send_signal(signal.SIGTERM)
    assert detector.wait(5) == 0
    assert time.monotonic() - begin < 2
    errors = detector.stderr.read()
    assert "hologram" in errors
    assert "Traceback" not in errors


def test_one_message_per_image_also_when_nobody_is_there(listener, camera, start, portrait):
    start("detector", hands=False)
    heard = listener.hear(EmotionArray, "emotions")
    for seconds in range(1, 6):
        camera(to_message(portrait * 0, header(seconds)))
        assert listener.until(lambda count=seconds: len(heard) == count)
    assert [each.header.stamp.sec for each in heard] == [1, 2, 3, 4, 5]
    assert all(not each.emotions and not each.hands and len(each.labels) == 7 for each in heard)


def test_detections_and_annotated_images_are_made_while_somebody_subscribes(listener, camera, start, portrait):
    start("detector", hands=False)
    emotions, detections = listener.hear(EmotionArray, "emotions"), listener.hear(Detection2DArray, "detections")
    annotated, jpegs = listener.hear(Image, "annotated"), listener.hear(CompressedImage, "annotated/compressed")
    camera(to_message(portrait, header()))
    assert listener.until(lambda: emotions and detections and annotated and jpegs)
    (person,), (face,) = emotions[0].emotions, detections[0].detections
    assert face.id == person.id
    assert face.results[0].hypothesis.class_id == person.label == "happy"
    assert sum(each.hypothesis.score for each in face.results) == pytest.approx(1, abs=1e-4)
    assert face.bbox.center.position.x == pytest.approx(person.face.x_offset + person.face.width / 2, abs=1)
    assert bytes(annotated[0].data) != portrait.tobytes()
    assert annotated[0].header == jpegs[0].header == detections[0].header == header()
    assert decode(jpegs[0]).shape == (480, 640, 3)


def test_truncated_jpeg_costs_only_itself(listener, start, portrait):
    detector = start("detector", hands=False, image_transport="compressed")
    publisher = listener.node.create_publisher(CompressedImage, "image_raw/compressed", 5)
    heard = listener.hear(EmotionArray, "emotions")
    assert listener.until(publisher.get_subscription_count)
    good = to_jpeg(portrait, header(), 90)
    publisher.publish(CompressedImage(header=header(), format=good.format, data=good.data[:5000]))
    time.sleep(0.3)
    publisher.publish(good)
    assert listener.until(lambda: heard)
    assert [each.label for each in heard[0].emotions] == ["happy"]
    detector.terminate()
    assert "ends too early" in detector.communicate()[1]


def test_parameters_change_at_run_time_or_say_why_not(listener, camera, start, portrait):
    start("detector", hands=False)
    heard = listener.hear(EmotionArray, "emotions")
    camera(to_message(portrait, header()))
    assert listener.until(lambda: heard)
    refused = set_parameter(listener, "face_confidence", 1.5)
    assert not refused.successful
    assert refused.reason
    refused = set_parameter(listener, "model", "other.onnx")
    assert not refused.successful
    assert "unconfigured" in refused.reason
    assert set_parameter(listener, "confidence_floor", 1.0).successful
    heard.clear()
    camera(to_message(portrait, header()))
    assert listener.until(lambda: heard)
    assert [each.label for each in heard[0].emotions] == ["unknown"]


def test_parameters_are_described(listener, start):
    start("detector", hands=False)
    request = DescribeParameters.Request(names=["face_confidence", "provider"])
    answer = listener.call(DescribeParameters, "detector/describe_parameters", request)
    confidence, provider = answer.descriptors
    assert (confidence.floating_point_range[0].from_value, confidence.floating_point_range[0].to_value) == (0.0, 1.0)
    assert "tensorrt" in provider.description


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"model": "/none.onnx"}, "found no such file"),
        ({"provider": "cuda"}, "not in this ONNX Runtime"),
        ({"face_detector": "yunet"}, "models fetch"),
    ],
)
def test_node_lives_on_without_its_model_and_can_be_mended(listener, camera, start, portrait, parameters, text):
    start("detector", hands=False, **parameters)
    diagnostics, heard = listener.hear(DiagnosticArray, "/diagnostics"), listener.hear(EmotionArray, "emotions")

    def error():
        return [each for one in diagnostics for each in one.status if each.level == DiagnosticStatus.ERROR]

    assert listener.until(error), "no diagnostics of an error"
    assert text in error()[0].message
    assert state(listener) == "unconfigured"
    cure = {"model": str(default_model()), "provider": "cpu", "face_detector": "mediapipe"}
    for name in parameters:
        assert set_parameter(listener, name, cure[name]).successful
    assert change_state(listener, Transition.TRANSITION_CONFIGURE)
    assert change_state(listener, Transition.TRANSITION_ACTIVATE)
    camera(to_message(portrait, header()))
    assert listener.until(lambda: heard)


def test_lifecycle_goes_round(listener, camera, start, portrait):
    start("detector", hands=False, autostart=False)
    heard = listener.hear(EmotionArray, "emotions")
    assert state(listener) == "unconfigured"
    for _ in range(2):
        assert change_state(listener, Transition.TRANSITION_CONFIGURE)
        assert change_state(listener, Transition.TRANSITION_ACTIVATE)
        heard.clear()
        camera(to_message(portrait, header()))
        assert listener.until(lambda: heard)
        assert change_state(listener, Transition.TRANSITION_DEACTIVATE)
        assert change_state(listener, Transition.TRANSITION_CLEANUP)
    assert state(listener) == "unconfigured"


@pytest.mark.parametrize(
    ("executable", "parameters", "text"),
    [
        ("detector", {"face_confidence": 1.5}, "face_confidence"),
        ("detector", {"face_detector": "eagle"}, "one of mediapipe"),
        ("detector", {"max_hands": "many"}, "max_hands"),
        ("image_source", {"source": "none.mp4"}, "found nothing there"),
        ("recorder", {"out": "/proc/none"}, "can be written to"),
    ],
)
def test_wrong_parameter_is_one_clear_line(start, executable, parameters, text):
    process = start(executable, **parameters)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert text in errors
    assert "Traceback" not in errors


def test_whole_number_is_taken_for_a_float(listener, start):
    start("image_source", source="sample", rate=30, loop=True)
    heard = listener.hear(Image, "image_raw")
    assert listener.until(lambda: heard)
