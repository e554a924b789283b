"""Images that are lost before they arrive are noticed, with a remedy for the middleware."""

import pytest

from emotion_ros.nodes import dds_settings, reception
from emotion_ros.nodes.dds_settings import CAMERA_PROFILE, OWN_VARIABLES, profile_path, profile_variables, remedy
from emotion_ros.nodes.reception import WINDOW_S, Reception


@pytest.fixture
def clock(replace_clock):
    return replace_clock(reception)


def play(camera, clock, images=0, lost=0, infos=0):
    """One second of a camera."""
    for _ in range(images):
        camera.record_image()
    camera.record_lost(lost)
    for _ in range(infos):
        camera.record_info()
    clock.now += 1


@pytest.mark.parametrize(
    ("second", "info_per_image", "loss"),
    [
        ({"images": 30}, True, (0, 0)),
        ({"images": 28, "lost": 2}, True, (0, 0)),  # few
        ({"images": 3, "lost": 27}, False, (27, 30)),
        ({"lost": 30}, False, (30, 30)),
        ({"images": 10, "infos": 30}, True, (20, 30)),
        ({"images": 10, "infos": 30}, False, (0, 0)),  # another node publishes a third of the driver's images
        ({"images": 1, "lost": 2}, True, (0, 0)),  # the subscription began in the middle of an image
    ],
)
def test_loss_is_what_the_middleware_reports_or_camera_info_shows(clock, second, info_per_image, loss):
    camera = Reception()
    play(camera, clock, **second)
    assert camera.lost(info_per_image) == loss
    clock.now += WINDOW_S
    assert camera.lost(info_per_image) == (0, 0)


def test_camera_is_silent_if_a_publisher_sends_nothing_for_the_window_and_never_did(clock):
    camera = Reception()
    clock.now += 10
    camera.record_publishers(1)
    clock.now += WINDOW_S - 0.1
    assert not camera.is_silent
    clock.now += 0.2
    assert camera.is_silent
    camera.record_image()
    assert not camera.is_silent
    clock.now += WINDOW_S + 0.1
    assert not camera.is_silent
    unplugged = Reception()
    unplugged.record_publishers(1)
    clock.now += WINDOW_S + 0.1
    unplugged.record_publishers(0)
    assert not unplugged.is_silent


@pytest.fixture
def no_settings(monkeypatch, tmp_path):
    for name in (*OWN_VARIABLES, "ROS_DISTRO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("rmw", "text"),
    [
        ("rmw_fastrtps_cpp", "export FASTDDS_DEFAULT_PROFILES_FILE="),
        ("rmw_cyclonedds_cpp", "net.core.rmem_max=2147483647"),
        ("rmw_zenoh_cpp", "rmw_zenohd"),
        ("rmw_other", "receive buffers"),
    ],
)
def test_cure_depends_on_the_middleware(no_settings, rmw, text):
    assert text in remedy(rmw)


def test_cure_is_the_kernel_limit_if_it_is_too_small_for_this_profile(no_settings, monkeypatch):
    monkeypatch.setenv(OWN_VARIABLES[0], profile_path(CAMERA_PROFILE))
    monkeypatch.setattr(dds_settings, "RECEIVE_BUFFER_BYTES", 1 << 30)  # more than any kernel grants by default
    assert "sysctl -w net.core.rmem_max=1073741824" in remedy("rmw_fastrtps_cpp")


@pytest.mark.parametrize("variable", OWN_VARIABLES)
def test_settings_of_the_user_win(no_settings, monkeypatch, variable):
    assert profile_variables(CAMERA_PROFILE) == {OWN_VARIABLES[0]: profile_path(CAMERA_PROFILE)}
    monkeypatch.setenv(variable, "LARGE_DATA")
    assert profile_variables(CAMERA_PROFILE) == {}


def test_profile_in_the_working_directory_wins(no_settings, tmp_path):
    (tmp_path / "DEFAULT_FASTDDS_PROFILES.xml").touch()
    assert profile_variables(CAMERA_PROFILE) == {}


@pytest.mark.parametrize("distribution", ["humble", "jazzy"])
def test_fast_dds_2_has_another_variable(no_settings, monkeypatch, distribution):
    monkeypatch.setenv("ROS_DISTRO", distribution)
    assert list(profile_variables(CAMERA_PROFILE)) == ["FASTRTPS_DEFAULT_PROFILES_FILE"]
