"""The real detector node in a process of its own, seen from another."""

import itertools
import os
import re
import signal
import threading
import time
from array import array
from pathlib import Path

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from emotion_ros.msg import EmotionArray
from hostile_pictures import png
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from process_log import until_logged
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray, LabelInfo, VisionInfo

from emotion_ros.inference.catalog import default_model
from emotion_ros.io.emotion_messages import seconds
from emotion_ros.io.encodings import decode
from emotion_ros.nodes import detector_node, watchdog
from emotion_ros.nodes.camera import Camera
from emotion_ros.nodes.graph import Process
from emotion_ros.nodes.image_conversion import to_jpeg, to_message
from emotion_ros.perception.loaded_models import LoadedModels, load_models
from emotion_ros.perception.pipeline import Pipeline


@pytest.fixture
def camera(listener):
    """A publisher of images that waits for the detector first."""
    publisher = listener.node.create_publisher(Image, "image_raw", 5)

    def publish(message):
        if not publisher.get_subscription_count():
            assert listener.until(publisher.get_subscription_count), "the detector did not come up"
            listener.settle()
        publisher.publish(message)

    return publish


def header(seconds=7):
    made = Header(frame_id="camera")
    made.stamp.sec = seconds
    return made


def set_parameter(listener, name, value):
    kinds = {
        int: ("integer_value", ParameterType.PARAMETER_INTEGER),
        float: ("double_value", ParameterType.PARAMETER_DOUBLE),
        str: ("string_value", ParameterType.PARAMETER_STRING),
        list: ("string_array_value", ParameterType.PARAMETER_STRING_ARRAY),
    }
    field, kind = kinds[type(value)]
    request = SetParameters.Request()
    request.parameters = [Parameter(name=name, value=ParameterValue(type=kind, **{field: value}))]
    (result,) = listener.call(SetParameters, "detector/set_parameters", request, seconds=40).results
    return result


def change_state(listener, transition, node="detector"):
    request = ChangeState.Request(transition=Transition(id=transition))
    return listener.call(ChangeState, f"{node}/change_state", request).success


def state(listener, node="detector"):
    return listener.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label


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

    detector.send_signal(signal.SIGTERM)
    assert detector.wait(10) == 0
    errors = detector.stderr.read()
    assert "hologram" in errors
    assert "Traceback" not in errors


def test_one_message_per_image_also_without_people(listener, camera, start, portrait):
    start("detector", hands=False)
    heard = listener.hear(EmotionArray, "emotions")
    for second in range(1, 6):
        camera(to_message(portrait * 0, header(second)))
        assert listener.until(lambda count=second: len(heard) == count)
    assert [each.header.stamp.sec for each in heard] == [1, 2, 3, 4, 5]
    assert all(not each.emotions and not each.hands and len(each.labels) == 7 for each in heard)


def test_detections_and_annotated_images_are_made_while_somebody_subscribes(listener, camera, start, portrait):
    start("detector", hands=False)
    emotions, detections = listener.hear(EmotionArray, "emotions"), listener.hear(Detection2DArray, "detections")
    annotated, jpegs = listener.hear(Image, "annotated"), listener.hear(CompressedImage, "annotated/compressed")
    camera(to_message(portrait, header()))
    assert listener.until(lambda: emotions and detections and annotated and jpegs)
    (person,), (face, attention) = emotions[0].emotions, detections[0].detections
    assert face.id == attention.id == person.id
    assert face.results[0].hypothesis.class_id == person.label == "happy"
    assert sum(each.hypothesis.score for each in face.results) == pytest.approx(1, abs=1e-4)
    assert attention.results[0].hypothesis.class_id == "attention"
    assert attention.results[0].hypothesis.score == pytest.approx(person.attention)
    assert attention.bbox == face.bbox
    assert face.bbox.center.position.x == pytest.approx(person.face.x_offset + person.face.width / 2, abs=1)
    assert bytes(annotated[0].data) != portrait.tobytes()
    assert annotated[0].header == jpegs[0].header == detections[0].header == header()
    assert decode(jpegs[0]).shape == (480, 640, 3)


