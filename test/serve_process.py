"""A real server process and how it is asked."""

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx


@dataclass
class Server:
    url: str
    process: subprocess.Popen
    said: list[str]

    def client(self, **options):
        return httpx.Client(base_url=self.url, timeout=60, **options)


@contextlib.contextmanager
def serving(*options, token=""):
    """`emotion-ros serve` on a free port, until it answers."""
    command = [str(Path(sys.executable).with_name("emotion-ros")), "serve", "--port", "0", *options]
    environment = {**os.environ, "EMOTION_ROS_TOKEN": token}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"http://\S+:\d+", line):
                break
        else:
            raise AssertionError(f"the server ended with {process.wait()}: {''.join(said)}")
        threading.Thread(target=lambda: said.extend(process.stderr), daemon=True).start()
        yield Server(found[0], process, said)
    finally:
        process.terminate()
        process.wait(30)


def answering(url):
    """The URL, once what is there answers."""
    until = time.monotonic() + 40
    while True:
        try:
            httpx.get(f"{url}/healthz")
            return url
        except httpx.TransportError:
            assert time.monotonic() < until, f"{url} does not answer"
            time.sleep(0.1)


def encoded(image, ending=".png"):
    return cv2.imencode(ending, image)[1].tobytes()
