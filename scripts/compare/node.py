"""What the detector node costs a robot: until its first message, in memory, idle, with somebody there."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import rclpy
from emotion_ros.msg import EmotionArray
from rclpy.executors import SingleThreadedExecutor

from emotion_ros.nodes.graph import Process, environment, stop
from emotion_ros.nodes.image_source_node import SUBSCRIBER_TIMEOUT_S

DOMAIN = "96"
SETTLE, SECONDS = 4.0, 10.0
RATE = 30.0


class Robot:
    """Cameras, the detector and a listener, in processes of their own but for the listener."""

    def __init__(self, source, cameras=1, heard=True, **parameters):
        self.environment = {**os.environ, **environment(), "ROS_DOMAIN_ID": DOMAIN}
        os.environ["ROS_DOMAIN_ID"] = DOMAIN
        rclpy.init()
        self.node = rclpy.create_node("listener")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        names = ["image_raw"] if cameras == 1 else [f"camera{index}/image_raw" for index in range(cameras)]
        self.counts = dict.fromkeys(names, 0)
        for name in names if heard else ():
            topic = "emotions" if cameras == 1 else f"{name.split('/')[0]}/emotions"
            self.node.create_subscription(EmotionArray, topic, lambda _, name=name: self.count(name), 10)
        self.sources = [self.spawn("image_source", self.remap(name), **source) for name in names]
        time.sleep(SETTLE)
        self.begun = time.monotonic()
        self.detector = self.spawn("detector", [], image_topics=names, **parameters)

    def remap(self, name):
        """To where one camera's images go."""
        return ["-r", f"image_raw:={name}", "-r", f"camera_info:={Path(name).parent / 'camera_info'}"]

    def spawn(self, executable, more, **parameters):
        """One node."""
        command = [*Process(executable, parameters).command(), *more]
        return subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL)

    def count(self, name):
        """A message came."""
        self.counts[name] += 1

    def spin(self, seconds, until=lambda: False):
        """Listen for so long, or until then."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
            self.executor.spin_once(0.05)

    def first_message(self):
        """Seconds from the start of the process to its first message."""
        self.spin(30, until=lambda: any(self.counts.values()))
        return time.monotonic() - self.begun

    def cpu(self):
        """Share of a core that the detector takes, and its messages per second, from now on for a while."""
        before, counts = self.ticks(), dict(self.counts)
        begin = time.monotonic()
        self.spin(SECONDS)
        took = time.monotonic() - begin
        rates = [(self.counts[name] - counts[name]) / took for name in counts]
        return (self.ticks() - before) / os.sysconf("SC_CLK_TCK") / took, rates

    def ticks(self):
        """Of a processor, that the detector used so far."""
        fields = Path(f"/proc/{self.detector.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def memory(self):
        """Resident megabytes of the detector."""
        pages = int(Path(f"/proc/{self.detector.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def close(self):
        """End all."""
        stop([self.detector, *self.sources])
        self.node.destroy_node()
        rclpy.shutdown()


def measure():
    """All of it."""
    sample = {"source": "sample", "loop": True, "rate": RATE}
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(60):
            cv2.imwrite(f"{folder}/{number}.png", np.full((480, 640, 3), 90, np.uint8))
        empty = {"source": folder, "loop": True, "rate": RATE}
        for name, source, how in (
            ("one person", sample, {}),
            ("one person, no hands", sample, {"hands": False}),
            ("nobody in view", empty, {}),
            ("nobody in view, all images looked at", empty, {"idle_rate": 0.0}),
            ("nobody subscribes", sample, {"heard": False}),
            ("three cameras, one person each", sample, {"cameras": 3}),
            ("three cameras, one person each, no hands", sample, {"cameras": 3, "hands": False}),
        ):
            robot = Robot(source, **how)
            try:
                if how.get("heard", True):
                    figures[name] = {"first message s": robot.first_message()}
                else:
                    figures[name] = {}
                robot.spin(SETTLE + (2 if how.get("heard", True) else SUBSCRIBER_TIMEOUT_S))
                cores, rates = robot.cpu()
                figures[name] |= {"share of a core": cores, "messages/s": rates, "MB": robot.memory()}
            finally:
                robot.close()
    return figures


def table(figures):
    """One line each."""
    lines = [
        "",
        "| detector node, 640×480 at 30 Hz | share of a core | messages/s per camera | MB | first message after s |",
    ]
    lines.append("| --- |" + " --- |" * 4)
    for name, each in figures.items():
        first = f"{each['first message s']:.1f}" if "first message s" in each else ""
        rates = ", ".join(f"{rate:.1f}" for rate in each["messages/s"])
        lines.append(f"| {name} | {each['share of a core']:.3f} | {rates} | {each['MB']:.0f} | {first} |")
    return "\n".join(lines)