def test_truncated_jpeg_costs_only_itself(listener, start, portrait):
    detector = start("detector", hands=False, image_transport="compressed")
    publisher = listener.node.create_publisher(CompressedImage, "image_raw/compressed", 5)
    heard = listener.hear(EmotionArray, "emotions")
    assert listener.until(publisher.get_subscription_count)
    listener.settle()
    good = to_jpeg(portrait, header())
    publisher.publish(CompressedImage(header=header(), format=good.format, data=good.data[:5000]))
    until_logged(detector, "ends too early")
    publisher.publish(good)
    assert listener.until(lambda: heard)
    assert [each.label for each in heard[0].emotions] == ["happy"]


def test_compressed_image_that_decodes_to_gigabytes_costs_only_itself(listener, start, portrait):
    detector = start("detector", hands=False, image_transport="compressed")
    publisher = listener.node.create_publisher(CompressedImage, "image_raw/compressed", 5)
    heard = listener.hear(EmotionArray, "emotions")
    assert listener.until(publisher.get_subscription_count)
    listener.settle()
    good = to_jpeg(portrait, header())
    publisher.publish(good)
    assert listener.until(lambda: heard)
    before = peak_memory_mb(detector)
    publisher.publish(CompressedImage(header=header(), format="png", data=array("B", png(30_000, 30_000))))
    time.sleep(1)
    heard.clear()
    publisher.publish(good)
    assert listener.until(lambda: heard)
    assert peak_memory_mb(detector) - before < 100
    assert set_parameter(listener, "max_image_pixels", 640 * 480 - 1).successful
    heard.clear()
    publisher.publish(good)
    assert not listener.until(lambda: heard, 1)
    detector.terminate()
    errors = detector.communicate()[1]
    assert "expected at most 50000000 pixels (max_image_pixels), got 30000 × 30000" in errors


