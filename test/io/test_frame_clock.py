"""Time of images whose stamps may not advance."""

import pytest

from emotion_ros.io.frame_clock import FrameClock


def test_clock_follows_the_stamps_while_they_advance():
    clock = FrameClock()
    assert [clock.update(stamp, 50 + stamp) for stamp in (7.0, 7.1, 7.3)] == [7.0, 7.1, 7.3]
    assert clock.update(2.0, 60.0) == 2.0
    assert not clock.is_stalled


def test_clock_follows_the_arrivals_while_the_stamps_stand_still():
    clock = FrameClock()
    times = [clock.update(0.0, 50 + 0.1 * number) for number in range(5)]
    assert times == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert clock.is_stalled
    assert clock.update(0.1, 50.5) == pytest.approx(0.4)  # neither back, nor counted twice
    assert clock.update(0.2, 50.6) == pytest.approx(0.5)
    assert not clock.is_stalled


def test_image_is_late_for_a_second_unless_the_clock_was_set_back():
    clock = FrameClock()
    assert not clock.is_late(5.0, 50.0)
    clock.update(5.0, 50.0)
    assert clock.is_late(4.9, 50.03)
    assert not clock.is_late(5.0, 50.03)
    assert not clock.is_late(5.1, 50.03)
    assert not clock.is_late(3.9, 50.03)  # as in a bag that is played again
    assert not clock.is_late(4.9, 51.1)  # nothing newer came meanwhile


@pytest.mark.parametrize("resolution", [1.0, 0.1])
def test_coarse_stamps_take_as_long_as_the_images_do(resolution):
    clock = FrameClock()
    times = [clock.update(number / 30 // resolution * resolution, number / 30) for number in range(301)]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(10, abs=resolution / 2 + 0.05)
