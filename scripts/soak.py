"""Soak test of the detector: publishes images for MINUTES, with a person who comes and goes, and watches its process.

Fails if resident memory grows by more than 5 % after the warm-up (the first fifth, at least a minute), or if the
maximum number of threads, open files or topics grows from the first half to the second.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import rclpy
from emotion_ros.msg import EmotionArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emotion_ros.io.sources import frames
from emotion_ros.nodes.graph import Process, environment, stop
from emotion_ros.nodes.image_conversion import to_message

RATE_HZ = 15.0
SAMPLE_INTERVAL_S = 10.0
PRESENT_S, ABSENT_S = 20.0, 5.0
"""Time for which the person of the sample is in view, and then is not."""

MAX_MEMORY_GROWTH = 0.05
"""Allowed growth of resident memory, as a share."""

MIN_WARM_UP_S = 60.0
MIN_SAMPLES = 10


class Sample(NamedTuple):
    """Figures of the detector's process at a time: seconds since the start, MiB of resident memory, and counts."""

    seconds: float
    memory: float
    threads: int
    files: int
    topics: int
    messages: int


class Publisher:
    """Publishes images of the sample, and black ones, and counts the answers."""

    def __init__(self):
        self.node = rclpy.create_node("soak")
        self.messages = 0
        self._images = self.node.create_publisher(Image, "image_raw", 5)
        self.node.create_subscription(EmotionArray, "emotions", self._on_emotions, 50)
        self._pictures = [cv2.resize(frame.image, (640, 480)) for frame in frames("sample")]
        self._count = 0

    def publish(self, seconds):
        """Publish the next image; the person's presence depends on the time since the start."""
        picture = self._pictures[self._count % len(self._pictures)]
        if seconds % (PRESENT_S + ABSENT_S) >= PRESENT_S:
            picture = np.zeros_like(picture)
        header = Header(frame_id="camera", stamp=self.node.get_clock().now().to_msg())
        self._images.publish(to_message(picture, header))
        self._count += 1

    def spin_until_next(self, start):
        """Spin until the next image is due, with ``start`` in seconds of the monotonic clock."""
        while (wait := start + self._count / RATE_HZ - time.monotonic()) > 0:
            rclpy.spin_once(self.node, timeout_sec=wait)

    def _on_emotions(self, _):
        self.messages += 1


def main(minutes):
    """Run the test, print a line per sample and the result. Return 0 if nothing grew."""
    os.environ.update(environment())
    rclpy.init()
    publisher = Publisher()
    detector = subprocess.Popen(Process("detector", {}).command(), stderr=subprocess.DEVNULL)
    try:
        samples = watch(publisher, detector, minutes * 60)
    finally:
        stop([detector])
        rclpy.try_shutdown()
    return evaluate(samples)


def watch(publisher, detector, seconds):
    """Publish images for a time and return the samples of the detector's process."""
    samples, start = [], time.monotonic()
    print("seconds  MiB    threads  files  topics  messages", flush=True)
    while (now := time.monotonic() - start) < seconds:
        publisher.publish(now)
        publisher.spin_until_next(start)
        if detector.poll() is not None:
            raise SystemExit("soak: the detector ended; start it alone to see why")
        if now >= (len(samples) + 1) * SAMPLE_INTERVAL_S:
            topics = len(publisher.node.get_topic_names_and_types())
            samples.append(Sample(now, *process_figures(detector.pid), topics, publisher.messages))
            print("{:7.0f}  {:5.1f}  {:7}  {:5}  {:6}  {:8}".format(*samples[-1]), flush=True)
    return samples


def process_figures(pid):
    """Return resident MiB, threads and open files of a process."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, *(
        len(list((folder / name).iterdir())) for name in ("task", "fd")
    )


def evaluate(samples):
    """Print the growth of each figure. Return 0 if nothing grew, else 1."""
    warm_up = max(samples[-1].seconds / 5, MIN_WARM_UP_S) if samples else MIN_WARM_UP_S
    warm = [sample for sample in samples if sample.seconds >= warm_up]
    if len(warm) < MIN_SAMPLES:
        print("soak: expected at least 3 minutes, got too few samples after the warm-up; run it longer")
        return 1
    stable = memory_is_stable(warm)
    for name in ("threads", "files", "topics"):
        stable &= count_is_stable(warm, name)
    print("nothing grows" if stable else "it grows")
    return 0 if stable else 1


def memory_is_stable(warm):
    """Compare the median memory of the first and the last fifth."""
    fifth = max(len(warm) // 5, 1)
    first, last = (np.median([sample.memory for sample in part]) for part in (warm[:fifth], warm[-fifth:]))
    growth = last / first - 1
    print(f"memory: {first:.1f} to {last:.1f} MiB ({100 * growth:+.1f} %) after the warm-up")
    return growth <= MAX_MEMORY_GROWTH


def count_is_stable(warm, name):
    """Compare the maximum of a count in the first and the second half."""
    half = len(warm) // 2
    before, after = (max(getattr(sample, name) for sample in part) for part in (warm[:half], warm[half:]))
    print(f"maximum {name}: {before} in the first half, {after} in the second")
    return after <= before


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0))