def peak_memory_mb(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def test_parameters_change_at_run_time_or_say_why_not(listener, camera, start, portrait):
    start("detector", hands=False)
    heard = listener.hear(EmotionArray, "emotions")
    camera(to_message(portrait, header()))
    assert listener.until(lambda: heard)
    refused = set_parameter(listener, "min_face_confidence", 1.5)
    assert not refused.successful
    assert refused.reason
    refused = set_parameter(listener, "max_hands", 2)
    assert not refused.successful
    assert "unconfigured" in refused.reason
    refused = set_parameter(listener, "face_detector", "yunet")
    assert not refused.successful
    assert "models fetch" in refused.reason
    before = heard[0].emotions[0].face
    assert set_parameter(listener, "face_detector", "mediapipe_full").successful
    heard.clear()
    camera(to_message(portrait, header()))
    assert listener.until(lambda: heard)
    assert [each.face != before for each in heard[0].emotions] == [True]
    assert set_parameter(listener, "min_confidence", 1).successful  # an integer, as ros2 param set sends it
    heard.clear()
    camera(to_message(portrait, header()))
    assert listener.until(lambda: heard)
    assert [each.label for each in heard[0].emotions] == ["unknown"]


def test_model_is_reloaded_while_images_come_and_a_bad_one_leaves_the_old_one(listener, start, tmp_path):
    start("detector", hands=False, track_timeout=20.0)  # a slow machine loses nobody
    start("image_source", source="sample", loop=True, rate=10.0)
    heard = listener.hear(EmotionArray, "emotions", depth=500)
    assert listener.until(lambda: len(heard) > 5)
    before = heard[-1]
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    refused = set_parameter(listener, "model", str(tmp_path / "bad.onnx"))
    assert not refused.successful
    assert "bad.onnx" in refused.reason
    begin = time.monotonic()
    assert set_parameter(listener, "model", "emotion_resnet18_int8").successful
    assert set_parameter(listener, "label_map", "{joy: [happy]}").successful
    changing = time.monotonic() - begin
    assert listener.until(lambda: "joy" in heard[-1].labels and heard[-1].emotions)
    assert listener.until(lambda: heard[-1].emotions[0].label == "joy")
    assert before.model.startswith("emotion_resnet18")
    assert heard[-1].model.startswith("emotion_resnet18_int8@")
    assert len({person.id for each in heard for person in each.emotions}) == 1
    pause = max(seconds(later.header) - seconds(earlier.header) for earlier, later in itertools.pairwise(heard))
    assert pause < max(1.5, changing / 4), changing  # a busy machine takes long for the changes, too


def test_node_is_switched_off_and_on(listener, camera, start, portrait):
    start("detector", hands=False)
    heard = listener.hear(EmotionArray, "emotions")
    camera(to_message(portrait, header()))
    assert listener.until(lambda: heard)
    answer = listener.call(SetBool, "detector/enable", SetBool.Request(data=False))
    assert (answer.success, answer.message) == (True, "not processing images")
    assert listener.until(lambda: listener.node.count_subscribers("image_raw") == 0)
    assert listener.call(SetBool, "detector/enable", SetBool.Request(data=True)).success
    heard.clear()
    camera(to_message(portrait, header(8)))
    assert listener.until(lambda: heard)
    assert change_state(listener, Transition.TRANSITION_DEACTIVATE)
    answer = listener.call(SetBool, "detector/enable", SetBool.Request(data=True))
    assert not answer.success
    assert "inactive" in answer.message


def values_of(status):
    return {each.key: each.value for each in status.values}


def test_diagnostics_have_state_rates_times_and_people(listener, start):
    start("detector", hands=False, min_rate=500.0)
    start("image_source", source="sample", loop=True, rate=10.0)
    heard, _ = listener.hear(DiagnosticArray, "/diagnostics"), listener.hear(EmotionArray, "emotions")
    assert listener.until(lambda: heard and "min_rate" in heard[-1].status[0].message, 30)
    status = heard[-1].status[0]
    values = values_of(status)
    assert (status.name, status.level) == ("/social_perception/faces/emotion_ros", DiagnosticStatus.WARN)
    assert (values["Module name"], values["Current lifecycle state"]) == ("detector", "active")
    assert values["model"].startswith("emotion_resnet18")
    assert (values["provider"], values["people"], values["failed"]) == ("cpu", "1", "0")
    assert float(values["input rate (Hz)"]) > 0 < float(values["output rate (Hz)"])
    assert float(values["latency p95 (ms)"]) >= float(values["latency p50 (ms)"]) > 0
    assert all(float(values[f"{stage} (ms)"]) > 0 for stage in ("faces", "classify", "people", "total"))
    topics = (Path(__file__).parents[2] / "docs" / "topics.md").read_text()
    assert [key for key in values if f"`{key}`" not in topics] == []


def test_diagnostics_are_an_error_while_frames_keep_failing_and_warn_when_none_come(listener, camera, start, portrait):
    start("detector", hands=False)
    heard, _ = listener.hear(DiagnosticArray, "/diagnostics"), listener.hear(EmotionArray, "emotions")
    bad = to_message(portrait, header())
    bad.encoding = "hologram"
    for _ in range(8):
        camera(bad)
        listener.until(lambda: False, 0.1)
    assert listener.until(lambda: any(each.status[0].level == DiagnosticStatus.ERROR for each in heard))
    assert any("frames failed" in each.status[0].message and "hologram" in each.status[0].message for each in heard)
    camera(to_message(portrait, header()))
    assert listener.until(lambda: heard[-1].status[0].level != DiagnosticStatus.ERROR)
    assert listener.until(lambda: heard[-1].status[0].message.startswith("no image on /image_raw (1 publisher)"))


def test_camera_is_subscribed_to_only_while_an_output_has_subscribers(listener, camera, start, portrait):
    start("detector", hands=False)
    diagnostics = listener.hear(DiagnosticArray, "/diagnostics")

    def without_subscribers():
        return diagnostics and diagnostics[-1].status[0].message.startswith("no output has subscribers")

    assert listener.until(without_subscribers)
    assert int(values_of(diagnostics[-1].status[0])["received"]) == 0 == listener.node.count_subscribers("image_raw")
    heard = listener.hear(EmotionArray, "emotions")
    assert listener.until(lambda: camera(to_message(portrait, header())) or heard)
    assert len(heard[0].emotions) == 1
    told = listener.until(lambda: diagnostics[-1].status[0].message.startswith("no image on /image_raw (1 publisher)"))
    assert told, diagnostics[-1].status[0].message
    listener.node.destroy_subscription([*listener.node.subscriptions][-1])
    assert listener.until(without_subscribers)
    assert listener.until(lambda: not listener.node.count_subscribers("image_raw"))


def test_empty_room_is_processed_at_the_idle_rate_and_a_face_is_found_soon(listener, start, camera, portrait):
    start("detector", hands=False, track_timeout=0.5, idle_rate=2.0)  # slower than a busy machine finds faces
    heard, empty = listener.hear(EmotionArray, "emotions"), np.zeros_like(portrait)
    assert listener.until(lambda: camera(to_message(empty, header())) or heard)

    def play(image, seconds):
        begin, sent = time.monotonic(), 0
        while (now := time.monotonic() - begin) < seconds:
            if now * 30 > sent:
                stamped = header()
                stamped.stamp = listener.node.get_clock().now().to_msg()
                camera(to_message(image, stamped))
                sent += 1
            rclpy.spin_once(listener.node, timeout_sec=0.005)
        return sent

    play(empty, 1.0)
    heard.clear()
    assert play(empty, 4.0) > 40
    assert 4 <= len(heard) <= 11  # 2 per second are processed
    begin = listener.node.get_clock().now().nanoseconds * 1e-9
    assert play(portrait, 4.0) > 40
    people = [each for each in heard if each.emotions]
    assert seconds(people[0].header) - begin < 1
    assert len(people) > 16
    assert listener.until(lambda: play(empty, 0.2) and not heard[-1].emotions)


def test_node_is_idle_only_if_all_its_cameras_are(listener, start, portrait):
    sides = ("left", "right")
    start(
        "detector", hands=False, track_timeout=0.5, min_rate=500.0, image_topics=[f"{side}/image_raw" for side in sides]
    )
    cameras = [listener.node.create_publisher(Image, f"{side}/image_raw", 5) for side in sides]
    heard = listener.hear(DiagnosticArray, "/diagnostics")
    for side in sides:
        listener.hear(EmotionArray, f"{side}/emotions")
    assert listener.until(lambda: all(each.get_subscription_count() for each in cameras))

    def play(*pictures):
        for _ in range(80):
            stamped = header()
            stamped.stamp = listener.node.get_clock().now().to_msg()
            for camera, picture in zip(cameras, pictures, strict=True):
                camera.publish(to_message(picture, stamped))
            listener.until(lambda: False, 0.05)
        return last_status(heard).message

    assert "fewer than min_rate" in play(portrait, np.zeros_like(portrait))
    assert play(np.zeros_like(portrait), np.zeros_like(portrait)).startswith("no face is visible")


def test_one_node_serves_several_cameras_and_none_starves(listener, start, portrait):
    start("detector", hands=False, image_topics=["left/image_raw", "right_eye"])
    left = listener.node.create_publisher(Image, "left/image_raw", 5)
    right = listener.node.create_publisher(Image, "right_eye", 5)
    of_left, of_right = listener.hear(EmotionArray, "left/emotions"), listener.hear(EmotionArray, "right_eye/emotions")
    assert listener.until(lambda: left.get_subscription_count() and right.get_subscription_count())
    listener.settle()
    sent = 0
    for step in range(600):  # one camera is at least ten times as fast as the other, which waits for its answers
        left.publish(to_message(portrait, header(step)))
        if step % 10 == 0 and len(of_right) == sent:
            if sent == 6:
                break
            right.publish(to_message(portrait[:, ::-1].copy(), header(1000 + sent)))
            sent += 1
        listener.until(lambda: False, 0.03)
    assert [each.header.stamp.sec for each in of_right] == [1000, 1001, 1002, 1003, 1004, 1005]
    assert of_left[-1].header.stamp.sec < 1000
    ids = [{person.id for each in heard for person in each.emotions} for heard in (of_left, of_right)]
    assert ids[0]
    assert ids[1]
    assert not ids[0] & ids[1]


def test_camera_info_gives_positions_in_metres(listener, camera, start, portrait):
    start("detector", hands=False)
    infos = listener.node.create_publisher(CameraInfo, "camera_info", 5)
    heard = listener.hear(EmotionArray, "emotions")
    camera(to_message(portrait, header()))
    assert listener.until(lambda: heard)
    assert np.isnan(heard[-1].emotions[0].position.z)
    info = CameraInfo(width=640, height=480, k=[500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0])
    infos.publish(info)
    listener.until(lambda: False, 0.3)
    camera(to_message(portrait, header(8)))
    assert listener.until(lambda: len(heard) > 1)
    person = heard[-1].emotions[0]
    middle = person.face.x_offset + person.face.width / 2
    assert 0.2 < person.position.z < 2
    assert person.position.x / person.position.z == pytest.approx((middle - 320) / 500, abs=0.05)


def test_camera_info_is_passed_on_to_where_the_annotated_images_are(listener, start, portrait):
    start("detector", hands=False, image_topics=["front/image_raw"])
    images = listener.node.create_publisher(Image, "front/image_raw", 5)
    infos = listener.node.create_publisher(CameraInfo, "front/camera_info", 5)
    annotated, passed_on = listener.hear(Image, "annotated"), listener.hear(CameraInfo, "camera_info")
    assert listener.until(lambda: images.get_subscription_count() and infos.get_subscription_count())
    assert listener.until(lambda: listener.node.count_publishers("camera_info"))
    listener.settle()
    info = CameraInfo(header=header(), width=640, height=480, k=[500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0])
    infos.publish(info)
    images.publish(to_message(portrait, header()))
    assert listener.until(lambda: annotated and passed_on)
    assert passed_on == [info]
    assert annotated[0].header == info.header


def test_classes_and_model_reach_late_subscribers(listener, start):
    start("detector", hands=False, label_map="{joy: [happy]}")
    late = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    labels, method = listener.hear(LabelInfo, "label_info", late), listener.hear(VisionInfo, "vision_info", late)
    assert listener.until(lambda: labels and method)
    assert [each.class_id for each in labels[0].class_map] == list(range(7))
    assert "joy" in [each.class_name for each in labels[0].class_map]
    assert labels[0].threshold == pytest.approx(0.3)
    assert method[0].method.startswith("emotion_resnet18")
    assert method[0].database_location == "/label_info"


def test_parameters_are_described(listener, start):
    start("detector", hands=False)
    request = DescribeParameters.Request(names=["min_face_confidence", "provider"])
    answer = listener.call(DescribeParameters, "detector/describe_parameters", request)
    confidence, provider = answer.descriptors
    assert (confidence.floating_point_range[0].from_value, confidence.floating_point_range[0].to_value) == (0.0, 1.0)
    assert "tensorrt" in provider.description


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"image_topics": ["no topic!"]}, "no topic!"),
        ({"model": "/none.onnx"}, "found no such file"),
        ({"provider": "cuda"}, "not in this ONNX Runtime"),
        ({"face_detector": "yunet"}, "models fetch"),
    ],
)
def test_node_lives_on_without_its_model_and_can_be_configured_again(
    listener, camera, start, portrait, parameters, text
):
    start("detector", hands=False, **parameters)
    diagnostics, heard = listener.hear(DiagnosticArray, "/diagnostics"), listener.hear(EmotionArray, "emotions")

    def error():
        return [each for one in diagnostics for each in one.status if each.level == DiagnosticStatus.ERROR]

    assert listener.until(error), "no diagnostics of an error"
    assert text in error()[0].message
    assert state(listener) == "unconfigured"
    remedy = {
        "image_topics": ["image_raw"],
        "model": str(default_model()),
        "provider": "cpu",
        "face_detector": "mediapipe",
    }
    for name in parameters:
        assert set_parameter(listener, name, remedy[name]).successful
    assert change_state(listener, Transition.TRANSITION_CONFIGURE)
    assert change_state(listener, Transition.TRANSITION_ACTIVATE)
    camera(to_message(portrait, header()))
    assert listener.until(lambda: heard)


