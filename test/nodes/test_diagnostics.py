"""Level and figures of the detector's diagnostic status after arrivals, results and failures."""

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from emotion_ros.nodes import diagnostics
from emotion_ros.nodes.diagnostics import FAILING_FROM, NO_IMAGE_AFTER_S, DiagnosticsCollector
from emotion_ros.nodes.graph_benchmark import PIPELINE_FIGURES
from emotion_ros.types import Box, Emotion, Face, Perception

CAMERAS = ("image_raw", "left/image_raw", "right/image_raw")


def perception(people=0, **timings):
    face = Face(Box(0, 0, 10, 10), 0.9, np.zeros((0, 2), np.float32))
    person = Emotion("abcde", "happy", 0.9, np.ones(1, np.float32), 0.8, 0.5, face)
    return Perception(64, 48, "model", ("happy",), (person,) * people, (), {"total": 20.0, **timings})


def values(collector, **counts):
    return {each.key: each.value for each in collector.key_values(counts)}


@pytest.fixture
def collector():
    made = DiagnosticsCollector()
    made.start()
    return made


@pytest.fixture
def clock(replace_clock):
    return replace_clock(diagnostics)


def test_broken_camera_is_an_error_that_names_it_while_another_works(collector):
    for _ in range(FAILING_FROM):
        collector.record_failure("left/image_raw", "encoding hologram is not known")
        collector.record_result("right/image_raw", perception(), 0.02)
    level, message = collector.level(0.0, CAMERAS)
    assert level == DiagnosticStatus.ERROR
    assert "left/image_raw" in message
    assert "hologram" in message
    assert "right" not in message


def test_one_good_frame_ends_the_error_of_a_camera(collector):
    for _ in range(2 * FAILING_FROM):
        collector.record_failure("left/image_raw", "bad")
    collector.record_result("left/image_raw", perception(), 0.02)
    assert collector.level(0.0, CAMERAS) == (DiagnosticStatus.OK, "running")


def test_fewer_failures_are_no_error(collector):
    for _ in range(FAILING_FROM - 1):
        collector.record_failure("image_raw", "bad")
    assert collector.level(0.0, CAMERAS)[0] == DiagnosticStatus.OK


def test_failures_of_no_single_camera_end_with_any_result(collector):
    for _ in range(FAILING_FROM):
        collector.record_failure(None, "out of memory")
    assert collector.level(0.0, CAMERAS) == (DiagnosticStatus.ERROR, "the last 5 frames failed: out of memory")
    collector.record_result("image_raw", perception(), 0.02)
    assert collector.level(0.0, CAMERAS)[0] == DiagnosticStatus.OK


def test_new_subscription_forgets_the_failures_before_it(collector):
    for _ in range(FAILING_FROM):
        collector.record_failure("image_raw", "bad")
    collector.expect_images("image_raw")
    assert collector.level(0.0, CAMERAS)[0] == DiagnosticStatus.OK


def test_cameras_without_images_are_silent(collector, clock):
    collector.expect_images("left")
    collector.expect_images("right")
    clock.now += 1.5
    collector.record_arrival("right")
    assert collector.silent_cameras() == []
    clock.now += 1.0
    assert collector.silent_cameras() == ["left"]


def test_low_output_rate_is_a_warning(collector, clock):
    for _ in range(50):
        clock.now += 0.1
        collector.record_result("image_raw", perception(), 0.02)
    assert collector.level(5.0, CAMERAS)[0] == DiagnosticStatus.OK
    level, message = collector.level(20.0, CAMERAS)
    assert level == DiagnosticStatus.WARN
    assert "min_rate 20" in message


def test_figures_have_their_units_in_the_keys(collector, clock):
    for number in range(50):
        clock.now += 0.1
        collector.record_arrival("left")
        collector.record_result("left", perception(2, faces=4.0), 0.01 * (1 + number % 2))
    collector.record_result("right", perception(1, faces=4.0), 0.02)
    collector.record_failure("left", "bad")
    assert values(collector, received=60, dropped=8, skipped=1) == {
        "input rate (Hz)": "10.0",
        "output rate (Hz)": "10.2",
        "received": "60",
        "dropped": "8",
        "skipped": "1",
        "processed": "51",
        "failed": "1",
        "latency p50 (ms)": "20.0",
        "latency p95 (ms)": "20.0",
        "people": "3",
        "total p95 (ms)": "20.0",
        "total (ms)": "20.00",
        "faces (ms)": "4.00",
        "last error": "bad",
    }


def test_people_of_a_camera_without_images_are_not_counted(collector, clock):
    for camera, people in (("left", 2), ("right", 1)):
        collector.record_arrival(camera)
        collector.record_result(camera, perception(people), 0.02)
    assert values(collector)["people"] == "3"
    clock.now += NO_IMAGE_AFTER_S + 0.1
    collector.record_arrival("right")
    assert values(collector)["people"] == "1"


def test_benchmark_reads_keys_that_exist(collector):
    collector.record_result("image_raw", perception(), 0.02)
    assert set(PIPELINE_FIGURES.values()) <= set(values(collector))


def test_failures_of_a_camera_that_is_not_subscribed_to_are_no_error(collector):
    for _ in range(FAILING_FROM):
        collector.record_failure("left/image_raw", "bad")
    assert collector.level(0.0, CAMERAS)[0] == DiagnosticStatus.ERROR
    assert collector.level(0.0, ("right/image_raw",))[0] == DiagnosticStatus.OK


def test_start_resets_rates_and_cameras_but_not_the_totals(collector):
    collector.expect_images("image_raw")
    collector.record_result("image_raw", perception(1), 0.02)
    collector.record_failure("image_raw", "bad")
    collector.start()
    figures = values(collector)
    assert (figures["processed"], figures["failed"], figures["last error"]) == ("1", "1", "bad")
    assert (figures["people"], figures["output rate (Hz)"]) == ("0", "0.0")
    assert collector.silent_cameras() == []
