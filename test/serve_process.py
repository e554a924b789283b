"""A server in a process of its own."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
from ament_index_python.packages import get_package_prefix


@dataclass
class Server:
    url: str
    process: subprocess.Popen
    log: list[str]

    def client(self, **options):
        return httpx.Client(base_url=self.url, timeout=60, **options)


@contextlib.contextmanager
def serving(*options, token=""):
    """Run `emotion-ros serve` of the installed package on a free port; yield it once it has printed its URL."""
    program = Path(get_package_prefix("emotion_ros")) / "lib" / "emotion_ros" / "emotion-ros"
    command = [sys.executable, str(program), "serve", "--port", "0", *options]
    environment = {**os.environ, "EMOTION_ROS_TOKEN": token}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    log = []
    try:
        for line in process.stderr:
            log.append(line)
            if url := re.search(r"http://\S+:\d+", line):
                break
        else:
            raise AssertionError(f"the server exited with {process.wait()}: {''.join(log)}")
        threading.Thread(target=lambda: log.extend(process.stderr), daemon=True).start()
        yield Server(url[0], process, log)
    finally:
        process.terminate()
        process.wait(30)


def free_port():
    """A port that no server of this machine uses."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def answering(url):
    """Return the URL once a server answers there."""
    deadline = time.monotonic() + 40
    while True:
        try:
            httpx.get(f"{url}/healthz")
            return url
        except httpx.TransportError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.1)


def encoded(image, extension=".png"):
    """Return an image as the bytes of a file."""
    return cv2.imencode(extension, image)[1].tobytes()