OWN = "apart/detector"
"""Name of a detector in the test's own process: later tests must not meet its services."""


@pytest.fixture
def own_node(listener):
    """A function that creates the detector in this process, spun in a thread of its own, as its program does."""
    made = []

    def create(**parameters):
        overrides = [RosParameter(name, value=value) for name, value in parameters.items()]
        node = detector_node.Detector(namespace="apart", parameter_overrides=overrides)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()
        made.append((node, executor, thread))
        return node

    yield create
    for node, executor, thread in made:
        executor.shutdown()
        thread.join(10)
        node.stop()
        node.destroy_node()


def last_status(diagnostics):
    return diagnostics[-1].status[0] if diagnostics else DiagnosticStatus()


@pytest.mark.parametrize(
    ("make_error", "text"),  # an error that outlives its test would keep the node in its traceback alive
    [
        (MemoryError, "not enough memory"),
        (lambda: ModuleNotFoundError("No module named 'cv9'", name="cv9"), "pip install cv9"),
        (lambda: RuntimeError("driver lost"), "RuntimeError: driver lost"),
    ],
)
def test_any_exception_in_configuring_is_reported_and_the_node_can_be_configured_again(
    listener, own_node, monkeypatch, make_error, text
):
    diagnostics = listener.hear(DiagnosticArray, "/diagnostics")
    node = own_node(hands=False)

    def fail(*_):
        raise make_error()

    with monkeypatch.context() as broken:
        broken.setattr(detector_node, "load_models", fail)
        assert not change_state(listener, Transition.TRANSITION_CONFIGURE, OWN)
    assert listener.until(lambda: last_status(diagnostics).level == DiagnosticStatus.ERROR)
    assert text in last_status(diagnostics).message
    assert state(listener, OWN) == "unconfigured"
    node.start()
    assert listener.until(lambda: values_of(last_status(diagnostics))["Current lifecycle state"] == "active")
    assert listener.until(lambda: last_status(diagnostics).level == DiagnosticStatus.OK)


