"""Detectors of another user, with a read-only home, of one name, started again, and with a clock that is set."""

import os
import shutil
import signal
import struct
import subprocess

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from emotion_ros.msg import EmotionArray

from emotion_ros.nodes.dds_settings import OWN_VARIABLES
from emotion_ros.nodes.graph import Process
from emotion_ros.nodes.starts import starts_variable

DETECTOR = Process("detector", {"hands": False}).command()

OTHER_USER = 12345
"""User without an entry in the user database. It may read files of all users: those of the tests may be root's."""

SET_CLOCK = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long long *offset;

__attribute__((constructor)) static void start(void) {
  int file = open(getenv("CLOCK_OFFSET"), O_RDONLY);
  offset = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = syscall(SYS_clock_gettime, clock, now);
  if (clock == CLOCK_REALTIME && offset) now->tv_sec += *offset;
  return result;
}
"""
"""Library that adds the seconds in a file to the system's time."""


@pytest.fixture
def heard(listener):
    """Messages of emotions and diagnostics that arrive."""
    return listener.hear(EmotionArray, "emotions"), listener.hear(DiagnosticArray, "/diagnostics")


def is_happy(messages):
    return messages and [person.label for person in messages[-1].emotions] == ["happy"]


@pytest.fixture
def only_udp(monkeypatch):
    """Let the processes of a test exchange no shared memory: that of a user is closed to others."""
    for name in OWN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_detector_of_another_user_with_a_read_only_home_gets_images_by_udp(
    only_udp, listener, spawn, start, heard, tmp_path
):
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    user = ["setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"]
    capabilities = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    detector = spawn(*user, *capabilities, "env", f"HOME={home}", *DETECTOR)
    start("image_source", source="sample", loop=True, rate=5.0)
    assert listener.until(lambda: is_happy(heard[0]) or detector.poll() is not None, 60)
    assert detector.poll() is None
    assert not list(home.iterdir())


def test_second_detector_of_the_same_name_is_a_warning(listener, start, heard):
    first, second = (start("detector", hands=False) for _ in range(2))
    start("image_source", source="sample", loop=True, rate=5.0)

    def warned():
        return {each.message for array in heard[1] for each in array.status if each.level == DiagnosticStatus.WARN}

    expected = "another node is named /detector: "
    assert listener.until(lambda: any(text.startswith(expected) for text in warned()), 60), warned()
    assert listener.until(lambda: is_happy(heard[0]), 60)
    assert first.poll() is None is second.poll()


def test_diagnostics_count_how_often_the_launch_file_started_the_detector_again(listener, spawn, heard, monkeypatch):
    for name, value in starts_variable().items():
        monkeypatch.setenv(name, value)

    def restarts():
        return (
            next((pair.value for pair in heard[1][-1].status[0].values if pair.key == "restarts"), "")
            if heard[1]
            else ""
        )

    for expected in ("0", "1"):
        heard[1].clear()
        detector = spawn(*DETECTOR)
        assert listener.until(restarts, 60) == expected
        detector.send_signal(signal.SIGKILL)
        detector.wait()


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_clock_of_the_system_is_set_back(listener, spawn, start, heard, monkeypatch, tmp_path):
    """By an hour. Forward cannot be shown like this: deadlines that the kernel waits for would be an hour away."""
    offset, library = tmp_path / "offset", tmp_path / "set_clock.so"
    offset.write_bytes(struct.pack("q", 0))
    compiler = ["cc", "-shared", "-fPIC", "-o", str(library), "-x", "c", "-"]
    subprocess.run(compiler, input=SET_CLOCK, text=True, check=True)
    monkeypatch.setenv("CLOCK_OFFSET", str(offset))
    detector = spawn("env", f"LD_PRELOAD={library}", *DETECTOR)
    start("image_source", source="sample", loop=True, rate=5.0)
    assert listener.until(lambda: is_happy(heard[0]) and heard[1], 60)
    before = heard[1][-1].header.stamp.sec
    with offset.open("r+b") as file:
        file.write(struct.pack("q", -3600))
    for messages in heard:
        messages.clear()
    assert listener.until(lambda: len(heard[0]) > 5 and len(heard[1]) > 2 and is_happy(heard[0]), 40)
    assert heard[1][-1].header.stamp.sec - before == pytest.approx(-3600, abs=120)
    assert detector.poll() is None
