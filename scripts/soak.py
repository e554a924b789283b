"""Does the detector leak? Images for MINUTES, people who come and go, and what its process holds meanwhile.

Fails where memory after the warm-up (the first fifth, at least a minute) grows by more than 5 %, or where threads, open
files or topics become more.
"""

import sys
import time
from pathlib import Path

import cv2
import numpy as np
import rclpy
from emotion_ros.msg import EmotionArray
from hri_msgs.msg import IdsList
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emotion_ros.io.sources import frames
from emotion_ros.nodes.graph import Process, end, environment
from emotion_ros.nodes.image_conversion import to_message

RATE, EVERY = 15.0, 10.0
PRESENT, AWAY = 20.0, 5.0
"""Seconds for which the person of the sample is in view, and then is not."""

ALLOWED = 0.05


def held(process):
    """Resident MiB, threads and open files of a process."""
    folder = Path(f"/proc/{process}")
    pages = int((folder / "statm").read_text().split()[1])
    return pages * 4096 / 2**20, len(list((folder / "task").iterdir())), len(list((folder / "fd").iterdir()))


def main(minutes):
    """Run, print a line every ten seconds, then the verdict."""
    import os
    import subprocess

    os.environ.update(environment())
    rclpy.init()
    node = rclpy.create_node("soak")
    publisher = node.create_publisher(Image, "image_raw", 5)
    heard, lists = [0], [0]
    node.create_subscription(EmotionArray, "emotions", lambda _: heard.__setitem__(0, heard[0] + 1), 50)
    node.create_subscription(IdsList, "/humans/faces/tracked", lambda m: lists.__setitem__(0, len(m.ids)), 1)
    pictures = [cv2.resize(frame.image, (640, 480)) for frame in frames("sample")]
    nobody = np.zeros_like(pictures[0])
    detector = subprocess.Popen(Process("detector", {}).command(), stderr=subprocess.DEVNULL)
    try:
        rows = watch(node, publisher, detector, pictures, nobody, minutes * 60, heard)
    finally:
        end([detector])
        rclpy.try_shutdown()
    return verdict(rows)


def watch(node, publisher, detector, pictures, nobody, seconds, heard):
    """A row of figures every ten seconds: seconds, MiB, threads, files, topics, messages."""
    rows, begin, number, next_row = [], time.monotonic(), 0, EVERY
    print("seconds  MiB    threads  files  topics  messages", flush=True)
    while (now := time.monotonic() - begin) < seconds:
        picture = pictures[number % len(pictures)] if now % (PRESENT + AWAY) < PRESENT else nobody
        header = Header(frame_id="camera", stamp=node.get_clock().now().to_msg())
        publisher.publish(to_message(picture, header))
        number += 1
        while time.monotonic() - begin < number / RATE:
            rclpy.spin_once(node, timeout_sec=max(number / RATE - (time.monotonic() - begin), 0))
        if detector.poll() is not None:
            raise SystemExit("the detector ended")
        if now >= next_row:
            rows.append((now, *held(detector.pid), len(node.get_topic_names_and_types()), heard[0]))
            print("{:7.0f}  {:5.1f}  {:7}  {:5}  {:6}  {:8}".format(*rows[-1]), flush=True)
            next_row += EVERY
    return rows


def verdict(rows):
    """0 where nothing grew."""
    end_of_warm_up = max(rows[-1][0] / 5, 60.0)
    warm = [row for row in rows if row[0] >= end_of_warm_up]
    if len(warm) < 10:
        print("too short to tell: take 3 minutes or more")
        return 1
    fifth = max(len(warm) // 5, 1)
    first, last = (np.median([row[1:5] for row in part], axis=0) for part in (warm[:fifth], warm[-fifth:]))
    peaks = [
        max(row[index] for row in part)
        for index in (2, 3, 4)
        for part in (warm[: len(warm) // 2], warm[len(warm) // 2 :])
    ]
    growth = last[0] / first[0] - 1
    print(f"memory {first[0]:.1f} to {last[0]:.1f} MiB ({100 * growth:+.1f} %) after the warm-up")
    for name, before, after in zip(("threads", "open files", "topics"), peaks[::2], peaks[1::2], strict=True):
        print(f"most {name}: {before} in the first half, {after} in the second")
    fine = growth <= ALLOWED and all(after <= before for before, after in zip(peaks[::2], peaks[1::2], strict=True))
    print("flat" if fine else "it grows")
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0))