def test_missing_mediapipe_is_one_line_that_says_how_to_install_it(listener, spawn, tmp_path, monkeypatch):
    (tmp_path / "mediapipe.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'mediapipe'\", name='mediapipe')"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ['PYTHONPATH']}")
    detector = spawn(*Process("detector", {"hand_detector": "mediapipe"}).command())
    diagnostics = listener.hear(DiagnosticArray, "/diagnostics")
    assert listener.until(lambda: last_status(diagnostics).level == DiagnosticStatus.ERROR)
    assert "pip install mediapipe" in last_status(diagnostics).message
    assert state(listener) == "unconfigured"
    detector.terminate()
    errors = detector.communicate()[1]
    assert "pip install mediapipe" in errors
    assert "Traceback" not in errors


def test_transition_that_fails_leads_back_to_unconfigured_and_says_why(listener, own_node, monkeypatch):
    def fail(*_):
        raise RuntimeError("no more subscriptions")

    diagnostics = listener.hear(DiagnosticArray, "/diagnostics")
    node = own_node(hands=False, lazy=False)
    with monkeypatch.context() as broken:
        broken.setattr(Camera, "subscribe", fail)
        node.start()
    assert listener.until(lambda: last_status(diagnostics).level == DiagnosticStatus.ERROR)
    expected = "activating failed: RuntimeError: no more subscriptions; then configure again"
    assert last_status(diagnostics).message == expected
    assert state(listener, OWN) == "unconfigured"
    node.start()
    assert listener.until(lambda: values_of(last_status(diagnostics))["Current lifecycle state"] == "active")


