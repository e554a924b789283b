"""Measure the HTTP service: throughput and latency compared with a plain loop, and the growth of its memory.

bench_serve.py [OUT.json] [NUMBER of requests in the memory test]
"""

import contextlib
import json
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

import cv2
import httpx
import numpy as np
from serve_process import encoded, serving

from emotion_ros.config import PipelineConfig
from emotion_ros.io.sources import frames
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.serving.inference_backend import perceive_images

CLIENTS = (1, 4, 16, 64)
DURATION_S = 8.0
WARM_UP_S = 2.0
WARM_UP_REQUESTS = 2000
MEMORY_STEPS = 10


@dataclass
class Load:
    """Requests of several clients, each of which sends the next request when the last is answered.

    Attributes:
        latencies_s: seconds of each request with status 200.
        refused: number of requests with another status.
        duration_s: seconds from the first request to the last answer.
    """

    latencies_s: list[float] = field(default_factory=list)
    refused: int = 0
    duration_s: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.latencies_s) / self.duration_s

    def percentile_ms(self, percent):
        return 1000 * float(np.percentile(self.latencies_s, percent))


def loop_rate(picture):
    """Images per second of a process that decodes and perceives one image after the other."""
    pipeline = Pipeline(PipelineConfig())
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < DURATION_S:
        perceive_images(pipeline, [cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)])
        count += 1
    rate = count / (time.perf_counter() - begin)
    pipeline.close()
    return rate


def send(url, path, picture, clients, duration_s=None, requests=None):
    """Send requests for a duration, or a number of them."""
    load, lock = Load(), threading.Lock()
    remaining = iter(range(requests)) if requests is not None else None

    def more():
        if remaining is None:
            return time.perf_counter() < begin + duration_s
        with lock:
            return next(remaining, None) is not None

    def run(client):
        while more():
            sent = time.perf_counter()
            status = client.post(path, content=picture).status_code
            with lock:
                if status == 200:
                    load.latencies_s.append(time.perf_counter() - sent)
                else:
                    load.refused += 1

    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(httpx.Client(base_url=url, timeout=60, verify=False)) for _ in range(clients)]
        begin = time.perf_counter()  # after the clients are created, which takes time
        threads = [threading.Thread(target=run, args=(client,)) for client in opened]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        load.duration_s = time.perf_counter() - begin
    return load


def resident_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def measure_rates(picture, reference_rate, options):
    """Figures per number of clients."""
    figures = {}
    with serving(*options) as server:
        send(server.url, "/v1/detect", picture, 4, WARM_UP_S)
        for clients in CLIENTS:
            load = send(server.url, "/v1/detect", picture, clients, DURATION_S)
            figures[f"{clients} clients"] = {
                "requests/s": load.rate,
                "relative to the loop": load.rate / reference_rate,
                **{f"p{percent} ms": load.percentile_ms(percent) for percent in (50, 95, 99)},
                "refused": load.refused,
            }
    return figures


def measure_memory(picture, requests):
    """Resident memory, MiB, after a warm-up and after each tenth of the requests."""
    with serving() as server:
        send(server.url, "/v1/classify", picture, 8, requests=WARM_UP_REQUESTS)
        steps = [resident_mib(server.process.pid)]
        for _ in range(MEMORY_STEPS):
            send(server.url, "/v1/classify", picture, 8, requests=requests // MEMORY_STEPS)
            steps.append(resident_mib(server.process.pid))
    return steps


def main(out="", requests="100000"):
    image = next(frames("sample")).image
    picture = encoded(image, ".jpg")
    figures = {"plain loop, images/s": loop_rate(picture)}
    print(f"plain loop: {figures['plain loop, images/s']:.1f} images/s", flush=True)
    for name, options in (("batches", ()), ("single images", ("--max-batch-size", "1"))):
        figures[name] = measure_rates(picture, figures["plain loop, images/s"], options)
        for clients, row in figures[name].items():
            print(f"{name}, {clients}: " + ", ".join(f"{key} {value:.2f}" for key, value in row.items()), flush=True)
    figures["memory, MiB"] = measure_memory(encoded(image[100:230, 205:335]), int(requests))
    print(f"memory after {WARM_UP_REQUESTS} requests, then after each {int(requests) // MEMORY_STEPS} more, MiB: "
          + ", ".join(f"{step:.1f}" for step in figures["memory, MiB"]))  # fmt: skip
    if out:
        Path(out).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
