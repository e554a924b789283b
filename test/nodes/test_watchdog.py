"""A thread that hangs is told from one that works, and from a process that was stopped."""

import pytest

from emotion_ros.nodes import watchdog
from emotion_ros.nodes.watchdog import STALLED_AFTER_S, Watchdog


@pytest.fixture
def clock(replace_clock):
    return replace_clock(watchdog)


def check_for(seconds, made, clock, beats=False):
    """Check ten times per second and return the last result."""
    for _ in range(round(10 * seconds)):
        clock.now += 0.1
        if beats:
            made.beat()
        result = made.check()
    return result


def test_thread_that_beats_does_not_hang(clock):
    assert check_for(3 * STALLED_AFTER_S, Watchdog(), clock, beats=True) == 0


def test_thread_without_a_beat_hangs_until_the_next_one(clock):
    made = Watchdog()
    assert check_for(STALLED_AFTER_S - 1, made, clock) == 0
    assert check_for(5, made, clock) == pytest.approx(STALLED_AFTER_S + 4, abs=0.2)
    made.beat()
    assert made.check() == 0


def test_process_that_was_stopped_does_not_hang(clock):
    made = Watchdog()
    check_for(1, made, clock, beats=True)
    clock.now += 10 * STALLED_AFTER_S
    assert check_for(1, made, clock) == 0