def test_subscription_that_cannot_be_created_is_reported_and_tried_again(listener, own_node, monkeypatch):
    def fail(*_):
        raise RuntimeError("no more subscriptions")

    diagnostics = listener.hear(DiagnosticArray, "/diagnostics")
    node = own_node(hands=False)
    node.start()
    with monkeypatch.context() as broken:
        broken.setattr(Camera, "subscribe", fail)
        listener.hear(EmotionArray, "apart/emotions")
        assert listener.until(lambda: int(values_of(last_status(diagnostics)).get("failed", 0)) > 0)
        assert values_of(last_status(diagnostics))["last error"] == "no more subscriptions"
        assert not listener.node.count_subscribers("apart/image_raw")
    assert listener.until(lambda: listener.node.count_subscribers("apart/image_raw"))


class SlowDetector:
    """A real face detector that returns when it may, and counts the threads inside."""

    engine_status = ""

    def __init__(self, detector):
        self.detector, self.inside, self.most, self.closed = detector, 0, 0, False
        self.begun, self.may_return = threading.Event(), threading.Event()
        self.may_return.set()

    def detect(self, *arguments):
        assert not self.closed
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.begun.set()
        assert self.may_return.wait(120)
        self.inside -= 1
        return self.detector.detect(*arguments)

    def close(self):
        assert not self.inside
        self.closed = True


