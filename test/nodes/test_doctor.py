"""emotion-ros doctor beside real nodes."""

import json
import threading

import pytest
import rclpy
from emotion_ros.msg import EmotionArray
from sensor_msgs.msg import CameraInfo, Image

from emotion_ros.cli import installation_checks


@pytest.fixture
def doctor(command_line):
    """Function that runs the command and returns its exit code and its findings by subject."""

    def run(*arguments):
        completed = command_line("doctor", "--json", *arguments)
        assert "Traceback" not in completed.stderr
        return completed.returncode, {each["subject"]: each for each in json.loads(completed.stdout)}

    return run


def test_a_camera_and_a_detector_that_work_are_listed_without_warnings(doctor, start, listener):
    start("image_source", source="sample", loop=True, rate=5.0)
    start("detector", hands=False)
    heard = listener.hear(EmotionArray, "emotions")
    assert listener.until(lambda: len(heard) > 3)
    code, findings = doctor()
    assert code == 0
    camera = findings["/image_raw"]
    assert camera["level"] == "ok"
    assert camera["text"].startswith("sensor_msgs/msg/Image by /image_source, reliable")
    assert findings["detector"]["level"] == "ok"
    assert "running" in findings["detector"]["text"]
    assert {findings[subject]["level"] for subject in ("ROS 2", "models", "ONNX Runtime")} == {"ok"}


def test_without_a_camera_the_first_step_is_named(doctor):
    code, findings = doctor("--seconds", "0.5")
    assert code == 0
    assert findings["cameras"]["level"] == "warning"
    assert "start the camera driver" in findings["cameras"]["remedy"]


def test_a_camera_whose_images_do_not_arrive_gets_a_warning_with_a_cure(doctor, listener):
    images = listener.node.create_publisher(Image, "camera/image_raw", 1)
    infos = listener.node.create_publisher(CameraInfo, "camera/camera_info", 1)
    listener.node.create_timer(0.1, lambda: infos.publish(CameraInfo()))
    sent = iter(range(10**6))
    listener.node.create_timer(0.1, lambda: next(sent) % 10 or images.publish(Image()))
    spinner = threading.Thread(target=rclpy.spin, args=(listener.node,), daemon=True)
    spinner.start()
    _, findings = doctor()
    rclpy.shutdown()
    spinner.join()
    camera = findings["/camera/image_raw"]
    assert camera["level"] == "warning"
    assert "images are lost" in camera["text"]
    assert "fastdds.xml" in camera["remedy"]


def test_a_profile_that_does_not_exist_is_an_error(doctor, monkeypatch):
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/nowhere/profile.xml")
    code, findings = doctor("--seconds", "0.5")
    assert code == 1
    assert "/nowhere/profile.xml" in findings["Fast DDS"]["text"]


def test_two_packages_that_provide_one_module_are_named(tmp_path, monkeypatch):
    for name in ("opencv-python", "opencv-contrib-python"):
        info = tmp_path / f"{name.replace('-', '_')}-4.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 4.1\n")
        (info / "top_level.txt").write_text("cv2\n")
    monkeypatch.syspath_prepend(tmp_path)
    clash = next(each for each in installation_checks.installation_findings() if each.subject == "cv2")
    assert clash.level == "warning"
    assert "opencv-contrib-python and by opencv-python" in clash.text


def test_little_shared_memory_is_named_with_the_option_of_docker(monkeypatch):
    monkeypatch.setattr(installation_checks, "MIN_SHARED_MEMORY_BYTES", 1 << 60)
    memory = next(each for each in installation_checks.installation_findings() if each.subject == "shared memory")
    assert memory.level == "warning"
    assert "--shm-size" in memory.remedy


def test_a_wrong_number_of_seconds_is_refused(command_line):
    completed = command_line("doctor", "--seconds", "0")
    assert completed.returncode == 2
    assert "expected --seconds above 0" in completed.stderr
