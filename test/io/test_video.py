import subprocess
import sys

import cv2
import numpy as np
import pytest

from emotion_ros.io.video import VideoFile

IMAGE = np.full((48, 64, 3), 90, np.uint8)


def every(interval, seconds, start=0.0):
    return [start + interval * index for index in range(round(seconds / interval))]


def idle_then_active():
    """11 s of a camera that is processed at 5 Hz for 4 s, then at 30 Hz."""
    return [*every(1 / 5, 4), *every(1 / 30, 7, start=4.0)]


def recorded(path, stamps, arrivals=None, **settings):
    """Seconds and frames per second of a video of images with these stamps, which arrive at ``arrivals``."""
    clock = iter(stamps if arrivals is None else arrivals)
    video = VideoFile(path, clock=lambda: next(clock), **settings)
    for stamp in stamps:
        video.add(IMAGE, stamp)
    video.close()
    assert video.written
    copy = cv2.VideoCapture(str(path))
    rate, count = copy.get(cv2.CAP_PROP_FPS), copy.get(cv2.CAP_PROP_FRAME_COUNT)
    assert count == video.frames
    return count / rate, rate


@pytest.mark.parametrize(
    ("stamps", "seconds"),
    [
        (idle_then_active(), 11),
        ([*every(1 / 30, 4), *every(1 / 5, 7, start=4.0)], 11),
        ([*every(1 / 30, 3), *every(1 / 30, 3, start=8.0)], 11),
        (every(1 / 60, 5), 5),
        (every(1 / 2, 20), 20),
        ([1e9 + stamp for stamp in every(1 / 15, 6)], 6),
        (every(1 / 5, 1), 1),
    ],
    ids=["idle, then active", "active, then idle", "pause", "60 Hz", "2 Hz", "wall clock", "five images"],
)
def test_video_takes_as_long_as_its_images_did(tmp_path, stamps, seconds):
    assert recorded(tmp_path / "a.mp4", stamps)[0] == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize("rate", [81.243, 65.6, 239.7, 12.3456, 1e-3, 1e6])
def test_few_images_at_any_rate_make_a_video(tmp_path, rate):
    assert recorded(tmp_path / "a.mp4", every(1 / rate, 5 / rate))[0] > 0
    assert recorded(tmp_path / "b.mp4", every(1 / 30, 1), rate=rate)[0] > 0


def test_no_image_is_lost_if_the_recording_begins_slowly(tmp_path):
    assert recorded(tmp_path / "a.mp4", idle_then_active())[1] == 30


def test_coarse_stamps_do_not_make_the_video_longer(tmp_path):
    arrivals = every(1 / 30, 6)
    stamps = [arrival // 0.1 * 0.1 for arrival in arrivals]
    assert recorded(tmp_path / "a.mp4", stamps, arrivals)[0] == pytest.approx(6, rel=0.1)


ARRIVALS = every(1 / 15, 8)


@pytest.mark.parametrize(
    "stamps",
    [
        [0.0] * len(ARRIVALS),
        [*ARRIVALS[:60], *[stamp - 1000 for stamp in ARRIVALS[60:]]],
        [*ARRIVALS[:60], *[stamp + 1e6 for stamp in ARRIVALS[60:]]],
        [float("nan")] * len(ARRIVALS),
    ],
    ids=["do not advance", "jump back", "jump far ahead", "not a number"],
)
def test_stamps_that_are_no_time_are_replaced_by_the_time_of_arrival(tmp_path, stamps):
    assert recorded(tmp_path / "a.mp4", stamps, ARRIVALS)[0] == pytest.approx(8, rel=0.1)


def test_pause_of_a_day_does_not_fill_the_disk(tmp_path):
    stamps = [*every(1 / 15, 3), *every(1 / 15, 3, start=86400.0)]
    assert recorded(tmp_path / "a.mp4", stamps)[0] < 20


def test_known_rate_keeps_every_image_once(tmp_path):
    assert recorded(tmp_path / "a.mp4", [index / 12 for index in range(40)], rate=12) == (pytest.approx(40 / 12), 12)


WRITE_ON_A_FULL_DISK = """
import resource, sys
import numpy as np
from pathlib import Path
from emotion_ros.io.video import VideoFile
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
video = VideoFile(Path(sys.argv[1]), rate=10)
random = np.random.default_rng(0)
for index in range(60):
    video.add(random.integers(0, 255, (240, 320, 3), np.uint8), index / 10)
video.close()
sys.exit(3 if not video.written else 0)
"""


def test_video_that_was_cut_off_by_a_full_disk_does_not_count_as_written(tmp_path):
    """A limit of 20 kB per file stands in for the full disk: writes fail in the same place."""
    command = [sys.executable, "-c", WRITE_ON_A_FULL_DISK, tmp_path / "a.mp4"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 3


def test_video_in_a_folder_that_is_not_there_does_not_count_as_written(tmp_path):
    video = VideoFile(tmp_path / "none" / "a.mp4", rate=10)
    video.add(IMAGE, 0.0)
    video.close()
    assert not video.written