def test_enabling_again_during_a_long_inference_keeps_one_thread_and_publishes_no_late_result(
    listener, own_node, monkeypatch, portrait
):
    slow = []

    def load(config, *arguments):
        models = load_models(config, *arguments)
        slow.append(SlowDetector(models.faces))
        return LoadedModels(slow[0], models.hands, models.emotion)

    monkeypatch.setattr(detector_node, "load_models", load)
    messages = pytest.importorskip("hri_msgs.msg", reason="hri_msgs is not installed")
    heard = listener.hear(EmotionArray, "apart/emotions")
    people = listener.hear(messages.IdsList, "/humans/faces/tracked")
    own_node(hands=False).start()
    publisher = listener.node.create_publisher(Image, "apart/image_raw", 5)
    assert listener.until(publisher.get_subscription_count)
    listener.settle()
    slow[0].begun.clear()
    slow[0].may_return.clear()
    publisher.publish(to_message(portrait, header(1)))
    assert listener.until(slow[0].begun.is_set)
    assert listener.call(SetBool, f"{OWN}/enable", SetBool.Request(data=False)).success
    assert listener.call(SetBool, f"{OWN}/enable", SetBool.Request(data=True)).success
    assert listener.until(publisher.get_subscription_count)
    listener.settle()
    publisher.publish(to_message(portrait, header(2)))
    listener.settle()
    slow[0].may_return.set()
    assert listener.until(lambda: heard)
    assert [each.header.stamp.sec for each in heard] == [2]
    assert slow[0].most == 1
    tracked = [list(each.ids) for each in people]
    assert [] in tracked
    assert not any(tracked[: tracked.index([])])
    assert change_state(listener, Transition.TRANSITION_DEACTIVATE, OWN)
    assert change_state(listener, Transition.TRANSITION_CLEANUP, OWN)
    assert slow[0].closed


