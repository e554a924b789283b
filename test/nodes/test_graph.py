"""The whole graph as `make run` starts it: image source, detector and recorder in three processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from process_log import until_logged
from sensor_msgs.msg import CameraInfo, Image

from emotion_ros.io.sources import SAMPLE_FRAMES
from emotion_ros.nodes.dds_settings import OWN_VARIABLES
from emotion_ros.nodes.graph import STOP_TIMEOUT_S


def lines_of(folder):
    return [json.loads(line) for line in (folder / "emotions.jsonl").read_text().splitlines()]


def frames_of(path):
    video, count = cv2.VideoCapture(str(path)), 0
    while video.read()[0]:
        count += 1
    return count, video.get(cv2.CAP_PROP_FPS)


def test_sample_goes_through_the_whole_graph(tmp_path, command_line):
    result = command_line("run", "--source", "sample", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    lines = lines_of(tmp_path / "out")
    people = [person for line in lines for person in line["people"]]
    labels = [person["label"] for person in people]
    assert len(lines) > 20  # of 90; a slow machine processes fewer
    assert labels.count("happy") > 0.9 * len(labels) > 0
    assert len({person["id"] for person in people}) == 1
    (came,) = [event for line in lines for event in line["events"]]
    assert (came["id"], came["from"], came["to"]) == (people[0]["id"], "", "happy")
    assert people[-1]["attention"] > 0.9
    assert people[-1]["engagement"] == "engaged"
    count, rate = frames_of(tmp_path / "out" / "annotated.mp4")
    assert count > 45  # images that were not processed are filled
    assert count / rate == pytest.approx(lines[-1]["time"] - lines[0]["time"], abs=1)
    assert f"{len(lines)} images, {len(people)} faces" in result.stdout
    assert "happy" in result.stdout.splitlines()[0]


def test_folder_of_pictures_of_different_sizes(tmp_path, command_line, portrait):
    (tmp_path / "in").mkdir()
    for number, size in enumerate([(640, 480), (320, 240), (300, 500)]):
        cv2.imwrite(str(tmp_path / "in" / f"{number}.png"), cv2.resize(portrait, size))
    result = command_line("run", "--source", tmp_path / "in", "--out", tmp_path / "out", "--no-hands")
    assert result.returncode == 0, result.stderr
    assert [(line["width"], line["height"]) for line in lines_of(tmp_path / "out")] == [
        (640, 480),
        (320, 240),
        (300, 500),
    ]
    assert frames_of(tmp_path / "out" / "annotated.mp4")[0] == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after_first_line", [True, False])
def test_interrupted_graph_ends_in_time_with_finished_files(tmp_path, number, after_first_line):
    program = Path(get_package_prefix("emotion_ros")) / "lib" / "emotion_ros" / "emotion-ros"
    command = [sys.executable, program, "run", "--source", "sample", "--loop", "--no-hands", "--out", tmp_path]
    graph = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if after_first_line:
        assert "happy" in graph.stdout.readline()
        time.sleep(2)
    else:
        time.sleep(2)
    begin = time.monotonic()
    graph.send_signal(number)
    _, errors = graph.communicate(timeout=20)
    assert time.monotonic() - begin < 2 * STOP_TIMEOUT_S + 1  # the recorder after the others
    assert graph.returncode == 0, errors  # no process had to be killed
    assert "Traceback" not in errors
    if after_first_line:
        count, rate = frames_of(tmp_path / "annotated.mp4")
        assert count > 5
        first, *_, last = (line["time"] for line in lines_of(tmp_path))
        assert count / rate == pytest.approx(last - first, abs=1)  # dropped images are filled: the time is real


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is not here")
def test_full_disk_is_reported_once_and_at_the_end(tmp_path, command_line):
    (tmp_path / "emotions.jsonl").symlink_to("/dev/full")
    result = command_line("run", "--source", "sample", "--out", tmp_path, "--no-hands")
    assert result.returncode == 1
    assert "No space left" in result.stderr
    assert "not everything could be written" in result.stderr
    assert "Traceback" not in result.stderr
    images = int(re.search(r"^(\d+) images, ", result.stdout, re.M)[1])
    assert images > 20
    assert frames_of(tmp_path / "annotated.mp4")[0] > 0.8 * images  # the video is whole


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--source", "none.mp4"], 1, "found nothing there"),
        (["--source", "/dev/video77"], 1, "found nothing there"),
        (["--out", "/proc/none"], 1, "can be written to"),
        (["--model", "none.onnx"], 1, "found no such file"),
        (["--provider", "tensorrt"], 1, "not in this ONNX Runtime"),
        (["--min-face-confidence", "2"], 2, "min_face_confidence"),
    ],
)
def test_graph_that_cannot_run_is_one_clear_line(command_line, arguments, code, text, tmp_path):
    result = command_line("run", "--out", tmp_path, *arguments)
    assert result.returncode == code
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_file_that_is_no_video(tmp_path, command_line):
    (tmp_path / "clip.mp4").write_bytes(b"nothing")
    result = command_line("run", "--source", tmp_path / "clip.mp4", "--out", tmp_path)
    assert result.returncode == 1
    assert "expected a video or a picture" in result.stderr


def test_image_source_publishes_size_and_stamp_in_both_topics(listener, start, tmp_path, portrait):
    cv2.imwrite(str(tmp_path / "a.png"), cv2.resize(portrait, (320, 200)))
    images, infos = listener.hear(Image, "image_raw"), listener.hear(CameraInfo, "camera_info")
    source = start("image_source", source=str(tmp_path), frame_id="head", loop=True, rate=20.0)
    assert listener.until(lambda: len(images) > 3 and len(infos) > 3)
    assert (images[0].width, images[0].height, images[0].header.frame_id) == (320, 200, "head")
    headers = [info.header for info in infos]
    assert any(image.header in headers for image in images)  # the first ones may come before the other topic is known
    source.send_signal(signal.SIGINT)
    assert source.wait(10) == 0


def test_video_is_played_at_its_own_rate(listener, start, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 20, (320, 240))
    for value in range(40):
        writer.write(np.full((240, 320, 3), value, np.uint8))
    writer.release()
    images = listener.hear(Image, "image_raw")
    source = start("image_source", source=str(tmp_path / "clip.mp4"))
    assert listener.until(lambda: source.poll() is not None)
    listener.until(lambda: len(images) == 40, 2)
    stamps = [each.header.stamp.sec + each.header.stamp.nanosec * 1e-9 for each in images]
    assert len(stamps) == 40
    assert np.median(np.diff(stamps)) == pytest.approx(0.05, abs=0.01)
    assert source.returncode == 0


@pytest.mark.parametrize("count", [1, 2])
def test_pictures_keep_their_rate_in_a_loop(listener, start, tmp_path, portrait, count):
    for number in range(count):
        cv2.imwrite(str(tmp_path / f"{number}.png"), cv2.resize(portrait, (64, 48)))
    images = listener.hear(Image, "image_raw")
    start("image_source", source=str(tmp_path), loop=True, rate=10.0)
    assert listener.until(lambda: len(images) > 20)
    stamps = np.array([each.header.stamp.sec + each.header.stamp.nanosec * 1e-9 for each in images])
    assert np.median(stamps[2:] - stamps[:-2]) == pytest.approx(0.2, rel=0.2)  # a pause of the machine changes few


def test_picture_that_cannot_be_read_is_not_logged_at_each_pass(listener, start, tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    images = listener.hear(Image, "image_raw")
    source = start("image_source", source=str(tmp_path / "a.png"), loop=True, rate=20.0)
    until_logged(source, "skipped")
    time.sleep(1)
    source.send_signal(signal.SIGINT)
    _, errors = source.communicate(timeout=20)
    assert "skipped" not in errors
    assert not images


def test_bag_is_refused_with_the_command_that_plays_it(start, command_line, tmp_path):
    (tmp_path / "metadata.yaml").touch()
    source = start("image_source", source=str(tmp_path))
    _, errors = source.communicate(timeout=20)
    graph = command_line("run", "--source", tmp_path)
    assert source.returncode == graph.returncode == 1
    for text in (errors, graph.stderr):
        assert f"got a bag; play it with: ros2 bag play {tmp_path}" in text
        assert "Traceback" not in text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("sys.modules['skimage'] = None", "the Python library skimage is not installed: pip install scikit-image"),
        ("node.frames = lambda *_: (1 / 0 for _ in 'a')", "ZeroDivisionError: division by zero"),
    ],
)
def test_unexpected_error_of_a_source_ends_the_node_with_one_line(listener, spawn, change, text):
    listener.hear(Image, "image_raw")
    code = f"import sys; from emotion_ros.nodes import image_source_node as node; {change}; sys.exit(node.main())"
    source = spawn(sys.executable, "-c", code)
    assert listener.until(lambda: source.poll() is not None)
    errors = source.communicate()[1]
    assert source.returncode == 1
    assert f"emotion_ros: sample: {text}\n" in errors
    assert "Traceback" not in errors


def test_index_finds_everything_that_is_installed():
    prefix, share = Path(get_package_prefix("emotion_ros")), Path(get_package_share_directory("emotion_ros"))
    programs = {path.name for path in (prefix / "lib" / "emotion_ros").iterdir() if os.access(path, os.X_OK)}
    assert programs == {"detector", "image_source", "recorder", "capture", "web", "emotion-ros"}
    for name in (
        "launch/detect.launch.py",
        "launch/capture.launch.py",
        "config/detect.yaml",
        "config/emotions.rviz",
        "config/foxglove.json",
        "models/catalog.yaml",
    ):
        assert (share / name).is_file()


def test_launch_file_starts_the_same_nodes():
    pytest.importorskip("launch_ros", reason="the real launch_ros is not installed")
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    import launch

    path = Path(__file__).resolve().parents[2] / "launch" / "detect.launch.py"
    context = launch.LaunchContext()
    description = PythonLaunchDescriptionSource(str(path)).get_launch_description(context)
    arguments = {each.name: each for each in description.get_launch_arguments()}
    assert set(arguments) == {
        "image", "source", "params_file", "model", "provider", "face_detector", "face_model", "hand_detector",
        "hand_model", "hand_landmark_model", "face_landmark_model", "eye_model", "namespace", "annotated", "web",
        "capture", "rviz", "log_level",
    }  # fmt: skip
    assert all(each.description for each in arguments.values())
    context.launch_configurations.update(source="sample", rviz="true", web="true", capture="data")
    nodes = []
    for entity in description.entities:
        nodes += [each for each in entity.visit(context) or [] if hasattr(each, "node_executable")]
    assert [each.node_executable for each in nodes] == ["detector", "image_source", "web", "capture", "rviz2"]
    context.launch_configurations.update(annotated="faces")
    shown = [entity.visit(context) for entity in description.entities][-1]
    for node in (shown[0], shown[2], shown[4]):
        node._perform_substitutions(context)
        assert ("annotated", "faces") in node.expanded_remapping_rules


def test_arguments_of_the_launch_file_override_its_parameters_only_if_given():
    pytest.importorskip("launch_ros", reason="the real launch_ros is not installed")
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch_ros.utilities import evaluate_parameters

    import launch

    path = Path(__file__).resolve().parents[2] / "launch" / "detect.launch.py"
    context = launch.LaunchContext()
    description = PythonLaunchDescriptionSource(str(path)).get_launch_description(context)
    description.get_launch_arguments()
    given = {"face_model": "/models/faces.onnx", "hand_detector": "mediapipe", "provider": "cpu"}
    context.launch_configurations.update(given)
    (detector,) = [entity.visit(context) for entity in description.entities][-1]
    file, *overrides = evaluate_parameters(context, detector._Node__parameters)
    assert Path(file).name == "detect.yaml"
    assert {name: value for each in overrides for name, value in each.items()} == given


def test_run_stores_nothing_without_out(tmp_path, command_line, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = command_line("run", "--source", "sample", "--no-hands")
    assert result.returncode == 0, result.stderr
    assert "happy" in result.stdout
    assert re.search(r"^\d+ images, \d+ faces", result.stdout, re.M)
    assert "written" not in result.stdout
    assert not [*tmp_path.iterdir()]


LAUNCH = """
import sys, launch
path, *arguments = sys.argv[1:]
included = launch.actions.IncludeLaunchDescription(path, launch_arguments=[each.split(":=") for each in arguments])
service = launch.LaunchService(noninteractive=True)
service.include_launch_description(launch.LaunchDescription([included]))
sys.exit(service.run())
"""


@pytest.mark.parametrize(("name", "arguments"), [("detect", []), ("capture", ["out:=unused"])])
def test_launched_sample_is_repeated(spawn, listener, name, arguments):
    pytest.importorskip("launch_ros", reason="the real launch_ros is not installed")
    images = listener.hear(Image, "image_raw")
    path = Path(__file__).resolve().parents[2] / "launch" / f"{name}.launch.py"
    launched = spawn(sys.executable, "-c", LAUNCH, path, "source:=sample", *arguments)
    try:
        assert listener.until(lambda: len(images) > 1.2 * SAMPLE_FRAMES, 90)
    finally:
        launched.send_signal(signal.SIGINT)
        launched.wait(30)  # until its nodes have ended


def test_launch_file_gives_its_environment_to_its_own_nodes_only(monkeypatch):
    pytest.importorskip("launch_ros", reason="the real launch_ros is not installed")
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    import launch

    def variable_counts(**arguments):
        context = launch.LaunchContext()
        description = PythonLaunchDescriptionSource(str(path)).get_launch_description(context)
        description.get_launch_arguments()
        context.launch_configurations.update(arguments)
        actions = [action for entity in description.entities for action in entity.visit(context) or []]
        assert dict(os.environ) == before  # later nodes of a launch file that includes this one
        return [len(each.additional_env or []) for each in actions if hasattr(each, "node_executable")]

    path = Path(__file__).resolve().parents[2] / "launch" / "detect.launch.py"
    for name in OWN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    assert variable_counts(rviz="true") == [1, 0]
    assert variable_counts(source="sample", rviz="true") == [2, 1, 0]
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    before = dict(os.environ)
    assert variable_counts(source="sample", rviz="true") == [1, 0, 0]


def test_graph_ends_when_the_reader_of_its_output_ends(tmp_path):
    program = Path(get_package_prefix("emotion_ros")) / "lib" / "emotion_ros" / "emotion-ros"
    command = [sys.executable, program, "run", "--source", "sample", "--loop", "--no-hands", "--out", tmp_path]
    graph = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "happy" in graph.stdout.readline()
    graph.stdout.close()
    graph.wait(20)
    errors = graph.stderr.read()
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors
    assert frames_of(tmp_path / "annotated.mp4")[0] > 0