def test_inference_that_does_not_return_is_an_error_and_people_vanish(listener, own_node, monkeypatch, portrait):
    messages = pytest.importorskip("hri_msgs.msg", reason="hri_msgs is not installed")
    monkeypatch.setattr(watchdog, "STALLED_AFTER_S", 2.0)
    returns, perceive_all = threading.Event(), Pipeline.perceive_all
    returns.set()
    monkeypatch.setattr(Pipeline, "perceive_all", lambda *frames: returns.wait(60) and perceive_all(*frames))
    diagnostics = listener.hear(DiagnosticArray, "/diagnostics")
    people = listener.hear(messages.IdsList, "/humans/faces/tracked")
    own_node(hands=False).start()
    publisher = listener.node.create_publisher(Image, "apart/image_raw", 5)
    assert listener.until(publisher.get_subscription_count)
    listener.settle()

    def play(condition):
        for _ in range(200):
            stamped = header()
            stamped.stamp = listener.node.get_clock().now().to_msg()
            publisher.publish(to_message(portrait, stamped))
            if listener.until(condition, 0.1):
                return True
        return False

    assert play(lambda: people and people[-1].ids and last_status(diagnostics).level == DiagnosticStatus.OK)
    returns.clear()
    assert play(lambda: last_status(diagnostics).level == DiagnosticStatus.ERROR)
    assert last_status(diagnostics).message.startswith("no image was processed for ")
    assert listener.until(lambda: not people[-1].ids)
    people.clear()
    assert not listener.until(lambda: people, 2)  # they are removed once
    returns.set()
    assert play(lambda: people and people[-1].ids and last_status(diagnostics).level == DiagnosticStatus.OK)


def test_label_follows_the_face_while_the_stamps_stand_still(listener, camera, start, portrait):
    detector = start("detector", hands=False, smoothing=0.0)
    heard = listener.hear(EmotionArray, "emotions")
    dark = (portrait * 0.02).astype(np.uint8)

    def play(image, count):
        """Publish an image until it has so many answers, and return the person of the last."""
        before = len(heard)
        for _ in range(400):
            camera(to_message(image, header(0)))
            if listener.until(lambda: len(heard) >= before + count, 0.1):
                break
        return heard[-1].emotions[0]

    bright = play(portrait, 5)
    later = play(portrait // 2 + dark, 10)  # the first answers may be to the image before
    assert bright.id == later.id
    assert list(bright.probabilities) != list(later.probabilities)
    detector.terminate()
    assert detector.communicate()[1].count("do not advance") == 1


def test_person_stays_the_same_if_the_stamps_are_not_monotonic(listener, camera, start, portrait):
    detector = start("detector", hands=False)
    heard = listener.hear(EmotionArray, "emotions")
    begin = time.time()
    for number in range(20):
        stamped = header()
        late = 0.1 if number % 5 == 4 else 0.0
        stamped.stamp.sec, stamped.stamp.nanosec = divmod(round((begin + 0.05 * number - late) * 1e9), 10**9)
        camera(to_message(portrait, stamped))
        listener.until(lambda stamp=stamped.stamp: heard and heard[-1].header.stamp == stamp, 0.2 if late else 60)
    stamps = [each.header.stamp.sec + each.header.stamp.nanosec * 1e-9 for each in heard]
    assert len(stamps) > 10
    assert stamps == sorted(stamps)
    assert len({each.emotions[0].id for each in heard}) == 1
    detector.terminate()
    assert detector.communicate()[1].count("not monotonic") == 1


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


def resident(process):
    """MiB."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096 / 2**20


def processor(process):
    """Seconds that a process has used, as user and as system."""
    user, system = Path(f"/proc/{process.pid}/stat").read_text().split()[13:15]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_deactivated_node_idles_and_a_cleaned_up_one_gives_memory_back(listener, camera, start, portrait):
    detector = start("detector", autostart=False)
    heard = listener.hear(EmotionArray, "emotions")
    assert change_state(listener, Transition.TRANSITION_CONFIGURE)
    assert change_state(listener, Transition.TRANSITION_ACTIVATE)
    camera(to_message(portrait, header()))
    assert listener.until(lambda: heard)
    active = resident(detector)
    assert change_state(listener, Transition.TRANSITION_DEACTIVATE)
    before = processor(detector)
    time.sleep(3)
    assert (processor(detector) - before) / 3 < 0.05
    assert change_state(listener, Transition.TRANSITION_CLEANUP)
    assert resident(detector) < active - 35


@pytest.mark.parametrize(
    ("executable", "parameters", "text"),
    [
        ("detector", {"min_face_confidence": 1.5}, "min_face_confidence"),
        ("detector", {"face_detector": "eagle"}, "one of emotion_faces"),
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
